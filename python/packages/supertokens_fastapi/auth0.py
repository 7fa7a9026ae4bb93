"""Logging in by Auth0."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .exceptions import SuperTokensError, SuperTokensGeneralError, raise_general_exception
from .functions import create_new_session, supertokens_session_with_anti_csrf
from .session import Session

Auth0Callback = Callable[[str, str, str, str | None], Awaitable[None] | None]


async def auth0_handler(
    request: Request,
    domain: str,
    client_id: str,
    client_secret: str,
    callback: Auth0Callback | None = None,
) -> Response:
    """Serves the route that a front-end calls with the JSON body
    ``{"action": "login" | "refresh" | "logout", "code": …, "redirect_uri": …}``.

    ``login`` exchanges the code at Auth0 and creates a session of the user whom the id token
    names; with a ``callback``, it is called with that user's id, the id token, the access token
    and the refresh token or None instead, and may create the session. ``refresh`` gives a new id
    token, by a code or by the refresh token that is kept in the session data. ``logout`` ends the
    session. The client is given ``id_token`` and ``expires_in``; where Auth0 refuses, its status.

    Raises HTTPException and the errors of sessions as they come, and SuperTokensGeneralError for
    everything else.
    """
    try:
        return await _handle(request, domain, client_id, client_secret, callback)
    except (HTTPException, SuperTokensError):
        raise
    except Exception as error:
        raise_general_exception(f"auth0_handler failed: {error!r}", error)


async def _handle(
    request: Request,
    domain: str,
    client_id: str,
    client_secret: str,
    callback: Auth0Callback | None,
) -> Response:
    body = await request.json()
    action = body["action"]
    session: Session | None = None
    if action == "logout":
        session = getattr(request.state, "supertokens", None)
        if session is None:
            session = await supertokens_session_with_anti_csrf(request)
        await session.revoke_session()
        return JSONResponse({})
    if action != "login":
        session = await supertokens_session_with_anti_csrf(request)

    code = body.get("code")
    form = {"client_id": client_id, "client_secret": client_secret}
    if session is not None and code is None:
        refresh_token = (await session.get_session_data()).get("refresh_token")
        if refresh_token is None:
            return JSONResponse({}, 403)
        form |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
    else:
        form |= {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": body["redirect_uri"],
        }
    status, tokens = await _ask_auth0(domain, form)
    if status != 200:
        return JSONResponse({}, status)

    id_token: str = tokens["id_token"]
    expires_in = tokens["expires_in"]
    new_refresh_token: str | None = tokens.get("refresh_token")
    if action == "login":
        user_id = _user_of(id_token, domain, client_id)
        if callback is not None:
            called = callback(user_id, id_token, tokens["access_token"], new_refresh_token)
            if inspect.isawaitable(called):
                await called
        else:
            data = {} if new_refresh_token is None else {"refresh_token": new_refresh_token}
            await create_new_session(request, user_id, {}, data)
    elif session is not None and code is not None:
        data = await session.get_session_data()
        data.pop("refresh_token", None)
        if new_refresh_token is not None:
            data["refresh_token"] = new_refresh_token
        await session.update_session_data(data)
    return JSONResponse({"id_token": id_token, "expires_in": expires_in})


async def _ask_auth0(domain: str, form: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    try:
        import httpx
    except ImportError as error:
        raise SuperTokensGeneralError(
            'auth0_handler needs httpx: pip install "sessile[auth0]"'
        ) from error
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"https://{domain}/oauth/token", data=form)
    if answer.status_code != 200:
        return answer.status_code, {}
    tokens: dict[str, Any] = answer.json()
    return 200, tokens


def _user_of(id_token: str, domain: str, client_id: str) -> str:
    """The user whom the id token names. Its signature need not be checked: it came from Auth0
    itself, over TLS (OpenID Connect Core, section 3.1.3.7)."""
    claims_text = id_token.split(".")[1]
    padding = "=" * (-len(claims_text) % 4)
    claims = json.loads(base64.urlsafe_b64decode(claims_text + padding))
    audience = claims.get("aud", client_id)
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise SuperTokensGeneralError("Auth0's id token is for another client: check client_id")
    if str(claims.get("iss", domain)).removeprefix("https://").rstrip("/") != domain:
        raise SuperTokensGeneralError("Auth0's id token is of another issuer: check domain")
    user_id = claims["sub"]
    if not isinstance(user_id, str):
        raise SuperTokensGeneralError("Auth0's id token names no user")
    return user_id
