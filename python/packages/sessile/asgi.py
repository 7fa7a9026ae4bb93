"""Sessions in any ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from ._request import SessionRequest, error_body
from ._sessile import BROWSER_SCRIPT
from ._sessile import CORS_EXPOSED_HEADERS as CORS_EXPOSED_HEADERS
from ._sessile import CORS_REQUEST_HEADERS as CORS_REQUEST_HEADERS
from ._sessions import OpenEngine, Sessions
from .exceptions import GeneralError, SessionError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "sessile"
FIRST_SWEEP: Final = 60.0
SWEEP_INTERVAL: Final = 3600.0

logger: logging.Logger = logging.getLogger("sessile")


class StoreLifespan:
    """Opens the store when the application starts, sweeps it hourly, and closes it in the end."""

    def __init__(self, engine: OpenEngine) -> None:
        self._engine = engine
        self._sweeper: asyncio.Task[None] | None = None

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Goes through a lifespan with the application."""

        async def send_around(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                # The application's own start may have used it already. A store that cannot be
                # opened stops the start, and the application's framework says so.
                await self._engine.open()
                self._sweeper = asyncio.create_task(self._sweep())
            elif message["type"].startswith("lifespan.shutdown."):
                # Before the server hears of it, which may end the process at once then.
                await self._end()
            await send(message)

        try:
            await app(scope, receive, send_around)
        finally:
            await self._end()

    async def _end(self) -> None:
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
        self._engine.close()

    async def _sweep(self) -> None:
        pause = FIRST_SWEEP
        while True:
            await asyncio.sleep(pause)
            pause = SWEEP_INTERVAL
            try:
                await self._engine.engine.sweep()
            except Exception:
                logger.exception("expired sessions could not be removed; trying again later")


def answering(request: SessionRequest, send: Send) -> Send:
    """Sends on, with the headers that the request's sessions ask for."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
            cached = any(name.lower() == b"cache-control" for name, _ in headers)
            message = {**message, "headers": headers + request.raw_response_headers(cached)}
        await send(message)

    return send_with_headers


def session_request(engine: OpenEngine, scope: Scope) -> SessionRequest:
    """The request of this scope; a WebSocket is opened by a GET."""
    return SessionRequest(
        engine.engine, scope.get("method", "GET"), scope.get("scheme", "http"), scope["headers"]
    )


class SessionMiddleware:
    """Makes sessions work in the application inside it.

    It puts a ``SessionRequest`` into the scope, writes what became of the sessions into the
    answer, answers session errors that the application lets through, opens the store at the start
    and closes it in the end. It serves ``POST /session/refresh``, ``POST /signout``,
    ``GET /jwt/jwks.json`` and ``GET /sessile.js`` below ``api_base_path``, unless ``routes`` is
    False.

    Add it so that CORS middleware is outside of it.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, *, routes: bool = True) -> None:
        if not isinstance(sessions, Sessions):
            raise TypeError(f"sessions must be a sessile.Sessions, not {type(sessions).__name__}")
        self._app = app
        self._sessions = sessions
        self._lifespan = StoreLifespan(sessions)
        engine = sessions.engine
        self._routes = {
            ("POST", engine.refresh_path): self._refresh,
            ("POST", engine.sign_out_path): self._sign_out,
            ("GET", engine.json_web_key_set_path): self._json_web_key_set,
            ("GET", engine.browser_script_path): self._browser_script,
        } if routes else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan.run(self._app, scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = session_request(self._sessions, scope)
        send_with_headers = answering(request, send)
        started = False

        async def send_and_notice(message: Message) -> None:
            nonlocal started
            started = True
            await send_with_headers(message)

        outer = scope.get(SCOPE_KEY)
        scope[SCOPE_KEY] = request
        try:
            route = None
            if scope["type"] == "http":
                route = self._routes.get((scope["method"], scope["path"]))
            if route is None:
                await self._app(scope, receive, send_and_notice)
            else:
                await route(request, send_and_notice)
        except SessionError as error:
            if started:
                raise
            if scope["type"] == "websocket":
                # The handshake is answered with 403: a WebSocket has no other refusal.
                await send({"type": "websocket.close", "code": 1008, "reason": error.reason})
                return
            if isinstance(error, GeneralError):
                logger.error("a session could not be served: %s", error)
            await _respond(send_with_headers, error.status, error_body(error))
        finally:
            scope[SCOPE_KEY] = outer

    async def _refresh(self, request: SessionRequest, send: Send) -> None:
        await request.refresh_session()
        await _respond(send, 200, b"{}")

    async def _sign_out(self, request: SessionRequest, send: Send) -> None:
        await request.sign_out()
        await _respond(send, 200, b'{"status": "OK"}')

    async def _json_web_key_set(self, request: SessionRequest, send: Send) -> None:
        keys, cache_control = await self._sessions.get_json_web_key_set()
        headers = [
            (b"cache-control", cache_control.encode()),
            (b"access-control-allow-origin", b"*"),
        ]
        await _respond(send, 200, json.dumps(keys).encode(), headers)

    async def _browser_script(self, request: SessionRequest, send: Send) -> None:
        headers = [(b"cache-control", b"public, max-age=3600")]
        kind = b"text/javascript; charset=utf-8"
        await _respond(send, 200, BROWSER_SCRIPT.encode(), headers, kind)


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    kind: bytes = b"application/json",
) -> None:
    length = str(len(body)).encode()
    described = [(b"content-type", kind), (b"content-length", length), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body})
