"""Puts what became of a request's sessions into its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessile.asgi import ASGIApp, Receive, Scope, Send, StoreLifespan, answering, session_request

from ._instances import SCOPE_KEY, RequestContext, serving

if TYPE_CHECKING:
    from .supertokens import SuperTokens


class ResponseMiddleware:
    """The middleware that ``SuperTokens`` adds to its application."""

    def __init__(self, app: ASGIApp, supertokens: SuperTokens) -> None:
        self._app = app
        self._supertokens = supertokens
        self._lifespan = StoreLifespan(supertokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan.run(self._app, scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = session_request(self._supertokens, scope)
        outer = scope.get(SCOPE_KEY)
        scope[SCOPE_KEY] = RequestContext(self._supertokens, request)
        token = serving.set(self._supertokens)
        try:
            await self._app(scope, receive, answering(request, send))
        finally:
            serving.reset(token)
            scope[SCOPE_KEY] = outer
