"""A process that forks while its sessions are in use."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest
from sessile import GeneralError, Sessions
from stores import ON_EVERY_STORE, Store

pytestmark = [
    ON_EVERY_STORE,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def test_a_handler_that_forks_keeps_its_session_and_everybody_else_theirs(store: Store) -> None:
    """As one does that gives work to a `ProcessPoolExecutor`, whose workers Linux forks."""
    sessions = Sessions(store.setting)

    async def handle() -> None:
        session = await sessions.request("POST", {}).create_new_session("alice")
        others = [
            await sessions.request("POST", {}).create_new_session("bob") for _ in range(20)
        ]
        waiting = [
            asyncio.ensure_future(other.update_session_data({"n": n}))
            for n, other in enumerate(others)
        ]
        await asyncio.sleep(0)
        forking = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, mp_context=forking) as pool:
            loop = asyncio.get_running_loop()
            children = [loop.run_in_executor(pool, os.getpid) for _ in range(2)]
            await asyncio.gather(*waiting)
            assert os.getpid() not in await asyncio.gather(*children)
        for number, other in enumerate(others):
            assert await other.get_session_data() == {"n": number}
        await session.update_session_data({"forked": True})
        assert await session.get_session_data() == {"forked": True}

    asyncio.run(handle())
    sessions.close()


def test_threads_that_use_the_store_wait_for_a_fork(store: Store) -> None:
    sessions = Sessions(store.setting)
    session = sessions.request("POST", {}).sync_create_new_session("alice")
    forked = threading.Event()
    failures: list[Exception] = []
    written: dict[int, int] = {}

    def use(number: int) -> None:
        mine = sessions.request("POST", {}).sync_create_new_session(f"user {number}")
        try:
            while not forked.is_set():
                count = written.get(number, 0) + 1
                mine.sync_update_session_data_in_database({"count": count})
                written[number] = count
            assert mine.sync_get_session_data_from_database() == {"count": written[number]}
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                # The child has a store of its own in the same place.
                handle = session.get_handle()
                os._exit(0 if sessions.sync_get_session_information(handle) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        forked.set()
        for thread in threads:
            thread.join()
    assert not failures
    sessions.close()


def test_a_close_in_the_midst_of_a_fork_waits_for_it(store: Store) -> None:
    sessions = Sessions(store.setting)
    sessions.request("POST", {}).sync_create_new_session("alice")
    sessions.begin_fork()
    closing = threading.Thread(target=sessions.close)
    closing.start()
    with pytest.raises(GeneralError, match="closed"):
        while True:
            # Once the other thread has begun, nothing is opened any more.
            sessions.engine.exchange("POST", "http", []).sign_out()
    sessions.end_fork()
    closing.join(30)
    assert not closing.is_alive()
    assert store.is_closed()


def test_no_connection_or_file_is_open_on_both_sides(store: Store) -> None:
    """Otherwise the other side, that waits here, would keep it open."""
    sessions = Sessions(store.setting)
    sessions.request("POST", {}).sync_create_new_session("alice")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    try:
        sessions.request("POST", {}).sync_create_new_session("bob")
        sessions.close()
        assert store.is_closed()
    finally:
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0
    assert sorted(store.users()) == ["alice", "bob"]
