"""Sessions for one application."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sessile import _settings
from sessile._sessile import ManualClock
from sessile._sessions import OpenEngine

from . import _instances
from ._middleware import ResponseMiddleware
from .exceptions import (
    SuperTokensError,
    SuperTokensGeneralError,
    SuperTokensTokenTheftError,
    SuperTokensTryRefreshTokenError,
    SuperTokensUnauthorisedError,
    make_error,
)

logger: logging.Logger = logging.getLogger("sessile")

ErrorCallback = Callable[[SuperTokensUnauthorisedError], Response | Awaitable[Response]]
TryRefreshCallback = Callable[
    [SuperTokensTryRefreshTokenError], Response | Awaitable[Response]
]
TheftCallback = Callable[[str, str], Response | Awaitable[Response]]


class SuperTokens(OpenEngine):
    """Gives an application sessions: its middleware, its error handlers, and its store.

    Nothing is opened before it is needed, and each process opens the store for itself, so it may
    be made before a server forks its workers.

    The first eight parameters are those of SuperTokens' SDK. Without ``hosts``, sessions are kept
    in a file: ``sessile.db`` in the working folder, or the one that ``store`` names. That may also
    be the URL of a PostgreSQL database, ``postgresql://…``, such as the one that a SuperTokens core
    has, or ``:memory:``, which keeps them in the process. The other keywords have the names, units and defaults of the core's
    config.yaml, as far as it had them:

    - ``access_token_validity``: seconds;
    - ``refresh_token_validity``: minutes;
    - ``access_token_signing_key_update_interval``: hours.

    ``front_end_contract`` says which front-end SDK the cookies and headers are for: today's, or
    ``"1.0"`` for those with ``sIdRefreshToken`` and ``id-refresh-token``.

    Raises ValueError that names the setting which is wrong, and NotImplementedError for a core by
    ``hosts``, which is to come.
    """

    def __init__(
        self,
        app: Starlette,
        hosts: str | None = None,
        api_key: str | None = None,
        access_token_path: str | None = None,
        refresh_token_path: str | None = None,
        cookie_domain: str | None = None,
        cookie_secure: bool | None = None,
        cookie_same_site: Literal["lax", "strict", "none"] | None = None,
        *,
        store: str | os.PathLike[str] | None = None,
        access_token_validity: int = 3600,
        refresh_token_validity: float = 144_000,
        access_token_blacklisting: bool = False,
        access_token_signing_key_dynamic: bool = True,
        access_token_signing_key_update_interval: float = 24,
        enable_anti_csrf: bool = False,
        refresh_api_path: str = "/session/refresh",
        session_expired_status_code: int = 401,
        front_end_contract: Literal["current", "1.0"] = "current",
        algorithm: Literal["ES256", "EdDSA", "RS256"] = "ES256",
        app_id: str = "public",
        public_origin: str | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        if not isinstance(app, Starlette):
            raise ValueError(f"app must be a FastAPI or Starlette application, not {app!r}")
        if hosts is not None:
            raise NotImplementedError(
                "hosts: a remote SuperTokens core is to come and cannot be used yet; leave it "
                "out, and sessions are kept in a file (store=…)"
            )
        if api_key is not None:
            raise NotImplementedError(
                "api_key: it is for a remote SuperTokens core, which is to come and cannot be "
                "used yet"
            )
        place = _settings.store(store)
        validity = _settings.whole_number(
            "access_token_validity",
            access_token_validity,
            minimum=1,
            maximum=86_400_000,
            unit="seconds",
        )
        refresh_validity = _settings.number(
            "refresh_token_validity",
            refresh_token_validity,
            minimum=1 / 60,
            maximum=1e9,
            unit="minutes",
        )
        update_interval = _settings.number(
            "access_token_signing_key_update_interval",
            access_token_signing_key_update_interval,
            minimum=1,
            maximum=720,
            unit="hours",
        )
        dynamic = _settings.boolean(
            "access_token_signing_key_dynamic", access_token_signing_key_dynamic
        )
        anti_csrf = _settings.boolean("enable_anti_csrf", enable_anti_csrf)
        same_site = "lax" if cookie_same_site is None else _settings.one_of(
            "cookie_same_site", cookie_same_site, ("lax", "strict", "none")
        )
        if same_site == "none" and not anti_csrf:
            raise ValueError(
                "cookie_same_site 'none' lets other sites send the cookies: set enable_anti_csrf "
                "to True with it"
            )
        contract = _settings.one_of("front_end_contract", front_end_contract, ("current", "1.0"))
        refresh_path = _settings.url_path("refresh_api_path", refresh_api_path)
        if refresh_token_path is not None:
            refresh_path = _settings.url_path("refresh_token_path", refresh_token_path)
        access_path = "/" if access_token_path is None else _settings.url_path(
            "access_token_path", access_token_path
        )
        expired_status = _settings.whole_number(
            "session_expired_status_code", session_expired_status_code, minimum=400, maximum=599
        )
        super().__init__(
            _settings.engine_settings(
                **place,
                app_id=_settings.text("app_id", app_id),
                clock=_settings.clock(clock),
                access_token_validity=float(validity),
                refresh_token_validity=refresh_validity * 60,
                # A session lived for as long as it was refreshed.
                absolute_lifetime=None,
                signing_key_update_interval=update_interval * 3600,
                static_signing_key=not dynamic,
                check_database=_settings.boolean(
                    "access_token_blacklisting", access_token_blacklisting
                ),
                algorithm=_settings.one_of("algorithm", algorithm, ("ES256", "EdDSA", "RS256")),
                id_refresh_token_contract=contract == "1.0",
                access_token_path=access_path,
                refresh_token_path=refresh_path,
                public_origin=_settings.optional_text("public_origin", public_origin),
                cookie_domain=_settings.optional_text("cookie_domain", cookie_domain),
                cookie_secure=_settings.optional_boolean("cookie_secure", cookie_secure),
                cookie_same_site=same_site,
                anti_csrf="token" if anti_csrf else "off",
                session_expired_status_code=expired_status,
            ),
            make_error,
        )
        self._status = expired_status
        self._plain_bodies = contract == "1.0"
        self._on_unauthorised: ErrorCallback | None = None
        self._on_try_refresh_token: TryRefreshCallback | None = None
        self._on_token_theft: TheftCallback | None = None
        app.add_middleware(ResponseMiddleware, supertokens=self)
        app.add_exception_handler(SuperTokensUnauthorisedError, self._answer_unauthorised)
        app.add_exception_handler(SuperTokensTryRefreshTokenError, self._answer_try_refresh)
        app.add_exception_handler(SuperTokensTokenTheftError, self._answer_token_theft)
        _instances.remember(self)
        # Leaving `hosts` out once meant a core on this machine, so where sessions are instead
        # must be seen; INFO would not be, where logging is not configured.
        level = logging.WARNING if store is None else logging.INFO
        logger.log(level, "sessions are kept in %s", self.engine.location)

    @contextlib.contextmanager
    def selected(self) -> Iterator[None]:
        """Within it, functions without a request mean these sessions: for what is done outside of
        a request, where several applications of the process have sessions."""
        token = _instances.serving.set(self)
        try:
            yield
        finally:
            _instances.serving.reset(token)

    def set_unauthorised_error_handler(self, callback: ErrorCallback) -> None:
        """Answers requests without a session by ``callback``, a function or a coroutine function
        of the error. Cookies are cleared whatever it answers."""
        self._on_unauthorised = _checked(callback)

    def set_try_refresh_token_error_handler(self, callback: TryRefreshCallback) -> None:
        """Answers requests whose access token is not good by ``callback``, a function or a
        coroutine function of the error. Cookies stay."""
        self._on_try_refresh_token = _checked(callback)

    def set_token_theft_detected_error_handler(self, callback: TheftCallback) -> None:
        """Answers refreshes by a stolen token by ``callback``, a function or a coroutine function
        of session handle and user id. The session has been ended before, and cookies are cleared
        whatever it answers."""
        self._on_token_theft = _checked(callback)

    async def _answer_unauthorised(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SuperTokensUnauthorisedError)
        await self._clear_cookies(request, error)
        if self._on_unauthorised is None:
            return self._default_answer("unauthorised", error)
        return await _answer_of(self._on_unauthorised(error), "unauthorised")

    async def _answer_try_refresh(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SuperTokensTryRefreshTokenError)
        if self._on_try_refresh_token is None:
            return self._default_answer("try refresh token", error)
        return await _answer_of(self._on_try_refresh_token(error), "try refresh token")

    async def _answer_token_theft(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SuperTokensTokenTheftError)
        await self._clear_cookies(request, error)
        if self._on_token_theft is None:
            # The engine has ended the session of a theft that it found; this is one that the
            # application reports.
            if not error.reason:
                await self.engine.revoke_sessions([error.session_handle])
            return self._default_answer("token theft detected", error)
        answer = self._on_token_theft(error.session_handle, error.user_id)
        return await _answer_of(answer, "token theft")

    async def _clear_cookies(self, request: Request, error: SuperTokensError) -> None:
        context = _instances.of_request(request)
        if error.clears_cookies and context is not None:
            await context.request.exchange.clear_tokens()

    def _default_answer(self, text: str, error: SuperTokensError) -> Response:
        content = {"error": text}
        if not self._plain_bodies:
            # What today's front-end SDKs read, and why.
            content |= {"message": text, "reason": error.reason or text.replace(" ", "_")}
        return JSONResponse(content, self._status)


def _checked(callback: Any) -> Any:
    if not callable(callback):
        raise ValueError(f"the callback must be a function, not {callback!r}")
    return callback


async def _answer_of(answer: object, name: str) -> Response:
    if inspect.isawaitable(answer):
        answer = await answer
    if not isinstance(answer, Response):
        raise SuperTokensGeneralError(
            f"the {name} error handler must return a Response, not {type(answer).__name__}"
        )
    return answer
