"""Sessions in FastAPI and Starlette: dependencies, and functions that take a request.

The application needs ``sessile.asgi.SessionMiddleware``::

    sessions = Sessions("sessile.db")
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=sessions)

    @app.get("/me")
    async def me(session: Annotated[Session, Depends(verify_session())]) -> str:
        return session.get_user_id()
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, overload

try:
    from starlette.requests import HTTPConnection
except ImportError:
    raise ImportError('sessile.fastapi needs FastAPI: pip install "sessile[fastapi]"') from None

from . import _settings
from ._request import SessionRequest
from ._session import Session
from .asgi import SCOPE_KEY


def session_request(connection: HTTPConnection) -> SessionRequest:
    """The request as far as sessions go. It is a dependency as well."""
    request = connection.scope.get(SCOPE_KEY)
    if not isinstance(request, SessionRequest):
        raise RuntimeError(
            "this application has no sessions: "
            "app.add_middleware(sessile.asgi.SessionMiddleware, sessions=…)"
        )
    return request


@overload
def verify_session(
    session_required: Literal[True] = True,
    *,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    login_within: float | timedelta | None = None,
) -> Callable[[HTTPConnection], Awaitable[Session]]: ...


@overload
def verify_session(
    session_required: bool,
    *,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    login_within: float | timedelta | None = None,
) -> Callable[[HTTPConnection], Awaitable[Session | None]]: ...


def verify_session(
    session_required: bool = True,
    *,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    login_within: float | timedelta | None = None,
) -> Callable[[HTTPConnection], Awaitable[Any]]:
    """A dependency that gives the session of the request.

    Without ``session_required``, it gives None to a request that has none, or whose session has
    ended. The others are those of ``SessionRequest.get_session``.
    """
    _settings.boolean("session_required", session_required)
    anti_csrf_check = _settings.optional_boolean("anti_csrf_check", anti_csrf_check)
    check_database = _settings.optional_boolean("check_database", check_database)
    within = None if login_within is None else _settings.seconds("login_within", login_within)

    async def session_of(connection: HTTPConnection) -> Session | None:
        return await session_request(connection).get_session(
            session_required, anti_csrf_check, check_database, within
        )

    return session_of


async def create_new_session(
    connection: HTTPConnection,
    user_id: str,
    access_token_payload: Any = None,
    session_data_in_database: Any = None,
    *,
    client_label: str | None = None,
    tenant_id: str | None = None,
) -> Session:
    """Creates a session for the client of this request, and ends the one that it had."""
    return await session_request(connection).create_new_session(
        user_id,
        access_token_payload,
        session_data_in_database,
        client_label=client_label,
        tenant_id=tenant_id,
    )


async def get_session(
    connection: HTTPConnection,
    session_required: bool = True,
    anti_csrf_check: bool | None = None,
    check_database: bool | None = None,
    login_within: float | timedelta | None = None,
) -> Session | None:
    """The session of this request, as ``SessionRequest.get_session`` gives it."""
    return await session_request(connection).get_session(
        session_required, anti_csrf_check, check_database, login_within
    )
