"""A request as far as sessions go."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from ._session import Session
from ._sessile import Call, Engine, Exchange
from ._settings import seconds
from ._shapes import to_dict
from .exceptions import GeneralError, SessionError


class Answer:
    """What a request is answered that does not get what it asked for."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status: int = status
        self.headers: list[tuple[str, str]] = headers
        self.body: bytes = body


class SessionRequest:
    """A request as far as sessions go: for logging in, and for what is done by its cookies.

    What it changes is in ``response_headers``, which the answer must carry; the middleware of
    ``sessile.asgi`` does that. Every asynchronous function has a twin ``sync_…``.
    """

    __slots__ = ("_engine", "_exchange", "_headers", "_method", "_scheme")

    def __init__(
        self, engine: Engine, method: str, scheme: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self._engine = engine
        self._method = method
        self._scheme = scheme
        self._headers = headers
        self._exchange: Exchange | None = None

    @property
    def exchange(self) -> Exchange:
        """What the extension module makes of the request, when it is first needed."""
        if self._exchange is None:
            self._exchange = self._engine.exchange(self._method, self._scheme, self._headers)
        return self._exchange

    async def get_session(
        self,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        login_within: float | timedelta | None = None,
    ) -> Session | None:
        """The session of the request; None if it has none and needs none.

        ``anti_csrf_check`` is by method where nothing is said: GET, HEAD, OPTIONS and TRACE are
        not checked. ``check_database`` makes a revocation hold at once, for one call of the
        store. ``login_within`` is how long ago the login may be at most, in seconds or as a
        timedelta, for what must not be done in an old session; it is a call of the store.
        """
        exchange = self.exchange
        within = None if login_within is None else seconds("login_within", login_within)
        try:
            found = exchange.authenticate(anti_csrf_check, check_database, within)
            native = await found if isinstance(found, Call) else found
        except SessionError as error:
            if session_required or error.kind != "unauthorised":
                raise
            return None
        if native is not None:
            return Session(native)
        if session_required:
            raise exchange.no_session()
        return None

    def sync_get_session(
        self,
        session_required: bool = True,
        anti_csrf_check: bool | None = None,
        check_database: bool | None = None,
        login_within: float | timedelta | None = None,
    ) -> Session | None:
        """As get_session."""
        exchange = self.exchange
        within = None if login_within is None else seconds("login_within", login_within)
        try:
            found = exchange.authenticate(anti_csrf_check, check_database, within)
            native = found.wait() if isinstance(found, Call) else found
        except SessionError as error:
            if session_required or error.kind != "unauthorised":
                raise
            return None
        if native is not None:
            return Session(native)
        if session_required:
            raise exchange.no_session()
        return None

    async def create_new_session(
        self,
        user_id: str,
        access_token_payload: Any = None,
        session_data_in_database: Any = None,
        *,
        client_label: str | None = None,
        tenant_id: str | None = None,
    ) -> Session:
        """Creates a session for this client, and ends the one that it had.

        Payload and data are dicts, dataclasses or Pydantic models. ``client_label`` is what the
        client is called in a list of the user's sessions.
        """
        return Session(
            await self.exchange.create_new_session(
                user_id,
                to_dict({} if access_token_payload is None else access_token_payload),
                to_dict({} if session_data_in_database is None else session_data_in_database),
                client_label,
                tenant_id,
            )
        )

    def sync_create_new_session(
        self,
        user_id: str,
        access_token_payload: Any = None,
        session_data_in_database: Any = None,
        *,
        client_label: str | None = None,
        tenant_id: str | None = None,
    ) -> Session:
        """As create_new_session."""
        call = self.exchange.create_new_session(
            user_id,
            to_dict({} if access_token_payload is None else access_token_payload),
            to_dict({} if session_data_in_database is None else session_data_in_database),
            client_label,
            tenant_id,
        )
        return Session(call.wait())

    async def refresh_session(self) -> Session:
        """Exchanges the request's refresh token, for a refresh route of one's own."""
        return Session(await self.exchange.refresh_session())

    def sync_refresh_session(self) -> Session:
        """As refresh_session."""
        return Session(self.exchange.refresh_session().wait())

    async def sign_out(self) -> None:
        """Ends the request's session, for a sign-out route of one's own."""
        await self.exchange.sign_out()

    def sync_sign_out(self) -> None:
        """As sign_out."""
        self.exchange.sign_out().wait()

    def raw_response_headers(self, has_cache_control: bool = False) -> list[tuple[bytes, bytes]]:
        """The headers that the answer must have beside its own, once; as ASGI has them."""
        if self._exchange is None:
            return []
        return self._exchange.response_headers(has_cache_control)

    def response_headers(self) -> list[tuple[str, str]]:
        """The headers that the answer must have beside its own, once.

        A name may come several times: ``Set-Cookie`` does, and each is a header of its own.
        """
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.raw_response_headers()
        ]

    def error_answer(self, error: SessionError) -> Answer:
        """How a request is answered that met this error, cleared cookies included."""
        headers = [("content-type", "application/json"), *self.response_headers()]
        return Answer(error.status, headers, error_body(error))


_MESSAGES = {
    "unauthorised": "unauthorised",
    "try_refresh_token": "try refresh token",
    "token_theft_detected": "token theft detected",
    "forbidden": "forbidden",
}


def error_body(error: SessionError) -> bytes:
    """The body that says why; nothing of the server's inside is in it."""
    if isinstance(error, GeneralError):
        message = "too many sessions" if error.reason == "too_many_sessions" else "internal error"
    else:
        message = _MESSAGES.get(error.kind, "internal error")
    return json.dumps({"message": message, "reason": error.reason}).encode()
