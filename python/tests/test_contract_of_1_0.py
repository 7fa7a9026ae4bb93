"""The browser contract of the founding SDK, by a setting."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from seed_application import SeedApplication
from serving import cleared, set_cookies
from stores import ON_EVERY_STORE

pytestmark = ON_EVERY_STORE

ALL = {"sAccessToken", "sRefreshToken", "sIdRefreshToken"}


@pytest.fixture
def app(seed: Callable[..., SeedApplication]) -> SeedApplication:
    return seed(front_end_contract="1.0", enable_anti_csrf=True)


def expiry(answer: httpx.Response, name: str) -> str:
    return set_cookies(answer)[name].split("Expires=")[1]


def test_a_login(app: SeedApplication) -> None:
    answer = app.log_in()
    lines = set_cookies(answer)
    assert lines.keys() == ALL
    assert "HttpOnly; SameSite=Lax; Path=/;" in lines["sIdRefreshToken"]
    assert expiry(answer, "sIdRefreshToken") == expiry(answer, "sRefreshToken")
    value, _, moment = answer.headers["id-refresh-token"].partition(";")
    assert value == app.browser.cookie("sIdRefreshToken")
    assert int(moment) - app.clock.now() * 1000 == pytest.approx(100 * 86_400_000, abs=2)
    assert answer.headers.get_list("access-control-expose-headers") == [
        "id-refresh-token",
        "anti-csrf",
    ]
    assert answer.headers["anti-csrf"]
    assert "front-token" not in answer.headers


def test_a_refresh(app: SeedApplication) -> None:
    login = app.log_in()
    answer = app.browser.post("/session/refresh")
    assert answer.status_code == 200
    assert set_cookies(answer).keys() == ALL
    assert answer.headers["id-refresh-token"] != login.headers["id-refresh-token"]
    assert answer.headers["anti-csrf"]


def test_verification_sets_nothing_and_an_update_the_access_token_alone(
    app: SeedApplication,
) -> None:
    token = {"anti-csrf": app.log_in().headers["anti-csrf"]}
    answer = app.browser.get("/me")
    assert answer.status_code == 200 and not set_cookies(answer)
    answer = app.browser.post("/session/update_jwt_payload", json=[{"a": 1}], headers=token)
    assert set_cookies(answer).keys() == {"sAccessToken"}
    assert "id-refresh-token" not in answer.headers


def test_the_end(app: SeedApplication) -> None:
    token = {"anti-csrf": app.log_in().headers["anti-csrf"]}
    answer = app.browser.post("/session/revoke_session", json=[], headers=token)
    assert cleared(answer) == ALL
    assert answer.headers.get_list("id-refresh-token") == ["remove"]
    assert answer.headers.get_list("access-control-expose-headers") == ["id-refresh-token"]
    assert "anti-csrf" not in answer.headers
    assert not app.browser.cookies


def test_bodies_are_those_of_the_seed(app: SeedApplication) -> None:
    answer = app.browser.get("/me")
    assert (answer.status_code, answer.json()) == (401, {"error": "unauthorised"})
    assert cleared(answer) == ALL
    assert answer.headers["id-refresh-token"] == "remove"

    app.log_in()
    app.browser.forget("sAccessToken")
    answer = app.browser.get("/me")
    assert (answer.status_code, answer.json()) == (401, {"error": "try refresh token"})
    assert not set_cookies(answer)

    answer = app.browser.post("/me")
    assert answer.json() == {"error": "try refresh token"}

    thief = app.browser.copy()
    app.browser.post("/session/refresh")
    app.browser.post("/session/refresh")
    answer = thief.post("/session/refresh")
    assert (answer.status_code, answer.json()) == (401, {"error": "token theft detected"})
    assert cleared(answer) == ALL


def test_without_the_id_cookie_there_is_no_session(app: SeedApplication) -> None:
    app.log_in()
    app.browser.forget("sIdRefreshToken")
    answer = app.browser.get("/me")
    assert answer.json() == {"error": "unauthorised"}
    assert cleared(answer) == ALL


def test_a_failed_anti_csrf_check_keeps_the_cookies(app: SeedApplication) -> None:
    app.log_in()
    answer = app.browser.post("/me", headers={"anti-csrf": "wrong"})
    assert (answer.status_code, answer.json()) == (401, {"error": "try refresh token"})
    assert not set_cookies(answer)
