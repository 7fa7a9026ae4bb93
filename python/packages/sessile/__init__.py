"""Session management for web applications, with the engine inside the process."""

from ._request import Answer, SessionRequest
from ._sessile import __version__
from ._session import Session, SessionInformation
from ._sessions import Sessions
from .exceptions import (
    ForbiddenError,
    GeneralError,
    SessionError,
    TokenTheftError,
    TryRefreshTokenError,
    UnauthorisedError,
)

__all__ = [
    "Answer",
    "ForbiddenError",
    "GeneralError",
    "Session",
    "SessionError",
    "SessionInformation",
    "SessionRequest",
    "Sessions",
    "TokenTheftError",
    "TryRefreshTokenError",
    "UnauthorisedError",
    "__version__",
]
