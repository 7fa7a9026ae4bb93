"""Sessions in a store."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, cast

from . import _lifecycle, _settings
from ._request import SessionRequest
from ._sessile import Engine, ManualClock
from ._session import SessionInformation
from ._shapes import to_dict
from .exceptions import make_error

logger: logging.Logger = logging.getLogger("sessile")


class OpenEngine:
    """An engine that is closed when the process ends, and while it forks."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        error_maker: Callable[[str, str, str, int, str | None, str | None], BaseException],
    ) -> None:
        self.engine: Engine = Engine(settings, error_maker)
        _lifecycle.watch(self)

    async def open(self) -> None:
        """Opens the store now, and not when it is first needed; again after ``close``."""
        await self.engine.open()

    def sync_open(self) -> None:
        """As open."""
        self.engine.open().wait()

    def close(self) -> None:
        """Finishes what was begun and closes the store. Every later call fails."""
        self.engine.close()

    def begin_fork(self) -> None:
        """Closes the store while the process forks. Calls wait until ``end_fork``."""
        self.engine.begin_fork()

    def end_fork(self) -> None:
        """Opens the store again, in the process that has forked."""
        self.engine.end_fork()

    def store_calls(self) -> dict[str, int]:
        """How often each function of the store was called, by its name.

        It counts from when this process opened the store, and is empty before that. For tests
        that hold what a request costs, and for metrics.
        """
        return self.engine.store_calls()


class Sessions(OpenEngine):
    """Sessions in a store, and how they meet the browser.

    Nothing is opened before it is needed, and each process opens the store for itself, so it may
    be made before a server forks its workers. Spans of time are seconds or timedeltas.

    ``store``: the path of a file, which is made if it is not there, with a key file beside it;
    the URL of a PostgreSQL database, ``postgresql://…``, which several machines may share; or
    ``:memory:`` for nothing that outlives the process. Without it, ``sessile.db`` in the working
    folder.

    Every asynchronous function has a twin ``sync_…``, which waits in its thread.

    Raises ValueError that names the setting which is wrong.
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | None = None,
        *,
        app_id: str = "public",
        access_token_validity: float | timedelta = 3600,
        refresh_token_validity: float | timedelta = 100 * 86400,
        absolute_lifetime: float | timedelta | None = 365 * 86400,
        refresh_grace_period: float | timedelta = 30,
        signing_key_update_interval: float | timedelta = 168 * 3600,
        check_database: bool = False,
        algorithm: Literal["ES256", "EdDSA", "RS256"] = "ES256",
        front_end_contract: Literal["current", "1.0"] = "current",
        api_base_path: str = "",
        public_origin: str | None = None,
        trusted_origins: Iterable[str] = (),
        cookie_domain: str | None = None,
        cookie_secure: bool | None = None,
        cookie_same_site: Literal["lax", "strict", "none"] = "lax",
        anti_csrf: Literal["fetch-metadata", "token", "custom-header", "off"] = "fetch-metadata",
        token_transfer: Literal["cookie", "header"] = "cookie",
        refresh_in_place: bool = False,
        session_expired_status_code: int = 401,
        clock: ManualClock | None = None,
    ) -> None:
        place = _settings.store(store)
        lifetime = absolute_lifetime
        if not isinstance(api_base_path, str):
            raise ValueError(f"api_base_path must be a str, not {api_base_path!r}")
        contract = _settings.one_of("front_end_contract", front_end_contract, ("current", "1.0"))
        transfer = _settings.one_of("token_transfer", token_transfer, ("cookie", "header"))
        super().__init__(
            _settings.engine_settings(
                **place,
                app_id=_settings.text("app_id", app_id),
                clock=_settings.clock(clock),
                access_token_validity=_settings.seconds(
                    "access_token_validity", access_token_validity, minimum=1
                ),
                refresh_token_validity=_settings.seconds(
                    "refresh_token_validity", refresh_token_validity, minimum=1
                ),
                absolute_lifetime=(
                    None if lifetime is None else _settings.seconds("absolute_lifetime", lifetime)
                ),
                refresh_grace_period=_settings.seconds(
                    "refresh_grace_period", refresh_grace_period
                ),
                signing_key_update_interval=_settings.seconds(
                    "signing_key_update_interval", signing_key_update_interval, minimum=120
                ),
                check_database=_settings.boolean("check_database", check_database),
                algorithm=_settings.one_of("algorithm", algorithm, ("ES256", "EdDSA", "RS256")),
                id_refresh_token_contract=contract == "1.0",
                api_base_path=api_base_path,
                public_origin=_settings.optional_text("public_origin", public_origin),
                trusted_origins=_settings.texts("trusted_origins", trusted_origins),
                cookie_domain=_settings.optional_text("cookie_domain", cookie_domain),
                cookie_secure=_settings.optional_boolean("cookie_secure", cookie_secure),
                cookie_same_site=_settings.one_of(
                    "cookie_same_site", cookie_same_site, ("lax", "strict", "none")
                ),
                anti_csrf=_settings.one_of(
                    "anti_csrf", anti_csrf, ("fetch-metadata", "token", "custom-header", "off")
                ),
                header_transfer=transfer == "header",
                refresh_in_place=_settings.boolean("refresh_in_place", refresh_in_place),
                session_expired_status_code=_settings.whole_number(
                    "session_expired_status_code",
                    session_expired_status_code,
                    minimum=400,
                    maximum=599,
                ),
            ),
            make_error,
        )
        logger.info("sessions are kept in %s", self.engine.location)

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] | Mapping[str, str],
        *, scheme: str = "http",
    ) -> SessionRequest:
        """A request by its headers, for frameworks that have no middleware of ours.

        ``headers`` are pairs or a mapping of text, as Flask's ``request.headers`` and Django's
        ``request.headers`` are. ``scheme`` is ``https`` where the browser used that.
        """
        given = headers.items() if isinstance(headers, Mapping) else headers
        pairs = cast("Iterable[tuple[str, str]]", given)
        try:
            raw = [(name.encode("ascii"), _header_bytes(value)) for name, value in pairs]
        except (AttributeError, TypeError, ValueError) as error:
            raise TypeError("headers must be pairs or a mapping of str that HTTP has") from error
        return SessionRequest(self.engine, method, scheme, raw)

    async def revoke_session(self, session_handle: str) -> bool:
        """Ends a session; says whether it existed. One call of the store."""
        return bool(await self.engine.revoke_sessions([session_handle]))

    async def revoke_multiple_sessions(self, session_handles: list[str]) -> list[str]:
        """Ends several sessions, and gives those that existed. One call of the store."""
        return await self.engine.revoke_sessions(session_handles)

    async def revoke_all_sessions_for_user(
        self, user_id: str, tenant_id: str | None = None, *, except_session: str | None = None
    ) -> list[str]:
        """Ends all sessions of a user but one, and gives their handles. One call of the store."""
        return await self.engine.revoke_sessions_of_user(user_id, tenant_id, except_session)

    async def get_sessions_for_user(
        self, user_id: str, tenant_id: str | None = None
    ) -> list[SessionInformation]:
        """The sessions of a user, oldest first. One call of the store."""
        found = await self.engine.sessions_of_user(user_id, tenant_id)
        return [SessionInformation(**information) for information in found]

    async def get_all_session_handles_for_user(
        self, user_id: str, tenant_id: str | None = None
    ) -> list[str]:
        """The handles of a user's sessions, oldest first. One call of the store."""
        found = await self.engine.sessions_of_user(user_id, tenant_id)
        return [information["session_handle"] for information in found]

    async def get_session_information(self, session_handle: str) -> SessionInformation | None:
        """All that is known of a session; None if there is none. One call of the store."""
        found = await self.engine.session_information(session_handle)
        return None if found is None else SessionInformation(**found)

    async def update_session_data_in_database(
        self, session_handle: str, new_session_data: Any
    ) -> None:
        """Overwrites what is kept with a session. One call of the store."""
        await self.engine.update_session_data(session_handle, to_dict(new_session_data))

    async def update_access_token_payload(
        self, session_handle: str, new_access_token_payload: Any
    ) -> None:
        """Replaces the stored payload; the client sees it with the next refresh. One call."""
        await self.engine.update_jwt_payload(session_handle, to_dict(new_access_token_payload))

    async def get_json_web_key_set(self) -> tuple[dict[str, Any], str]:
        """The public keys (RFC 7517), and the value of ``Cache-Control`` for them."""
        return await self.engine.json_web_key_set()

    async def sweep(self) -> int:
        """Removes what has expired, and gives the number of sessions. Once an hour is plenty."""
        return await self.engine.sweep()

    def sync_revoke_session(self, session_handle: str) -> bool:
        """As revoke_session."""
        return bool(self.engine.revoke_sessions([session_handle]).wait())

    def sync_revoke_multiple_sessions(self, session_handles: list[str]) -> list[str]:
        """As revoke_multiple_sessions."""
        return self.engine.revoke_sessions(session_handles).wait()

    def sync_revoke_all_sessions_for_user(
        self, user_id: str, tenant_id: str | None = None, *, except_session: str | None = None
    ) -> list[str]:
        """As revoke_all_sessions_for_user."""
        return self.engine.revoke_sessions_of_user(user_id, tenant_id, except_session).wait()

    def sync_get_sessions_for_user(
        self, user_id: str, tenant_id: str | None = None
    ) -> list[SessionInformation]:
        """As get_sessions_for_user."""
        found = self.engine.sessions_of_user(user_id, tenant_id).wait()
        return [SessionInformation(**information) for information in found]

    def sync_get_all_session_handles_for_user(
        self, user_id: str, tenant_id: str | None = None
    ) -> list[str]:
        """As get_all_session_handles_for_user."""
        found = self.engine.sessions_of_user(user_id, tenant_id).wait()
        return [information["session_handle"] for information in found]

    def sync_get_session_information(self, session_handle: str) -> SessionInformation | None:
        """As get_session_information."""
        found = self.engine.session_information(session_handle).wait()
        return None if found is None else SessionInformation(**found)

    def sync_update_session_data_in_database(
        self, session_handle: str, new_session_data: Any
    ) -> None:
        """As update_session_data_in_database."""
        self.engine.update_session_data(session_handle, to_dict(new_session_data)).wait()

    def sync_update_access_token_payload(
        self, session_handle: str, new_access_token_payload: Any
    ) -> None:
        """As update_access_token_payload."""
        payload = to_dict(new_access_token_payload)
        self.engine.update_jwt_payload(session_handle, payload).wait()

    def sync_get_json_web_key_set(self) -> tuple[dict[str, Any], str]:
        """As get_json_web_key_set."""
        return self.engine.json_web_key_set().wait()

    def sync_sweep(self) -> int:
        """As sweep."""
        return self.engine.sweep().wait()


def _header_bytes(value: str) -> bytes:
    """The bytes of a header that a framework has made text of."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape")
