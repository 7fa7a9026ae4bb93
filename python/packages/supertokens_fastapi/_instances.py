"""Which application's sessions a function means."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from starlette.requests import HTTPConnection

from sessile._request import SessionRequest

from .exceptions import SuperTokensGeneralError

if TYPE_CHECKING:
    from .supertokens import SuperTokens

SCOPE_KEY: Final = "supertokens_fastapi"


class RequestContext:
    """A request that is being served, and the sessions of its application."""

    __slots__ = ("request", "supertokens")

    def __init__(self, supertokens: SuperTokens, request: SessionRequest) -> None:
        self.supertokens = supertokens
        self.request = request


serving: Final[ContextVar[SuperTokens | None]] = ContextVar("supertokens_fastapi", default=None)
"""The sessions of the application that is serving the current request."""

_made: Final[list[weakref.ref[SuperTokens]]] = []


def remember(supertokens: SuperTokens) -> None:
    """Lets functions without a request find these sessions, where they are the only ones."""
    _made[:] = [known for known in _made if known() is not None]
    _made.append(weakref.ref(supertokens))


def of_request(connection: HTTPConnection) -> RequestContext | None:
    """The context of a request; None where its application has no sessions."""
    context = connection.scope.get(SCOPE_KEY)
    return context if isinstance(context, RequestContext) else None


def required(connection: HTTPConnection) -> RequestContext:
    """The context of a request.

    Raises SuperTokensGeneralError where its application has no sessions.
    """
    try:
        context = connection.scope.get(SCOPE_KEY)
    except AttributeError:
        raise SuperTokensGeneralError(
            f"a request is needed, not {type(connection).__name__}"
        ) from None
    if not isinstance(context, RequestContext):
        raise SuperTokensGeneralError(
            "the application of this request has no sessions: SuperTokens(app) gives it some"
        )
    return context


def current() -> SuperTokens:
    """The sessions that a function without a request means.

    While a request is served, those of its application; otherwise the only ones of the process.
    Raises SuperTokensGeneralError where that names none, or several.
    """
    found = serving.get()
    if found is not None:
        return found
    alive = [known for reference in _made if (known := reference()) is not None]
    if len(alive) == 1:
        return alive[0]
    if not alive:
        raise SuperTokensGeneralError("no application has sessions: SuperTokens(app) gives it some")
    raise SuperTokensGeneralError(
        "several applications of this process have sessions, and this is called outside of a "
        "request: use `with supertokens.selected():` to say which are meant"
    )
