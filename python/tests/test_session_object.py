"""What a handler does with a session, over HTTP, with every call of the store counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from seed_application import SeedApplication
from serving import cleared, set_cookies
from stores import ON_EVERY_STORE

pytestmark = ON_EVERY_STORE

Seed = Callable[..., SeedApplication]


def test_get_user_id_and_get_jwt_payload_ask_nobody(seed: Seed) -> None:
    app = seed()
    app.log_in(jwt_payload={"role": "editor"})
    before = app.store_calls()
    answer = app.browser.get("/me")
    assert answer.json() == {"user_id": "alice", "payload": {"role": "editor"}}
    assert not set_cookies(answer)
    for function in ("get_user_id", "get_jwt_payload", "get_handle", "get_access_token"):
        assert app.browser.post(f"/session/{function}", json=[]).status_code == 200
        assert app.calls[function] == {}, function
    assert app.store_calls() == before, "nor does verification"


def test_update_jwt_payload_changes_the_access_token_by_one_call(seed: Seed) -> None:
    app = seed()
    app.log_in(jwt_payload={"role": "editor", "old": 1})
    before = app.browser.cookie("sAccessToken")
    answer = app.browser.post("/session/update_jwt_payload", json=[{"role": "admin"}])
    assert answer.status_code == 200
    assert app.calls["update_jwt_payload"] == {"replace_jwt_payload": 1}
    assert set_cookies(answer).keys() == {"sAccessToken"}
    assert app.browser.cookie("sAccessToken") != before
    assert app.browser.get("/me").json()["payload"] == {"role": "admin"}, "it is replaced whole"


def test_update_jwt_payload_keeps_the_expiry(seed: Seed) -> None:
    app = seed()
    app.log_in()
    app.clock.advance(1800)
    app.browser.post("/session/update_jwt_payload", json=[{"a": 1}])
    app.clock.advance(1799)
    assert app.browser.get("/me").json()["payload"] == {"a": 1}
    app.clock.advance(2)
    answer = app.browser.get("/me")
    assert (answer.status_code, answer.json()["error"]) == (401, "try refresh token")


def test_session_data_is_one_call_each_time(seed: Seed) -> None:
    app = seed()
    app.log_in(session_data={"cart": [1, 2], "note": None})
    answer = app.browser.post("/session/get_session_data", json=[])
    assert answer.json() == {"cart": [1, 2], "note": None}
    assert app.calls["get_session_data"] == {"get_session": 1}
    answer = app.browser.post("/session/update_session_data", json=[{"cart": []}])
    assert answer.json() is None and not set_cookies(answer)
    assert app.calls["update_session_data"] == {"replace_session_data": 1}
    answer = app.browser.post("/session/get_session_data", json=[])
    assert answer.json() == {"cart": []}, "it is overwritten whole"


def test_revoke_session_ends_it_and_clears_the_cookies_by_one_call(seed: Seed) -> None:
    app = seed()
    app.log_in()
    other = app.browser.copy()
    answer = app.browser.post("/session/revoke_session", json=[])
    assert app.calls["revoke_session"] == {"remove_sessions": 1}
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}
    assert not app.browser.cookies
    # Another tab was first: its cookies go all the same.
    answer = other.post("/session/revoke_session", json=[])
    assert answer.status_code == 200
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


def test_without_blacklisting_the_access_token_lives_on(seed: Seed) -> None:
    app = seed()
    app.log_in()
    other = app.browser.copy()
    app.browser.post("/session/revoke_session", json=[])
    assert other.get("/me").status_code == 200
    answer = other.post("/session/refresh")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


def test_with_blacklisting_it_ends_at_once(seed: Seed) -> None:
    app = seed(access_token_blacklisting=True)
    app.log_in()
    other = app.browser.copy()
    before = app.store_calls()
    assert other.get("/me").status_code == 200
    assert app.store_calls()["get_session"] == before["get_session"] + 1
    app.browser.post("/session/revoke_session", json=[])
    answer = other.get("/me")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("get_session_data", []),
        ("update_session_data", [{}]),
        ("update_jwt_payload", [{}]),
    ],
)
def test_a_session_that_is_gone_is_unauthorised_and_cleared(
    seed: Seed, function: str, arguments: list[object]
) -> None:
    app = seed()
    app.log_in()
    other = app.browser.copy()
    app.browser.post("/session/revoke_session", json=[])
    answer = other.post(f"/session/{function}", json=arguments)
    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthorised"
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


def test_a_login_replaces_the_session_of_the_browser(seed: Seed) -> None:
    app = seed()
    first = app.log_in().json()["handle"]
    other = app.browser.copy()
    second = app.log_in(user_id="bob").json()["handle"]
    assert first != second
    assert app.browser.get("/me").json()["user_id"] == "bob"
    assert other.post("/session/refresh").status_code == 401


def test_cookies_are_set_though_the_handler_raises_an_http_exception(seed: Seed) -> None:
    app = seed()
    answer = app.browser.post("/login-and-fail?how=http")
    assert answer.status_code == 418
    assert set_cookies(answer).keys() == {"sAccessToken", "sRefreshToken"}
    answer = app.browser.another().post("/login-and-fail?how=unhandled")
    assert answer.status_code == 500
    assert not set_cookies(answer)


def test_routes_without_sessions_are_left_alone(seed: Seed) -> None:
    app = seed()
    app.log_in()
    answer = app.browser.get("/plain")
    assert answer.text == "plain"
    assert not set_cookies(answer)
    assert "front-token" not in answer.headers
