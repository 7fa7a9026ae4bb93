"""The functions that take a handle or a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from seed_application import SeedApplication
from serving import set_cookies
from stores import ON_EVERY_STORE

pytestmark = ON_EVERY_STORE

Seed = Callable[..., SeedApplication]


def call(app: SeedApplication, function: str, *arguments: Any) -> Any:
    answer = app.browser.post(f"/function/{function}", json=list(arguments))
    assert answer.status_code == 200, answer.text
    return answer.json()


def log_in_elsewhere(app: SeedApplication, user: str) -> str:
    return str(app.log_in(app.browser.another(), user_id=user).json()["handle"])


def test_revoke_session_says_whether_it_existed(seed: Seed) -> None:
    app = seed()
    handle = log_in_elsewhere(app, "alice")
    assert call(app, "revoke_session", handle) is True
    assert app.calls["revoke_session"] == {"remove_sessions": 1}
    assert call(app, "revoke_session", handle) is False
    assert call(app, "revoke_session", "no such session") is False


def test_revoke_multiple_sessions_gives_those_that_existed(seed: Seed) -> None:
    app = seed()
    handles = [log_in_elsewhere(app, "alice") for _ in range(3)]
    revoked = call(app, "revoke_multiple_sessions", [handles[0], "none", handles[1]])
    assert sorted(revoked) == sorted(handles[:2])
    assert call(app, "revoke_multiple_sessions", []) == []
    assert call(app, "get_all_session_handles_for_user", "alice") == handles[2:]


def test_all_sessions_of_a_user(seed: Seed) -> None:
    app = seed()
    handles = [log_in_elsewhere(app, "alice") for _ in range(3)]
    other = log_in_elsewhere(app, "bob")
    assert sorted(call(app, "get_all_session_handles_for_user", "alice")) == sorted(handles)
    assert app.calls["get_all_session_handles_for_user"] == {"sessions_of_user": 1}
    assert call(app, "get_all_session_handles_for_user", "nobody") == []
    assert sorted(call(app, "revoke_all_sessions_for_user", "alice")) == sorted(handles)
    assert app.calls["revoke_all_sessions_for_user"] == {"remove_sessions_of_user": 1}
    assert call(app, "revoke_all_sessions_for_user", "alice") == []
    assert call(app, "get_all_session_handles_for_user", "bob") == [other]


def test_data_and_payload(seed: Seed) -> None:
    app = seed()
    handle = app.log_in(jwt_payload={"a": 1}, session_data={"b": 2}).json()["handle"]
    assert call(app, "get_session_data", handle) == {"b": 2}
    assert call(app, "update_session_data", handle, {"c": 3}) is None
    assert app.calls["update_session_data"] == {"replace_session_data": 1}
    assert call(app, "get_session_data", handle) == {"c": 3}
    assert call(app, "get_jwt_payload", handle) == {"a": 1}
    assert call(app, "update_jwt_payload", handle, {"d": 4}) is None
    assert app.calls["update_jwt_payload"] == {"replace_jwt_payload": 1}
    assert call(app, "get_jwt_payload", handle) == {"d": 4}
    # Tokens show it from the next refresh on.
    assert app.browser.get("/me").json()["payload"] == {"a": 1}
    app.browser.post("/session/refresh")
    assert app.browser.get("/me").json()["payload"] == {"d": 4}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("get_session_data", []),
        ("update_session_data", [{}]),
        ("get_jwt_payload", []),
        ("update_jwt_payload", [{}]),
    ],
)
def test_an_unknown_handle_is_unauthorised_and_clears_nobodys_cookies(
    seed: Seed, function: str, arguments: list[Any]
) -> None:
    app = seed()
    app.log_in()
    answer = app.browser.post(f"/function/{function}", json=["none", *arguments])
    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthorised"
    assert not set_cookies(answer)
    assert app.browser.get("/me").status_code == 200
