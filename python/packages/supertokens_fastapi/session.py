"""The session of a request, with the errors of this package."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from sessile._session import Session as SessileSession

from .exceptions import raise_wrong_argument

T = TypeVar("T")


async def general_errors(work: Awaitable[T]) -> T:
    """Awaits it, and makes a general error of what is wrong with its arguments."""
    try:
        return await work
    except (TypeError, ValueError) as error:
        raise_wrong_argument(error)


class Session(SessileSession):
    """The session of a request.

    Reading the user and the payload asks nobody; each other function is one call of the store.
    What changes the client's cookies is in the answer.
    """

    __slots__ = ()

    async def update_jwt_payload(self, new_jwt_payload: dict[str, Any]) -> None:
        """Replaces the payload, and with it the access token, whose expiry stays. One call."""
        await general_errors(super().update_jwt_payload(new_jwt_payload))

    async def update_session_data(self, new_session_data: dict[str, Any]) -> None:
        """Overwrites what is kept with the session. One call."""
        await general_errors(super().update_session_data(new_session_data))
