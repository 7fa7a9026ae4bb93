"""The functions of sessions: by request, by handle, and of a user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from sessile._sessile import Call
from sessile._sessile import Session as NativeSession

from . import _instances
from .exceptions import SuperTokensUnauthorisedError, raise_wrong_argument
from .session import Session

T = TypeVar("T")

_CORS_HEADERS = ("anti-csrf", "supertokens-sdk-name", "supertokens-sdk-version")
_CORS_HEADERS_OF_TODAY = ("rid", "authorization", "st-auth-mode", "fdi-version")


def _keep(request: Request, native: NativeSession) -> Session:
    session = Session(native)
    # The same as `request.state.supertokens = session`, at a fraction of what that costs.
    request.scope.setdefault("state", {})["supertokens"] = session
    return session


async def create_new_session(
    request: Request,
    user_id: str,
    jwt_payload: dict[str, Any] | None = None,
    session_data: dict[str, Any] | None = None,
) -> Session:
    """Creates a session for the client of this request, whose answer carries its cookies.

    Raises SuperTokensGeneralError.
    """
    exchange = _instances.required(request).request.exchange
    payload = {} if jwt_payload is None else jwt_payload
    data = {} if session_data is None else session_data
    try:
        native = await exchange.create_new_session(user_id, payload, data)
    except (TypeError, ValueError) as error:
        raise_wrong_argument(error)
    return _keep(request, native)


async def get_session(request: Request, enable_csrf_protection: bool) -> Session:
    """The session of this request. No call of the store, unless access_token_blacklisting is on.

    ``enable_csrf_protection``: whether the request must carry the anti-CSRF token; it counts
    where enable_anti_csrf is on.

    Raises SuperTokensGeneralError, SuperTokensUnauthorisedError, SuperTokensTryRefreshTokenError.
    """
    return await _verify(request, bool(enable_csrf_protection))


async def _verify(request: Request, enable_csrf_protection: bool | None) -> Session:
    exchange = _instances.required(request).request.exchange
    found = exchange.authenticate(enable_csrf_protection)
    native = await found if isinstance(found, Call) else found
    if native is None:
        raise exchange.no_session()
    return _keep(request, native)


async def refresh_session(request: Request) -> Session:
    """Exchanges the refresh token of this request, whose answer carries the new cookies.

    Raises SuperTokensGeneralError, SuperTokensUnauthorisedError, SuperTokensTokenTheftError.
    """
    exchange = _instances.required(request).request.exchange
    return _keep(request, await exchange.refresh_session())


def _refreshes(request: Request) -> bool:
    if request.method != "POST":
        return False
    path: str = request.scope["path"]
    refresh_path = _instances.required(request).supertokens.engine.refresh_path
    return path == refresh_path or path == refresh_path + "/"


async def _session_of(request: Request, enable_csrf_protection: bool | None) -> Session:
    if _refreshes(request):
        return await refresh_session(request)
    return await _verify(request, enable_csrf_protection)


async def supertokens_session(request: Request) -> Session:
    """A dependency: the session of the request, checked for anti-CSRF unless its method is safe.

    On a POST to the refresh path it refreshes the session.
    """
    return await _session_of(request, None)


async def supertokens_session_with_anti_csrf(request: Request) -> Session:
    """As supertokens_session, checked for anti-CSRF whatever its method."""
    return await _session_of(request, True)


async def supertokens_session_without_anti_csrf(request: Request) -> Session:
    """As supertokens_session, not checked for anti-CSRF."""
    return await _session_of(request, False)


async def _by_handle(call: Callable[[], Awaitable[T]]) -> T:
    """What is asked by a handle, which may be another client's than the caller's."""
    try:
        return await call()
    except SuperTokensUnauthorisedError as error:
        error.clears_cookies = False
        raise
    except (TypeError, ValueError) as error:
        raise_wrong_argument(error)


async def revoke_session(session_handle: str) -> bool:
    """Ends a session; says whether it existed."""
    return len(await revoke_multiple_sessions([session_handle])) == 1


async def revoke_all_sessions_for_user(user_id: str) -> list[str]:
    """Ends all sessions of a user, and gives their handles."""
    engine = _instances.current().engine
    return await _by_handle(lambda: engine.revoke_sessions_of_user(user_id))


async def get_all_session_handles_for_user(user_id: str) -> list[str]:
    """The handles of a user's sessions, oldest first."""
    engine = _instances.current().engine
    found = await _by_handle(lambda: engine.sessions_of_user(user_id))
    return [information["session_handle"] for information in found]


async def revoke_multiple_sessions(session_handles: list[str]) -> list[str]:
    """Ends several sessions, and gives those that existed."""
    engine = _instances.current().engine
    return await _by_handle(lambda: engine.revoke_sessions(session_handles))


async def get_session_data(session_handle: str) -> dict[str, Any]:
    """The data kept with a session. Raises SuperTokensUnauthorisedError if there is none."""
    engine = _instances.current().engine
    return await _by_handle(lambda: engine.session_data(session_handle))


async def update_session_data(session_handle: str, new_session_data: dict[str, Any]) -> None:
    """Overwrites the data kept with a session.

    Raises SuperTokensUnauthorisedError if there is none.
    """
    engine = _instances.current().engine
    await _by_handle(lambda: engine.update_session_data(session_handle, new_session_data))


async def get_jwt_payload(session_handle: str) -> dict[str, Any]:
    """The payload of a session as it is stored, which may be newer than any access token.

    Raises SuperTokensUnauthorisedError if there is none.
    """
    engine = _instances.current().engine
    return await _by_handle(lambda: engine.jwt_payload(session_handle))


async def update_jwt_payload(session_handle: str, new_jwt_payload: dict[str, Any]) -> None:
    """Replaces the stored payload of a session; its client sees it with the next refresh.

    Raises SuperTokensUnauthorisedError if there is none.
    """
    engine = _instances.current().engine
    await _by_handle(lambda: engine.update_jwt_payload(session_handle, new_jwt_payload))


def get_cors_allowed_headers() -> list[str]:
    """The request headers that a front-end on another origin must be allowed to send."""
    return [*_CORS_HEADERS, *_CORS_HEADERS_OF_TODAY]


def set_relevant_headers_for_options_api(response: Response) -> None:
    """Puts what a preflight must allow for sessions into its answer."""
    for header in get_cors_allowed_headers():
        response.headers.append("Access-Control-Allow-Headers", header)
    response.headers["Access-Control-Allow-Credentials"] = "true"
