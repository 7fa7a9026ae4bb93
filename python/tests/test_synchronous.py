"""Every asynchronous function has a twin that waits in its thread, and answers the same."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from sessile import Session, SessionRequest, Sessions, UnauthorisedError
from stores import ON_EVERY_STORE, Store

pytestmark = ON_EVERY_STORE


@pytest.fixture
def sessions(store: Store) -> Iterator[Sessions]:
    sessions = Sessions(store.setting)
    sessions.sync_open()
    yield sessions
    sessions.close()


@pytest.mark.parametrize("kind", [Session, SessionRequest, Sessions])
def test_each_has_a_twin_of_the_same_signature(kind: type) -> None:
    functions = dict(inspect.getmembers(kind, inspect.iscoroutinefunction))
    assert functions
    for name, function in functions.items():
        twin = getattr(kind, f"sync_{name}")
        assert inspect.signature(twin) == inspect.signature(function), name


@dataclasses.dataclass
class Cart:
    items: list[int]


def test_a_session(sessions: Sessions) -> None:
    session = sessions.request("POST", {}).sync_create_new_session("alice", {"a": 1}, Cart([1]))
    assert session.sync_get_session_data() == {"items": [1]}
    assert session.sync_get_session_data_as(Cart) == Cart([1])
    session.sync_update_session_data(Cart([2]))
    assert session.sync_get_session_data_from_database() == {"items": [2]}
    session.sync_update_jwt_payload({"b": 2})
    session.sync_merge_into_access_token_payload({"c": 3, "b": None})
    assert session.get_jwt_payload() == {"c": 3}
    information = session.sync_get_session_information()
    assert information.access_token_payload == {"c": 3}
    assert session.sync_get_time_created() == information.time_created
    assert session.sync_get_expiry() == information.expiry
    other = sessions.request("POST", {}).sync_create_new_session("alice")
    assert session.sync_revoke_other_sessions() == [other.get_handle()]
    session.sync_revoke_session()
    with pytest.raises(UnauthorisedError):
        session.sync_get_session_data()


def test_sessions_by_handle_and_user(sessions: Sessions) -> None:
    def log_in() -> str:
        return sessions.request("POST", {}).sync_create_new_session("alice").get_handle()

    handles = [log_in() for _ in range(4)]
    assert sorted(sessions.sync_get_all_session_handles_for_user("alice")) == sorted(handles)
    sessions.sync_update_session_data_in_database(handles[0], {"a": 1})
    sessions.sync_update_access_token_payload(handles[0], {"b": 2})
    found: Any = sessions.sync_get_session_information(handles[0])
    assert (found.session_data, found.access_token_payload) == ({"a": 1}, {"b": 2})
    assert sessions.sync_revoke_session(handles[0]) is True
    assert sessions.sync_revoke_multiple_sessions([handles[0], handles[1]]) == [handles[1]]
    assert sessions.sync_revoke_all_sessions_for_user("alice", except_session=handles[2]) == [
        handles[3]
    ]
    keys, cache_control = sessions.sync_get_json_web_key_set()
    assert keys == asyncio.run(sessions.get_json_web_key_set())[0]
    assert "max-age" in cache_control
    assert sessions.sync_sweep() == 0
