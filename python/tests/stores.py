"""Where the sessions of a test are kept, and what is there past whatever is tested."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Protocol

import pytest
from postgres_server import Database

ON_EVERY_STORE = pytest.mark.on_every_store
"""Has a test that needs a store, or those of a module, run once on each."""


class Store(Protocol):
    """A place for sessions."""

    setting: str
    """The setting `store`."""

    def users(self) -> list[str]:
        """The user of each session."""

    def is_closed(self) -> bool:
        """Whether nobody has it open."""


class FileStore:
    """A file."""

    def __init__(self, path: Path) -> None:
        self.setting = str(path)

    def users(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.setting)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return [user for (user,) in database.execute("SELECT user_id FROM sessions")]

    def is_closed(self) -> bool:
        return not Path(f"{self.setting}-wal").exists()


class DatabaseStore:
    """A database in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.setting = database.url
        self.database = database

    def users(self) -> list[str]:
        return self.database.rows("SELECT user_id FROM session_info")

    def is_closed(self) -> bool:
        sql = """SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'sessile'"""
        # The server takes a moment to see that a connection has ended.
        for _ in range(100):
            if not self.database.rows(sql):
                return True
        return False
