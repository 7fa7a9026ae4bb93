"""What a process owes its open stores: to close them before it forks, and when it ends."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from ._sessile import stop_notifiers


class Closable(Protocol):
    """Something with an open store."""

    def close(self) -> None:
        """Closes the store for good."""
        ...

    def prepare_fork(self) -> bool:
        """Closes the file until it is needed again; says whether it was open."""
        ...


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def watch(closable: Closable) -> None:
    """Has it closed when that is due. It may end earlier."""
    _open.add(closable)


def _close_all() -> None:
    # Before the interpreter ends, so that no thread of ours asks for it afterwards.
    for closable in list(_open):
        closable.close()
    # Also that of sessions that were dropped a moment ago.
    stop_notifiers()


def _prepare_fork() -> None:
    # SQLite cannot be used on both sides of a fork. While one store is being closed, another
    # thread may open one again; then they are closed once more.
    for _ in range(10):
        if not any([closable.prepare_fork() for closable in list(_open)]):
            return


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare_fork)
