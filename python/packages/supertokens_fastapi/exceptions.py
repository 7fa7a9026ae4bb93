"""The errors of sessions, and functions that raise them."""

from __future__ import annotations

from typing import NoReturn


class SuperTokensError(Exception):
    """Any error of a session."""

    reason: str = ""
    """A stable code that says why; empty where the application raised it itself."""

    clears_cookies: bool = False
    """Whether the error's handler takes the caller's cookies away."""


class SuperTokensGeneralError(SuperTokensError):
    """A fault that the client did not cause: of the store, or of how it is called."""


class SuperTokensUnauthorisedError(SuperTokensError):
    """There is no session any more, or never was: the user must log in again."""

    clears_cookies = True


class SuperTokensTryRefreshTokenError(SuperTokensError):
    """The access token is not good any more, and a refresh may give a better one."""


class SuperTokensTokenTheftError(SuperTokensError):
    """A refresh token was used that had been replaced before."""

    clears_cookies = True

    def __init__(self, user_id: str, session_handle: str) -> None:
        super().__init__("token theft detected")
        self.user_id = user_id
        self.session_handle = session_handle


def raise_general_exception(
    msg: str | BaseException, previous: BaseException | None = None
) -> NoReturn:
    """Raises a SuperTokensGeneralError; an error of a session is raised as it is."""
    _raise(SuperTokensGeneralError, msg, previous)


def raise_token_theft_exception(user_id: str, session_handle: str) -> NoReturn:
    """Raises a SuperTokensTokenTheftError."""
    raise SuperTokensTokenTheftError(user_id, session_handle)


def raise_try_refresh_token_exception(msg: str | BaseException) -> NoReturn:
    """Raises a SuperTokensTryRefreshTokenError; an error of a session is raised as it is."""
    _raise(SuperTokensTryRefreshTokenError, msg, None)


def raise_unauthorised_exception(msg: str | BaseException) -> NoReturn:
    """Raises a SuperTokensUnauthorisedError; an error of a session is raised as it is."""
    _raise(SuperTokensUnauthorisedError, msg, None)


def _raise(
    kind: type[SuperTokensError], msg: str | BaseException, previous: BaseException | None
) -> NoReturn:
    for error in (msg, previous):
        if isinstance(error, SuperTokensError):
            raise error
    cause = msg if isinstance(msg, BaseException) else previous
    raise kind(str(msg)) from cause


def raise_wrong_argument(error: Exception) -> NoReturn:
    """Raises a SuperTokensGeneralError for an argument of a wrong type or value."""
    # The extension module says in a note which argument it is.
    notes: list[str] = getattr(error, "__notes__", [])
    raise SuperTokensGeneralError(" ".join([str(error), *notes])) from error


def make_error(
    kind: str,
    message: str,
    reason: str,
    status: int,
    user_id: str | None,
    session_handle: str | None,
) -> SuperTokensError:
    """The exception for a failure of the engine."""
    error: SuperTokensError
    if kind == "unauthorised":
        error = SuperTokensUnauthorisedError(message)
        # Another site may have sent the request.
        error.clears_cookies = reason != "anti_csrf_mismatch"
    elif kind == "try_refresh_token":
        error = SuperTokensTryRefreshTokenError(message)
    elif kind == "token_theft_detected":
        error = SuperTokensTokenTheftError(user_id or "", session_handle or "")
    else:
        error = SuperTokensGeneralError(message)
    error.reason = reason
    return error
