"""What can go wrong with a session."""

from __future__ import annotations

from typing import Final


class SessionError(Exception):
    """Something is wrong with a session, or with the store of sessions.

    ``reason`` is a stable code that says why, which is also in the answer's body; ``status`` is
    the status of the answer.
    """

    kind: Final[str]
    reason: Final[str]
    status: Final[int]

    def __init__(self, message: str, *, reason: str, status: int, kind: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.status = status


class UnauthorisedError(SessionError):
    """There is no session any more, or never was: the user must log in again."""


class TryRefreshTokenError(SessionError):
    """The access token is not good any more, and a refresh may give a better one."""


class TokenTheftError(SessionError):
    """A refresh token was used that had been replaced before. The session was ended."""

    user_id: str
    session_handle: str


class ForbiddenError(SessionError):
    """Another site may have sent the request, or the login is too long ago. No session ends."""


class GeneralError(SessionError):
    """A fault that the client did not cause: of the store, or of how it is called."""


def make_error(
    kind: str,
    message: str,
    reason: str,
    status: int,
    user_id: str | None,
    session_handle: str | None,
) -> SessionError:
    """The exception for a failure of the engine."""
    if kind == "token_theft_detected":
        theft = TokenTheftError(message, reason=reason, status=status, kind=kind)
        theft.user_id = user_id or ""
        theft.session_handle = session_handle or ""
        return theft
    error = _BY_KIND.get(kind, GeneralError)
    return error(message, reason=reason, status=status, kind=kind)


_BY_KIND: Final[dict[str, type[SessionError]]] = {
    "unauthorised": UnauthorisedError,
    "try_refresh_token": TryRefreshTokenError,
    "forbidden": ForbiddenError,
}
