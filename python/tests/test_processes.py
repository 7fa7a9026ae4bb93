"""Workers, forks, and signals, in servers of their own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving import Browser
from sessile import Sessions
from stores import ON_EVERY_STORE, Store
from workers import Server, started, uvicorn_command

UVICORN_WORKERS = uvicorn_command("worker_application:app", "--workers", "4")
GUNICORN = [
    "gunicorn", "worker_application:app", "--bind", "127.0.0.1:PORT", "--workers", "4",
    "--worker-class", "uvicorn_worker.UvicornWorker",
]  # fmt: skip
SERVERS = {
    "uvicorn": UVICORN_WORKERS,
    "gunicorn": GUNICORN,
    "gunicorn-preloaded": [*GUNICORN, "--preload"],
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Server]:
    with started(SERVERS[request.param], tmp_path, STORE=store.setting) as server:
        yield server


@ON_EVERY_STORE
def test_workers_on_one_store_keep_the_invariants(server: Server, store: Store) -> None:
    """Parallel refreshes give one child, whatever worker answers, and are no theft; a revoked
    session never comes back, and no other is lost; every worker sees at once what another has
    done."""
    workers: set[int] = set()
    problems: list[str] = []

    def one_user(number: int) -> None:
        with contextlib.closing(Browser(server.url)) as browser:
            chance = random.Random(number)
            assert browser.post("/login", json=f"user {number}").status_code == 200
            for turn in range(3):
                tabs = [browser.copy() for _ in range(3)]
                with ThreadPoolExecutor(3) as pool:
                    answers = list(pool.map(lambda tab: tab.post("/session/refresh"), tabs))
                workers.update(answer.json()["worker"] for answer in answers if answer.is_success)
                if [answer.status_code for answer in answers] != [200] * 3:
                    problems.append(f"refresh: {[answer.text for answer in answers]}")
                if len({tab.cookie("sRefreshToken") for tab in tabs}) != 1:
                    problems.append("two children")
                browser = tabs[chance.randrange(3)]
                me = browser.get("/checked")
                if me.json().get("user_id") != f"user {number}":
                    problems.append(f"verify: {me.text}")
                if browser.post("/count").json() != turn + 1:
                    problems.append("data that was kept is lost")
            if number % 2:
                return
            others = [browser.copy() for _ in range(3)]
            with ThreadPoolExecutor(4) as pool:
                racing = [pool.submit(tab.post, "/session/refresh") for tab in others]
                revoked = pool.submit(browser.post, "/revoke").result()
                codes = [answer.result().status_code for answer in racing]
            if revoked.status_code != 200 or not set(codes) <= {200, 401}:
                problems.append(f"revoke: {revoked.text} {codes}")
            for tab in others:
                answers = [tab.post("/session/refresh"), tab.get("/checked")]
                if [answer.status_code for answer in answers] != [401, 401]:
                    problems.append("a revoked session came back")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one_user, range(64)))
    assert not problems
    assert len(workers) > 1, "several workers had a part in it"
    assert set(store.users()) == {f"user {number}" for number in range(1, 64, 2)}
    assert "Traceback" not in server.log()


@ON_EVERY_STORE
def test_sigterm_under_load_ends_the_server_in_good_order(server: Server, store: Store) -> None:
    answers: list[int] = []
    stopping = threading.Event()

    def load(number: int) -> None:
        while not stopping.is_set():
            try:
                answer = httpx.post(
                    server.url + "/login", json=f"user {number}", timeout=30, trust_env=False
                )
                answers.append(answer.status_code)
            except httpx.TransportError:
                # The server does not listen any more, or has closed the connection.
                stopping.wait(0.01)

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(load, number)
        while len(answers) < 100:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(60)
        stopping.set()
    assert code in (0, -signal.SIGTERM), server.log()
    assert set(answers) == {200}, "every request that was answered was served"
    for trace in ("Traceback", "panicked", "SIGABRT", "SIGSEGV", "core dumped"):
        assert trace not in server.log(), server.log()
    assert len(store.users()) >= len(answers), "what was acknowledged is there"


def in_child(place: str, handle: str, sessions: Sessions | None, results: object) -> None:
    """Uses sessions in a child: its parent's object, or one of its own."""
    sessions = Sessions(place) if sessions is None else sessions
    found = sessions.sync_get_session_information(handle)
    created = sessions.request("POST", {}).sync_create_new_session("child").get_handle()
    results.put((os.getpid(), found is not None, created))  # type: ignore[attr-defined]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@ON_EVERY_STORE
def test_a_fork_of_a_process_with_an_open_store(store: Store, shared: bool) -> None:
    sessions = Sessions(store.setting)
    session = sessions.request("POST", {}).sync_create_new_session("parent")
    forking = multiprocessing.get_context("fork")
    results = forking.SimpleQueue()
    for _ in range(5):
        child = forking.Process(
            target=in_child,
            args=(store.setting, session.get_handle(), sessions if shared else None, results),
        )
        child.start()
        # Both sides use it meanwhile.
        mine = sessions.request("POST", {}).sync_create_new_session("parent")
        child.join(30)
        assert child.exitcode == 0
        pid, found, created = results.get()
        assert (pid, found) == (child.pid, True)
        assert sessions.sync_revoke_session(created) is True
        assert sessions.sync_revoke_session(mine.get_handle()) is True
    assert len(sessions.sync_get_sessions_for_user("parent")) == 1
    sessions.close()
    assert store.is_closed()
    assert store.users() == ["parent"]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# Has other threads run in the middle of a function of Python, which the extension module calls.
GIVE_WAY = """
        inside = threading.Event()
        def give_way_in(name):
            def give_way(frame, event, argument):
                if event == "call" and frame.f_code.co_name == name:
                    inside.set()
                    for _ in range(1000):
                        os.stat(".")
            sys.setprofile(give_way)
"""

ENDS = {
    "with an open store": "",
    "with a call that waits": """
        loop = asyncio.new_event_loop()
        task = loop.create_task(sessions.get_sessions_for_user("alice"))
        loop.call_soon(loop.stop)
        loop.run_forever()
    """,
    "in the middle of calls of another thread": """
        def busy():
            while True:
                sessions.sync_get_sessions_for_user("alice")
        threading.Thread(target=busy, daemon=True).start()
    """,
    "in the middle of calls of an event loop in another thread": """
        async def busy():
            while True:
                await asyncio.gather(*(sessions.get_sessions_for_user("a") for _ in range(20)))
        threading.Thread(target=lambda: asyncio.run(busy()), daemon=True).start()
    """,
    "while a call in another thread makes an error": f"""
        {GIVE_WAY}
        def busy():
            give_way_in("make_error")
            while True:
                with contextlib.suppress(GeneralError):
                    sessions.sync_get_sessions_for_user("alice")
        sessions.close()
        threading.Thread(target=busy, daemon=True).start()
        inside.wait()
    """,
    "while a call of an event loop in another thread makes a future": f"""
        {GIVE_WAY}
        async def busy():
            give_way_in("create_future")
            while True:
                await asyncio.gather(*(sessions.get_sessions_for_user("a") for _ in range(20)))
        threading.Thread(target=lambda: asyncio.run(busy()), daemon=True).start()
        inside.wait()
    """,
    "while an event loop in another thread completes futures": f"""
        {GIVE_WAY}
        async def busy():
            give_way_in("call_soon")
            while True:
                await sessions.get_sessions_for_user("a")
        threading.Thread(target=lambda: asyncio.run(busy()), daemon=True).start()
        inside.wait()
    """,
    "when the sessions were dropped a moment before": """
        async def work():
            sessions = Sessions(others)
            await asyncio.gather(*(sessions.get_sessions_for_user("a") for _ in range(200)))
        asyncio.run(work())
    """,
    "by an exception": "raise SystemExit(0)",
    "with sessions that are still referred to": "sys.sessions = sessions, request",
}


@pytest.mark.parametrize("end", ENDS)
@ON_EVERY_STORE
def test_the_interpreter_ends_in_good_order(
    tmp_path: Path, store: Store, place: str, end: str
) -> None:
    others = "others.db" if place == "file" else store.setting
    program = f"""
import asyncio, contextlib, os, sys, threading
from sessile import GeneralError, Sessions
others = {others!r}
sessions = Sessions({store.setting!r})
request = sessions.request("POST", {{}})
request.sync_create_new_session("alice")
{textwrap.dedent(ENDS[end])}
"""
    for _ in range(10):
        ended = run(program, tmp_path)
        assert ended.returncode == 0, ended.stderr
        for trace in ("panicked", "Fatal Python error", "Aborted"):
            assert trace not in ended.stderr
    if "thread" not in end:
        assert store.is_closed()


def test_threads_are_refused_at_the_end_and_the_one_that_ends_is_not(tmp_path: Path) -> None:
    """Functions that were registered with atexit earlier run later, and may wait for a thread."""
    program = """
        import atexit, threading
        def last():
            ended.set()
            thread.join()
            try:
                sessions.sync_get_sessions_for_user("alice")
            except GeneralError as error:
                print(error.reason)
        atexit.register(last)
        from sessile import GeneralError, Sessions
        ended = threading.Event()
        sessions = Sessions("sessions.db")
        session = sessions.request("POST", {}).sync_create_new_session("alice")
        def other():
            ended.wait()
            for use in (session.sync_get_session_data, session.get_jwt_payload, sessions.close):
                try:
                    use()
                except RuntimeError as error:
                    print(error)
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
    """
    ended = run(program, tmp_path)
    refused = "sessions cannot be used at the end of the interpreter\n"
    assert (ended.returncode, ended.stdout) == (0, 2 * refused + "closed\n"), ended.stderr


def test_a_thread_that_waits_for_ever_does_not_keep_the_interpreter(tmp_path: Path) -> None:
    program = """
        import asyncio, threading
        from sessile import Sessions
        class Loop(asyncio.SelectorEventLoop):
            def create_future(self):
                inside.set()
                threading.Event().wait()
        inside = threading.Event()
        sessions = Sessions("sessions.db")
        def busy():
            Loop().run_until_complete(sessions.get_sessions_for_user("alice"))
        threading.Thread(target=busy, daemon=True).start()
        inside.wait()
    """
    ended = run(program, tmp_path)
    assert ended.returncode == 0, ended.stderr


@ON_EVERY_STORE
def test_a_fork_does_not_wait_for_threads_that_stayed_behind(tmp_path: Path, store: Store) -> None:
    program = f"""
        import contextlib, os, sys, threading
        from sessile import GeneralError, Sessions
        sessions = Sessions({store.setting!r})
        {GIVE_WAY}
        closed = Sessions(":memory:")
        closed.close()
        def busy():
            give_way_in("make_error")
            while True:
                with contextlib.suppress(GeneralError):
                    closed.sync_get_sessions_for_user("alice")
        threading.Thread(target=busy, daemon=True).start()
        inside.wait()
        for _ in range(15):
            child = os.fork()
            if child == 0:
                sys.exit(sessions.sync_get_sessions_for_user("alice") != [])
            print(os.waitpid(child, 0)[1])
        os._exit(0)
    """
    ended = run(program, tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_an_interruption_by_the_keyboard_ends_waiting(tmp_path: Path) -> None:
    program = """
        import os, signal, subprocess, sys, threading
        from sessile import Sessions
        sessions = Sessions("sessions.db")
        session = sessions.request("POST", {}).sync_create_new_session("alice")
        # Another program keeps the file locked, so the call waits.
        lock = "import sqlite3; c = sqlite3.connect('sessions.db', isolation_level=None);"
        lock += "c.execute('BEGIN IMMEDIATE'); print(flush=True); input(); c.execute('ROLLBACK')"
        with subprocess.Popen(
            [sys.executable, "-c", lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            other.stdout.readline()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                session.sync_update_session_data_in_database({"a": 1})
            except KeyboardInterrupt:
                print("interrupted")
            other.communicate(b"\\n")
    """
    ended = run(program, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr
