"""What was wrong with the founding SDK, and is not here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from seed_application import SeedApplication
from serving import cleared, set_cookies
from stores import ON_EVERY_STORE
from supertokens_fastapi import Session, SuperTokens, supertokens_session

pytestmark = ON_EVERY_STORE

Seed = Callable[..., SeedApplication]
BOTH = {"sAccessToken", "sRefreshToken"}


def test_64_first_requests_at_once(seed: Seed) -> None:
    """A lock was held across an await, and several first requests hung the process."""
    app = seed()

    async def log_in_everywhere() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=64)
        base_url = app.browser.base_url
        async with httpx.AsyncClient(
            base_url=base_url, limits=limits, timeout=30, trust_env=False
        ) as client:
            logins = (client.post("/login", json={"user_id": f"u{n}"}) for n in range(64))
            return await asyncio.gather(*logins)

    answers = asyncio.run(log_in_everywhere())
    assert [answer.status_code for answer in answers] == [200] * 64
    assert len({answer.json()["handle"] for answer in answers}) == 64
    assert app.store_calls()["insert_session"] == 64


@pytest.mark.parametrize("contract", ["current", "1.0"])
def test_a_refresh_with_anti_csrf_on(seed: Seed, contract: str) -> None:
    """A refresh failed against newer cores, because its anti-CSRF token was not sent on."""
    app = seed(enable_anti_csrf=True, front_end_contract=contract)
    token = app.log_in().headers["anti-csrf"]
    headers = {"anti-csrf": token} if contract == "current" else {}
    answer = app.browser.post("/session/refresh", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["anti-csrf"] == token


def test_sync_callbacks_are_called_once(seed: Seed) -> None:
    """They were called, awaited, and called again for the TypeError of that."""
    app = seed()
    calls: list[str] = []

    def answer(name: str) -> Response:
        calls.append(name)
        return JSONResponse({})

    app.supertokens.set_unauthorised_error_handler(lambda error: answer("unauthorised"))
    app.supertokens.set_try_refresh_token_error_handler(lambda error: answer("refresh"))
    app.supertokens.set_token_theft_detected_error_handler(lambda handle, user: answer("theft"))
    app.browser.get("/me")
    app.browser.get("/me", headers={"cookie": "sAccessToken=bad"})
    app.log_in()
    thief = app.browser.copy()
    app.browser.post("/session/refresh")
    app.browser.post("/session/refresh")
    thief.post("/session/refresh")
    assert calls == ["unauthorised", "refresh", "theft"]


def test_a_type_error_of_an_async_callback_is_not_swallowed(seed: Seed) -> None:
    app = seed()
    calls: list[Exception] = []

    async def callback(error: Exception) -> Response:
        calls.append(error)
        raise TypeError("mine")

    app.supertokens.set_unauthorised_error_handler(callback)
    assert app.browser.get("/me").status_code == 500
    assert len(calls) == 1
    assert str(app.failures[-1]) == "mine"


@pytest.mark.parametrize("contract", ["current", "1.0"])
def test_a_revoked_session_is_cleared_once(seed: Seed, contract: str) -> None:
    """Six cookies, and `remove, remove`, were sent when an error followed."""
    app = seed(front_end_contract=contract)
    app.log_in()
    answer = app.browser.post("/revoke-and-fail")
    assert answer.status_code == 401
    names = BOTH if contract == "current" else {*BOTH, "sIdRefreshToken"}
    assert cleared(answer) == names
    header = "front-token" if contract == "current" else "id-refresh-token"
    assert answer.headers.get_list(header) == ["remove"]


def test_an_error_after_an_update_leaves_no_token_behind(seed: Seed) -> None:
    """The handler cleared the cookies, and the middleware set the access token again."""
    app = seed()
    app.log_in()
    answer = app.browser.post("/update-and-fail")
    assert answer.status_code == 401
    assert cleared(answer) == BOTH
    assert not app.browser.cookies


def test_another_users_handle_does_not_clear_the_callers_cookies(seed: Seed) -> None:
    app = seed()
    app.log_in()
    answer = app.browser.post("/function/update_session_data", json=["none", {}])
    assert answer.status_code == 401
    assert not set_cookies(answer)


@pytest.mark.parametrize(
    "user", ["  padded ", "\u00a0x", "ÄÖ€😀", "a/b;c=d,e", "'\"\\", "x" * 128, "None", "ﬁ"]
)
def test_user_ids_are_kept_to_the_letter(seed: Seed, user: str) -> None:
    """Strings of a token that was verified locally were stripped."""
    app = seed()
    app.log_in(user_id=user)
    assert app.browser.get("/me").json()["user_id"] == user
    handles = app.browser.post("/function/get_all_session_handles_for_user", json=[user])
    assert len(handles.json()) == 1
    assert app.browser.post("/session/refresh").status_code == 200
    assert app.browser.get("/me").json()["user_id"] == user


def test_a_user_id_is_as_long_as_the_store_has_room_for(seed: Seed, place: str) -> None:
    """The column of SuperTokens' core, which PostgreSQL has, takes 128 characters."""
    app = seed()
    answer = app.browser.post("/login", json={"user_id": "x" * 256})
    assert answer.status_code == (200 if place == "file" else 500)
    assert bool(set_cookies(answer)) == (place == "file")


def test_a_token_without_a_user_is_not_taken(seed: Seed) -> None:
    app = seed()
    for user in ("", None):
        answer = app.browser.another().post("/login", json={"user_id": user})
        assert answer.status_code == 500
        assert not set_cookies(answer)
    assert app.store_calls()["insert_session"] == 0


def test_empty_hosts_have_a_clear_error() -> None:
    """`hosts="a;"` was an IndexError."""
    for hosts in ("a;", ";", ""):
        with pytest.raises(NotImplementedError, match="hosts"):
            SuperTokens(FastAPI(), hosts=hosts)


def test_a_payload_is_given_by_copy(seed: Seed) -> None:
    app = seed()
    @app.app.get("/mutate")
    async def mutate(session: Session = Depends(supertokens_session)) -> dict[str, Any]:
        session.get_jwt_payload()["list"].append("changed")
        session.get_jwt_payload().clear()
        return session.get_jwt_payload()

    app.log_in(jwt_payload={"list": [1]})
    assert app.browser.get("/mutate").json() == {"list": [1]}


def test_front_end_names_are_not_collected(seed: Seed) -> None:
    """Headers that nobody had checked filled a list that nobody emptied."""
    app = seed()
    app.log_in()
    headers = {"supertokens-sdk-name": "x" * 1000, "supertokens-sdk-version": "1"}
    assert app.browser.get("/me", headers=headers).status_code == 200


def test_many_threads_log_in_at_once(seed: Seed) -> None:
    app = seed()

    def log_in(number: int) -> int:
        answer = httpx.post(
            str(app.browser.base_url) + "/login",
            json={"user_id": str(number)},
            timeout=30,
            trust_env=False,
        )
        return answer.status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(log_in, range(48))) == {200}
