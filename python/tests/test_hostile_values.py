"""Wrong types, odd values, and use at the wrong time: exceptions with clear texts, never an end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from seed_application import SeedApplication
from sessile import GeneralError, Session, SessionRequest, Sessions, TryRefreshTokenError
from sessile.asgi import SessionMiddleware
from sessile.testing import ManualClock
from supertokens_fastapi.exceptions import SuperTokensGeneralError

Seed = Callable[..., SeedApplication]

cyclic: dict[str, Any] = {}
cyclic["self"] = cyclic
deep: dict[str, Any] = {}
for _ in range(10_000):
    deep = {"deeper": deep}

NOT_JSON: list[tuple[Any, type[Exception], str]] = [
    ([], TypeError, "must be a dict"),
    ("text", TypeError, "must be a dict"),
    ({1: 2}, TypeError, "keys of type str, not int"),
    ({"a": {"b": [{1}]}}, TypeError, r'\["a"\]\["b"\]\[0\] is of type set'),
    ({"a": b"bytes"}, TypeError, "is of type bytes"),
    ({"a": object()}, TypeError, "is of type object"),
    ({"a": float("nan")}, ValueError, "not a finite number"),
    ({"a": float("inf")}, ValueError, "not a finite number"),
    ({"a": 2**64}, ValueError, "more than 64 bits"),
    ({"a": -(2**63) - 1}, ValueError, "more than 64 bits"),
    ({"a": "\ud800"}, ValueError, "half of a surrogate pair"),
    ({"\udfff": 1}, ValueError, "half of a surrogate pair"),
    (cyclic, ValueError, "nested more than 127 levels"),
    (deep, ValueError, "nested more than 127 levels"),
]


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(":memory:")


def request(sessions: Sessions) -> SessionRequest:
    return sessions.request("POST", {"host": "localhost"})


@pytest.mark.parametrize(("value", "kind", "text"), NOT_JSON)
def test_what_is_no_json_is_refused(
    sessions: Sessions, value: Any, kind: type[Exception], text: str
) -> None:
    incoming = request(sessions)
    if isinstance(value, dict):
        with pytest.raises(kind, match=text):
            incoming.sync_create_new_session("alice", value)
        with pytest.raises(kind, match=text):
            incoming.sync_create_new_session("alice", {}, value)
    session = incoming.sync_create_new_session("alice", {"kept": 1}, {"kept": 2})
    for update in (session.sync_update_jwt_payload, session.sync_update_session_data_in_database):
        with pytest.raises(kind):
            update(value)
    assert session.get_jwt_payload() == {"kept": 1}
    assert session.sync_get_session_data_from_database() == {"kept": 2}


def test_what_is_json_comes_back_as_it_was(sessions: Sessions) -> None:
    value = {
        "": [None, True, False, [], {}],
        "numbers": [0, -1, 2**63, 2**64 - 1, -(2**63), 2**53 + 1, 0.1, 1e300, -0.0],
        "text": "\0\n\u2028😀" + "x" * 500,
    }
    session = request(sessions).sync_create_new_session("alice", value, value)
    assert session.get_jwt_payload() == value
    assert session.sync_get_session_data_from_database() == value
    assert isinstance(session.get_jwt_payload()["numbers"][0], int)
    tuples = {"tuple": (1, (2,))}
    session.sync_update_session_data_in_database(tuples)
    assert session.sync_get_session_data_from_database() == {"tuple": [1, [2]]}


@pytest.mark.parametrize("user", ["", "x" * 257, "a\nb", "\0"])
def test_user_ids_that_cannot_be_used(sessions: Sessions, user: str) -> None:
    with pytest.raises(GeneralError, match="user id"):
        request(sessions).sync_create_new_session(user)


@pytest.mark.parametrize("user", [None, 1, b"alice", ["alice"]])
def test_user_ids_that_are_no_text(sessions: Sessions, user: Any) -> None:
    # Before 3.11, exceptions had no notes, in which the argument's name is.
    name = "user_id" if sys.version_info >= (3, 11) else "str"
    with pytest.raises(TypeError, match=name):
        request(sessions).sync_create_new_session(user)


def test_payloads_that_tokens_cannot_carry(sessions: Sessions) -> None:
    with pytest.raises(GeneralError, match="must not name 'sub'"):
        request(sessions).sync_create_new_session("alice", {"sub": "mallory"})
    with pytest.raises(GeneralError, match="keep less in the payload"):
        request(sessions).sync_create_new_session("alice", {"a": "x" * 4000})
    session = request(sessions).sync_create_new_session("alice", {}, {"a": "x" * 5_000_000})
    assert len(session.sync_get_session_data_from_database()["a"]) == 5_000_000


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": 1},
        {"user_id": "x" * 10_000},
        {"user_id": "alice", "jwt_payload": [1]},
        {"user_id": "alice", "jwt_payload": {"sub": 1}},
        {"user_id": "alice", "session_data": "text"},
        {"user_id": "alice", "session_data": {"a": 2**70}},
    ],
)
def test_the_seeds_functions_make_general_errors_of_them(seed: Seed, body: Any) -> None:
    app = seed()
    assert app.browser.post("/login", json=body).status_code == 500
    (error,) = app.failures
    assert type(error) is SuperTokensGeneralError
    assert str(error)
    if body == {"user_id": 1} and sys.version_info >= (3, 11):
        assert "user_id" in str(error), "it says which argument is wrong"
    app.log_in(app.browser.another())


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": "sAccessToken=" + "x" * 60_000},
        {"cookie": ";" * 10_000 + "=" * 1000},
        {"cookie": b"sAccessToken=\xff\xfe; sRefreshToken=\x80"},
        {"authorization": "Bearer " + "a." * 1000},
        {"authorization": "Bearer"},
        {"origin": b"\xff"},
        {"anti-csrf": b"\xff" * 1000},
        {"sec-fetch-site": ""},
        {"st-auth-mode": "nonsense"},
    ],
)
def test_hostile_headers_are_answered(seed: Seed, headers: Any) -> None:
    app = seed(enable_anti_csrf=True)
    for method, path in (("GET", "/me"), ("POST", "/me"), ("POST", "/session/refresh")):
        answer = app.browser.another().request(method, path, headers=headers)
        assert answer.status_code in (401, 400, 431), answer.text


def test_requests_that_http_does_not_have(sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="no method of HTTP"):
        sessions.request("P Q", {}).sync_get_session(False)
    assert sessions.request("GET", {"cookie": "a\nb"}).sync_get_session(False) is None
    with pytest.raises(TryRefreshTokenError):
        sessions.request("GET", {"cookie": "sAccessToken=😀"}).sync_get_session(False)
    for headers in (None, 5, "text", {"a": 1}, {b"a": b"b"}, [("a",)], {"😀": "a"}):
        with pytest.raises(TypeError, match="headers must be pairs or a mapping"):
            sessions.request("GET", headers)  # type: ignore[arg-type]


def test_a_middleware_without_sessions() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Serves nothing."""

    with pytest.raises(TypeError, match=r"must be a sessile\.Sessions, not str"):
        SessionMiddleware(app, "sessions.db")  # type: ignore[arg-type]


def test_the_age_of_a_login(sessions: Sessions) -> None:
    token = request(sessions).sync_create_new_session("alice").get_access_token()
    incoming = sessions.request("GET", {"cookie": f"sAccessToken={token}"})
    for wrong in (-1, float("nan"), timedelta(-1), "5", True):
        with pytest.raises(ValueError, match="login_within"):
            incoming.sync_get_session(login_within=wrong)  # type: ignore[arg-type]
    session = incoming.sync_get_session(login_within=timedelta(minutes=5))
    assert session is not None


def test_a_call_after_the_end_says_so(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions.db")
    session = request(sessions).sync_create_new_session("alice")
    sessions.close()
    sessions.close()
    with pytest.raises(GeneralError, match="closed"):
        session.sync_get_session_data_from_database()
    with pytest.raises(GeneralError, match="closed"):
        sessions.sync_revoke_session(session.get_handle())
    with pytest.raises(GeneralError, match="closed"):
        request(sessions).sync_create_new_session("alice")
    assert session.get_user_id() == "alice"
    assert not (tmp_path / "sessions.db-wal").exists()
    asyncio.run(sessions.open())
    assert sessions.sync_revoke_session(session.get_handle()) is True
    sessions.close()


def test_an_event_loop_is_not_blocked_by_mistake(sessions: Sessions) -> None:
    async def blocks() -> None:
        request(sessions).sync_create_new_session("alice")

    with pytest.raises(RuntimeError, match="would block the event loop"):
        asyncio.run(blocks())


class TestEventLoops:
    @pytest.fixture
    def sessions(self, tmp_path: Path) -> Sessions:
        return Sessions(tmp_path / "sessions.db")

    def test_many_in_turn_and_at_once(self, sessions: Sessions) -> None:
        async def work(number: int) -> int:
            session = await request(sessions).create_new_session(f"user {number}")
            await asyncio.gather(*(session.update_session_data({"n": n}) for n in range(10)))
            await session.revoke_session()
            return number

        for number in range(5):
            assert asyncio.run(work(number)) == number
        done: list[int] = []
        threads = [
            threading.Thread(target=lambda number=number: done.append(asyncio.run(work(number))))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == list(range(8))

    def test_one_that_closes_while_a_call_waits(self, sessions: Sessions) -> None:
        async def start(loop: asyncio.AbstractEventLoop) -> Any:
            incoming = request(sessions)
            return await incoming.create_new_session("alice")

        for _ in range(20):
            loop = asyncio.new_event_loop()
            task = loop.create_task(start(loop))
            # Once around: the call has been sent to the store, and nobody reads its answer.
            loop.call_soon(loop.stop)
            loop.run_forever()
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            loop.close()
            del task
            gc.collect()
        assert request(sessions).sync_create_new_session("bob").get_user_id() == "bob"

    def test_one_that_is_dropped_with_its_calls(self, sessions: Sessions) -> None:
        request(sessions).sync_create_new_session("alice")
        loop = asyncio.new_event_loop()
        calls = [sessions.engine.sessions_of_user("alice") for _ in range(50)]

        async def begin() -> None:
            for call in calls:
                # As a task does it: the call sends its request and gives the future to wait for.
                with contextlib.suppress(StopIteration):
                    next(call.__await__())

        loop.run_until_complete(begin())
        loop.close()
        del calls, loop
        gc.collect()
        assert len(sessions.sync_get_sessions_for_user("alice")) == 1

    def test_cancelled_calls(self, sessions: Sessions) -> None:
        async def work() -> int:
            session = await request(sessions).create_new_session("alice")
            cancelled = 0
            for number in range(100):
                task = asyncio.create_task(session.update_session_data({"n": number}))
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1
            await session.update_session_data({"n": "last"})
            assert await session.get_session_data() == {"n": "last"}
            return cancelled

        assert asyncio.run(work()) > 0

    def test_a_close_while_the_store_is_opened(self, tmp_path: Path) -> None:
        async def work(number: int, forks: bool) -> list[Any]:
            sessions = Sessions(tmp_path / f"{number}.db")
            opening = [
                asyncio.create_task(request(sessions).create_new_session("alice"))
                for _ in range(3)
            ]
            await asyncio.sleep(0)
            sessions.begin_fork() if forks else sessions.close()
            assert not (tmp_path / f"{number}.db-wal").exists(), "it was closed all the same"
            sessions.end_fork()
            outcomes = await asyncio.gather(*opening, return_exceptions=True)
            sessions.close()
            return outcomes

        for number in range(10):
            forks = number % 2 == 0
            outcomes = asyncio.run(work(number, forks))
            assert {type(outcome) for outcome in outcomes} == {Session if forks else GeneralError}

    def test_timeouts(self, sessions: Sessions) -> None:
        async def work() -> None:
            session = await request(sessions).create_new_session("alice")
            for _ in range(20):
                try:
                    await asyncio.wait_for(session.get_session_data(), 1e-9)
                except asyncio.TimeoutError:
                    pass
            assert await session.get_session_data() == {}

        asyncio.run(work())

    def test_uvloop(self, sessions: Sessions) -> None:
        uvloop = pytest.importorskip("uvloop")

        async def work() -> str:
            session = await request(sessions).create_new_session("alice")
            return session.get_user_id()

        assert uvloop.run(work()) == "alice"

    def test_without_one(self, sessions: Sessions) -> None:
        coroutine: Coroutine[Any, Any, Any] = request(sessions).create_new_session("alice")
        with pytest.raises(RuntimeError, match="no running event loop"):
            coroutine.send(None)


def test_a_call_is_awaited_once(sessions: Sessions) -> None:
    async def twice() -> None:
        call = sessions.engine.sessions_of_user("alice")
        assert await call == []
        with pytest.raises(RuntimeError, match="awaited before"):
            await call

    asyncio.run(twice())


def test_clocks() -> None:
    clock = ManualClock(1_000.5)
    clock.advance(0.25)
    assert clock.now() == 1_000.75
    for wrong in (-1.0, float("nan"), float("inf"), 1e300):
        with pytest.raises(ValueError, match="seconds"):
            clock.advance(wrong)
    with pytest.raises(ValueError, match="now"):
        ManualClock(-1)
