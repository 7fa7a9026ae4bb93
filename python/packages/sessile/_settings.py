"""Checks of settings: whatever is wrong is a ValueError that names the setting."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from ._sessile import ManualClock

MEMORY: Final = ":memory:"
DEFAULT_FILE: Final = "sessile.db"
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9/_.~-]*")


def _wrong(name: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{name} must be {wanted}, not {value!r}")


def number(
    name: str, value: object, *, minimum: float, maximum: float, unit: str
) -> float:
    """A number in these limits, both inclusive."""
    limits = f"a number of {unit} between {minimum:g} and {maximum:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(name, value, limits)
    if not math.isfinite(value) or not minimum <= value <= maximum:
        raise _wrong(name, value, limits)
    return float(value)


def whole_number(
    name: str, value: object, *, minimum: int, maximum: int, unit: str = ""
) -> int:
    """An integer in these limits, both inclusive."""
    of_unit = f" of {unit}" if unit else ""
    limits = f"a whole number{of_unit} between {minimum} and {maximum}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, value, limits)
    if not minimum <= value <= maximum:
        raise _wrong(name, value, limits)
    return value


def seconds(name: str, value: object, *, minimum: float = 0) -> float:
    """A span of time, given in seconds or as a timedelta."""
    given = value.total_seconds() if isinstance(value, timedelta) else value
    return number(name, given, minimum=minimum, maximum=1e11, unit="seconds")


def boolean(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def optional_boolean(name: str, value: object) -> bool | None:
    """True, False, or None."""
    return None if value is None else boolean(name, value)


def text(name: str, value: object) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str) or not value:
        raise _wrong(name, value, "a str that is not empty")
    return value


def optional_text(name: str, value: object) -> str | None:
    """Any text that is not empty, or None."""
    return None if value is None else text(name, value)


def url_path(name: str, value: object) -> str:
    """A path that a cookie can have."""
    path = text(name, value)
    if not _PLAIN_PATH.fullmatch(path):
        raise _wrong(name, value, "a plain path that begins with /")
    return path


def texts(name: str, value: object) -> list[str]:
    """Several texts. One alone is an error, because it would be taken apart by its letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _wrong(name, value, "a list of str")
    return [text(name, item) for item in value]


def one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of these words, in small or capital letters."""
    if isinstance(value, str):
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
    listed = ", ".join(repr(choice) for choice in choices)
    raise _wrong(name, value, f"one of {listed}")


def clock(value: object) -> ManualClock | None:
    """A clock that a test moves, or None for the system's."""
    if value is None or isinstance(value, ManualClock):
        return value
    raise _wrong("clock", value, "a sessile.testing.ManualClock or None")


def store(value: object) -> dict[str, str | None]:
    """Where sessions are kept: the settings `path`, which is absolute, and `postgres_url`, of
    which one is None; both for memory."""
    if value is None:
        value = DEFAULT_FILE
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    place = text("store", value)
    if place == MEMORY:
        return {"path": None, "postgres_url": None}
    scheme, separator, _ = place.partition("://")
    if separator and scheme in ("postgres", "postgresql"):
        return {"path": None, "postgres_url": place}
    if separator:
        # There may be a password in it.
        raise ValueError(
            "store must be the path of a file, a URL that begins with postgresql://, or "
            f"':memory:', and not a URL that begins with {scheme}://"
        )
    if "\0" in place:
        raise _wrong("store", value, "a path without a NUL character")
    return {"path": os.path.abspath(place), "postgres_url": None}


def engine_settings(**changed: Any) -> dict[str, Any]:
    """All settings of an engine, these and the defaults of the others."""
    settings: dict[str, Any] = {
        "path": None,
        "postgres_url": None,
        "app_id": "public",
        "clock": None,
        "access_token_validity": 3600.0,
        "refresh_token_validity": 100 * 86400.0,
        "absolute_lifetime": 365 * 86400.0,
        "refresh_grace_period": 30.0,
        "signing_key_update_interval": 168 * 3600.0,
        "static_signing_key": False,
        "check_database": False,
        "algorithm": "ES256",
        "id_refresh_token_contract": False,
        "api_base_path": "",
        "access_token_path": "/",
        "refresh_token_path": None,
        "public_origin": None,
        "trusted_origins": [],
        "cookie_domain": None,
        "cookie_secure": None,
        "cookie_same_site": "lax",
        "anti_csrf": "fetch-metadata",
        "header_transfer": False,
        "refresh_in_place": False,
        "session_expired_status_code": 401,
    }
    unknown = changed.keys() - settings.keys()
    if unknown:
        raise TypeError(f"unknown settings: {', '.join(sorted(unknown))}")
    return {**settings, **changed}
