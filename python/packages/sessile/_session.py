"""The session of a request."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from ._sessile import Session as NativeSession
from ._shapes import from_dict, to_dict

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class SessionInformation:
    """All that is known of a session. Moments are milliseconds since the Unix epoch."""

    session_handle: str
    user_id: str
    tenant_id: str
    access_token_payload: dict[str, Any]
    """The payload as it is stored, which may be newer than any access token."""
    session_data: dict[str, Any]
    time_created: int
    last_refreshed: int | None
    """When it was refreshed last; None if it never was."""
    expiry: int | None
    """When it ends unless it is refreshed; None for never."""
    ends_at: int | None
    """When it ends for good; None for never."""
    client_label: str | None
    """What the application calls the client, its device for instance."""


class Session:
    """The session of a request.

    Reading the user and the payload asks nobody; each other function is one call of the store.
    What changes the client's tokens is in the answer. Every asynchronous function has a twin
    ``sync_…`` for programs without an event loop, which waits in its thread.

    The six functions of the founding SDK's session object keep their names, and have those of
    supertokens-python beside them.
    """

    __slots__ = ("_native",)

    def __init__(self, native: NativeSession) -> None:
        self._native = native

    def get_user_id(self) -> str:
        """The user's id. No call of the store."""
        return self._native.user_id

    def get_recipe_user_id(self) -> str:
        """The account that logged in, where a SuperTokens core has linked several to the user; else
        the same as get_user_id. No call of the store."""
        return self._native.recipe_user_id

    def get_handle(self) -> str:
        """The session's name. No call of the store."""
        return self._native.handle

    def get_session_handle(self) -> str:
        """The same as get_handle."""
        return self._native.handle

    def get_tenant_id(self) -> str:
        """The tenant of the user. No call of the store."""
        return self._native.tenant_id

    def get_access_token(self) -> str:
        """The access token that the client has, or will have once it has the answer."""
        return self._native.access_token

    def get_access_token_expiry(self) -> int:
        """When the access token ends, in milliseconds since the Unix epoch."""
        return self._native.access_token_expiry

    def get_jwt_payload(self) -> dict[str, Any]:
        """A copy of the access token's payload; after an update, the new one. No call."""
        return self._native.jwt_payload()

    def get_access_token_payload(self) -> dict[str, Any]:
        """The same as get_jwt_payload."""
        return self._native.jwt_payload()

    def get_access_token_payload_as(self, shape: type[T]) -> T:
        """The payload as a dataclass, a TypedDict or a Pydantic model. No call of the store."""
        return from_dict(shape, self._native.jwt_payload())

    async def update_jwt_payload(self, new_jwt_payload: Any) -> None:
        """Replaces the payload, and with it the access token, whose expiry stays. One call."""
        await self._native.update_jwt_payload(to_dict(new_jwt_payload))

    async def merge_into_access_token_payload(
        self, access_token_payload_update: dict[str, Any]
    ) -> None:
        """Sets these keys of the payload, and removes those whose value is None. One call."""
        await self._native.update_jwt_payload(
            self._merged(access_token_payload_update)
        )

    def _merged(self, update: dict[str, Any]) -> dict[str, Any]:
        merged = {**self._native.jwt_payload(), **to_dict(update)}
        return {key: value for key, value in merged.items() if value is not None}

    async def get_session_data(self) -> dict[str, Any]:
        """What is kept with the session in the store; clients never see it. One call."""
        return await self._native.session_data()

    async def get_session_data_from_database(self) -> dict[str, Any]:
        """The same as get_session_data."""
        return await self._native.session_data()

    async def get_session_data_as(self, shape: type[T]) -> T:
        """The session data as a dataclass, a TypedDict or a Pydantic model. One call."""
        return from_dict(shape, await self._native.session_data())

    async def update_session_data(self, new_session_data: Any) -> None:
        """Overwrites what is kept with the session. One call."""
        await self._native.update_session_data(to_dict(new_session_data))

    async def update_session_data_in_database(self, new_session_data: Any) -> None:
        """The same as update_session_data."""
        await self._native.update_session_data(to_dict(new_session_data))

    async def revoke_session(self) -> None:
        """Ends the session and clears the client's tokens, also if it had ended before. One call."""
        await self._native.revoke()

    async def revoke_other_sessions(self) -> list[str]:
        """Ends all other sessions of the user, and gives their handles. One call."""
        return await self._native.revoke_others()

    async def get_session_information(self) -> SessionInformation:
        """All that is known of the session. One call."""
        return SessionInformation(**await self._native.information())

    async def get_time_created(self) -> int:
        """When the session was created, in milliseconds since the Unix epoch. One call."""
        return (await self.get_session_information()).time_created

    async def get_expiry(self) -> int | None:
        """When the session ends unless it is refreshed, in milliseconds. One call."""
        return (await self.get_session_information()).expiry

    def sync_update_jwt_payload(self, new_jwt_payload: Any) -> None:
        """As update_jwt_payload."""
        self._native.update_jwt_payload(to_dict(new_jwt_payload)).wait()

    def sync_merge_into_access_token_payload(
        self, access_token_payload_update: dict[str, Any]
    ) -> None:
        """As merge_into_access_token_payload."""
        merged = self._merged(access_token_payload_update)
        self._native.update_jwt_payload(merged).wait()

    def sync_get_session_data(self) -> dict[str, Any]:
        """As get_session_data."""
        return self._native.session_data().wait()

    def sync_get_session_data_from_database(self) -> dict[str, Any]:
        """As get_session_data_from_database."""
        return self._native.session_data().wait()

    def sync_get_session_data_as(self, shape: type[T]) -> T:
        """As get_session_data_as."""
        return from_dict(shape, self._native.session_data().wait())

    def sync_update_session_data(self, new_session_data: Any) -> None:
        """As update_session_data."""
        self._native.update_session_data(to_dict(new_session_data)).wait()

    def sync_update_session_data_in_database(self, new_session_data: Any) -> None:
        """As update_session_data_in_database."""
        self._native.update_session_data(to_dict(new_session_data)).wait()

    def sync_revoke_session(self) -> None:
        """As revoke_session."""
        self._native.revoke().wait()

    def sync_revoke_other_sessions(self) -> list[str]:
        """As revoke_other_sessions."""
        return self._native.revoke_others().wait()

    def sync_get_session_information(self) -> SessionInformation:
        """As get_session_information."""
        return SessionInformation(**self._native.information().wait())

    def sync_get_time_created(self) -> int:
        """As get_time_created."""
        return self.sync_get_session_information().time_created

    def sync_get_expiry(self) -> int | None:
        """As get_expiry."""
        return self.sync_get_session_information().expiry

    def __repr__(self) -> str:
        return f"<Session {self.get_handle()} of user {self.get_user_id()!r}>"
