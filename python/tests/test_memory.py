"""Memory stays as it is, however many sessions come and go. `soak.py` is the long one."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from soak import soak


def test_sessions_that_come_and_go_leave_no_memory_behind(tmp_path: Path) -> None:
    """One object of a session that stayed for each cycle would be 16 MiB."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as pool:
        measured = pool.submit(soak, tmp_path / "sessions.db", 2_000, 5_000).result()
    assert measured.after - measured.before < 4 * 2**20, str(measured)
