"""The functions that take a request, and the dependencies."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from seed_application import SeedApplication
from serving import cleared, set_cookies
from stores import ON_EVERY_STORE

pytestmark = ON_EVERY_STORE

Seed = Callable[..., SeedApplication]


def test_create_new_session_gives_cookies_and_a_front_token(seed: Seed) -> None:
    app = seed()
    answer = app.log_in(jwt_payload={"a": 1})
    lines = set_cookies(answer)
    assert lines.keys() == {"sAccessToken", "sRefreshToken"}
    assert "; HttpOnly; SameSite=Lax; Path=/; Expires=" in lines["sAccessToken"]
    assert "; HttpOnly; SameSite=Lax; Path=/session/refresh; " in lines["sRefreshToken"]
    front = json.loads(base64.b64decode(answer.headers["front-token"]))
    assert (front["uid"], front["up"]["a"]) == ("alice", 1)
    assert answer.headers["access-control-expose-headers"] == "front-token"
    assert answer.headers["cache-control"] == "no-store"


def test_create_new_session_keeps_payload_and_data_and_has_defaults(seed: Seed) -> None:
    app = seed()
    payload = {"text": "ä€😀", "number": 2**53 + 1, "float": 0.1, "nested": [{"none": None}]}
    app.log_in(jwt_payload=payload, session_data={"list": [True, -(2**63)]})
    assert app.browser.get("/me").json()["payload"] == payload
    data = app.browser.post("/session/get_session_data", json=[]).json()
    assert data == {"list": [True, -(2**63)]}
    app.log_in()
    assert app.browser.get("/me").json()["payload"] == {}
    assert app.browser.post("/session/get_session_data", json=[]).json() == {}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_session_a_request_is_unauthorised(seed: Seed, method: str) -> None:
    app = seed()
    answer = app.browser.request(method, "/me")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "unauthorised",
        "message": "unauthorised",
        "reason": "no_session",
    }
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


def test_another_site_cannot_have_the_cookies_cleared(seed: Seed) -> None:
    app = seed()
    answer = app.browser.post("/me", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 401
    assert not set_cookies(answer)


@pytest.mark.parametrize("damage", ["x", ".", "", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_is_not_good_is_to_be_refreshed(seed: Seed, damage: str) -> None:
    app = seed()
    app.log_in()
    token = app.browser.cookie("sAccessToken") or ""
    before = app.store_calls()
    bad = token[: len(token) // 2] + damage
    answer = app.browser.another().get("/me", headers={"cookie": f"sAccessToken={bad}"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "try refresh token"
    assert not set_cookies(answer)
    after = app.store_calls()
    assert after["get_session"] == before["get_session"], "a forged token costs no store call"


def test_an_expired_token_is_to_be_refreshed_and_is_good_again_then(seed: Seed) -> None:
    app = seed(access_token_validity=60)
    app.log_in(jwt_payload={"a": 1})
    app.clock.advance(61)
    assert app.browser.get("/me").json()["error"] == "try refresh token"
    answer = app.browser.post("/session/refresh")
    assert answer.status_code == 200
    assert set_cookies(answer).keys() == {"sAccessToken", "sRefreshToken"}
    assert app.browser.get("/me").json()["payload"] == {"a": 1}


@pytest.mark.parametrize("path", ["/session/refresh", "/session/refresh/", "/refresh-session"])
def test_the_dependency_refreshes_on_the_refresh_path(seed: Seed, path: str) -> None:
    app = seed()
    app.log_in()
    before = app.browser.cookie("sRefreshToken")
    cookies = {"cookie": f"sRefreshToken={before}"}
    answer = app.browser.another().post(path, headers=cookies, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    assert set_cookies(answer).keys() == {"sAccessToken", "sRefreshToken"}


def test_another_method_on_the_refresh_path_verifies(seed: Seed) -> None:
    app = seed()
    app.log_in()
    answer = app.browser.get("/session/refresh")
    assert answer.status_code == 200
    assert not set_cookies(answer)


def test_the_refresh_path_is_a_setting(seed: Seed) -> None:
    app = seed(refresh_token_path="/again", refresh_api_path="/not-this")
    answer = app.log_in()
    assert "; Path=/again;" in set_cookies(answer)["sRefreshToken"]
    assert set_cookies(app.browser.post("/again")).keys() == {"sAccessToken", "sRefreshToken"}
    assert not set_cookies(app.browser.post("/session/refresh"))


def test_refresh_without_a_cookie_or_with_a_bad_one_is_unauthorised(seed: Seed) -> None:
    app = seed()
    for headers in ({}, {"cookie": "sRefreshToken=nonsense"}):
        answer = app.browser.post("/session/refresh", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == "unauthorised"
        assert cleared(answer) == {"sAccessToken", "sRefreshToken"}


def test_an_expired_session_is_unauthorised(seed: Seed) -> None:
    app = seed(refresh_token_validity=100)
    app.log_in()
    app.clock.advance(100 * 60 + 1)
    answer = app.browser.post("/session/refresh")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")
    assert answer.json()["reason"] == "session_expired"


def test_parallel_refreshes_all_succeed(seed: Seed) -> None:
    app = seed()
    app.log_in()
    tabs = [app.browser.copy() for _ in range(6)]
    answers = [tab.post("/session/refresh") for tab in tabs]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({tab.cookie("sRefreshToken") for tab in tabs}) == 1
    assert tabs[0].post("/session/refresh").status_code == 200


def test_a_stolen_refresh_token_is_found_out(seed: Seed) -> None:
    app = seed()
    app.log_in()
    thief = app.browser.copy()
    app.browser.post("/session/refresh")
    app.browser.post("/session/refresh")
    answer = thief.post("/session/refresh")
    assert answer.status_code == 401
    assert answer.json()["error"] == "token theft detected"
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}
    assert app.browser.post("/session/refresh").status_code == 401, "the session has ended"


class TestAntiCsrf:
    def test_by_method(self, seed: Seed) -> None:
        app = seed(enable_anti_csrf=True)
        token = app.log_in().headers["anti-csrf"]
        browser = app.browser
        assert browser.get("/me").status_code == 200
        assert browser.post("/me").json()["error"] == "try refresh token"
        assert browser.post("/me", headers={"anti-csrf": "wrong"}).status_code == 401
        assert browser.post("/me", headers={"anti-csrf": token}).status_code == 200

    def test_with_and_without(self, seed: Seed) -> None:
        app = seed(enable_anti_csrf=True)
        token = {"anti-csrf": app.log_in().headers["anti-csrf"]}
        browser = app.browser
        assert browser.get("/with-anti-csrf").status_code == 401
        assert browser.get("/with-anti-csrf", headers=token).status_code == 200
        assert browser.post("/without-anti-csrf").status_code == 200

    def test_get_session_as_asked(self, seed: Seed) -> None:
        app = seed(enable_anti_csrf=True)
        token = {"anti-csrf": app.log_in().headers["anti-csrf"]}
        path = "/get-session?enable_csrf_protection="
        assert app.browser.post(path + "false").json() == "alice"
        assert app.browser.post(path + "true").status_code == 401
        assert app.browser.post(path + "true", headers=token).json() == "alice"

    def test_off_by_default(self, seed: Seed) -> None:
        app = seed()
        assert "anti-csrf" not in app.log_in().headers
        assert app.browser.get("/with-anti-csrf").json() == "alice"
        assert app.browser.post("/get-session?enable_csrf_protection=true").json() == "alice"
