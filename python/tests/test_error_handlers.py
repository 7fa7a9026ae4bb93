"""The callbacks of an application, and what is answered without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.responses import JSONResponse, Response
from seed_application import SeedApplication
from serving import cleared, set_cookies
from supertokens_fastapi.exceptions import (
    SuperTokensGeneralError,
    SuperTokensTryRefreshTokenError,
    SuperTokensUnauthorisedError,
)

Seed = Callable[..., SeedApplication]
BOTH = {"sAccessToken", "sRefreshToken"}


class Recorder:
    """A callback that keeps what it was called with."""

    def __init__(self, status: int = 499) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.status = status

    def sync(self, *arguments: Any) -> Response:
        self.calls.append(arguments)
        return JSONResponse({"own": True}, self.status)

    async def asynchronous(self, *arguments: Any) -> Response:
        return self.sync(*arguments)


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
class TestCallbacks:
    def test_unauthorised(self, seed: Seed, kind: str) -> None:
        app, recorder = seed(), Recorder()
        app.supertokens.set_unauthorised_error_handler(getattr(recorder, kind))
        answer = app.browser.get("/me")
        assert (answer.status_code, answer.json()) == (499, {"own": True})
        assert cleared(answer) == BOTH
        ((error,),) = recorder.calls
        assert type(error) is SuperTokensUnauthorisedError

    def test_try_refresh_token(self, seed: Seed, kind: str) -> None:
        app, recorder = seed(), Recorder()
        app.supertokens.set_try_refresh_token_error_handler(getattr(recorder, kind))
        answer = app.browser.get("/me", headers={"cookie": "sAccessToken=bad"})
        assert (answer.status_code, answer.json()) == (499, {"own": True})
        assert not set_cookies(answer)
        ((error,),) = recorder.calls
        assert type(error) is SuperTokensTryRefreshTokenError

    def test_token_theft(self, seed: Seed, kind: str) -> None:
        app, recorder = seed(), Recorder()
        app.supertokens.set_token_theft_detected_error_handler(getattr(recorder, kind))
        handle = app.log_in().json()["handle"]
        thief = app.browser.copy()
        app.browser.post("/session/refresh")
        app.browser.post("/session/refresh")
        answer = thief.post("/session/refresh")
        assert (answer.status_code, answer.json()) == (499, {"own": True})
        assert cleared(answer) == BOTH
        assert recorder.calls == [(handle, "alice")]


def test_the_status_of_an_ended_session_is_a_setting(seed: Seed) -> None:
    app = seed(session_expired_status_code=440)
    assert app.browser.get("/me").status_code == 440
    assert app.browser.get("/me", headers={"cookie": "sAccessToken=bad"}).status_code == 440


@pytest.mark.parametrize(
    ("kind", "error", "clears"),
    [
        ("unauthorised", "unauthorised", BOTH),
        ("try-refresh", "try refresh token", set()),
        ("theft", "token theft detected", BOTH),
    ],
)
def test_errors_that_the_application_raises(
    seed: Seed, kind: str, error: str, clears: set[str]
) -> None:
    app = seed()
    app.log_in()
    answer = app.browser.post(f"/raise/{kind}")
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert cleared(answer) == clears


def test_a_theft_that_the_application_reports_ends_the_session(seed: Seed) -> None:
    app = seed()
    app.browser.post("/raise/theft")
    assert app.store_calls()["remove_sessions"] == 1


def test_a_general_error_is_the_frameworks(seed: Seed) -> None:
    app = seed()
    assert app.browser.post("/raise/general").status_code == 500
    (error,) = app.failures
    assert (type(error), str(error)) == (SuperTokensGeneralError, "general")


def test_a_callback_that_raises_or_returns_no_response_is_a_fault(seed: Seed) -> None:
    app = seed()
    seen = app.failures

    async def raises(error: Exception) -> Response:
        raise TypeError("mine")

    app.supertokens.set_unauthorised_error_handler(raises)
    assert app.browser.get("/me").status_code == 500
    assert (type(seen[-1]), str(seen[-1])) == (TypeError, "mine")

    app.supertokens.set_unauthorised_error_handler(lambda error: ("text", 401))  # type: ignore[arg-type, return-value]
    # The server has closed the connection of the first one.
    assert app.browser.another().get("/me").status_code == 500
    assert type(seen[-1]) is SuperTokensGeneralError
    assert "must return a Response, not tuple" in str(seen[-1])


def test_a_callback_must_be_callable(seed: Seed) -> None:
    app = seed()
    for setter in (
        app.supertokens.set_unauthorised_error_handler,
        app.supertokens.set_try_refresh_token_error_handler,
        app.supertokens.set_token_theft_detected_error_handler,
    ):
        with pytest.raises(ValueError, match="callback"):
            setter(None)  # type: ignore[arg-type]
