"""What a process owes its open stores: to close them while it forks, and when it ends."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Protocol

from ._sessile import forget_other_threads, keep_others_out, stop_notifiers


class Closable(Protocol):
    """Something with an open store."""

    def close(self) -> None:
        """Closes the store for good."""

    def begin_fork(self) -> None:
        """Closes the store, and lets calls wait."""

    def end_fork(self) -> None:
        """Opens it again, and lets them go on."""


_open: weakref.WeakSet[Closable] = weakref.WeakSet()
_fork = threading.Lock()
_forking: list[Closable] = []


def watch(closable: Closable) -> None:
    """Has it closed when that is due. It may end earlier."""
    _open.add(closable)


def _close_all() -> None:
    # Before the interpreter ends, so that no thread of ours asks for it afterwards.
    for closable in list(_open):
        closable.close()
    # Also that of sessions that were dropped a moment ago.
    stop_notifiers()
    # Daemon threads run on until the interpreter ends, which they must not see from there.
    keep_others_out()


def _begin_fork() -> None:
    # Neither a file nor a connection can be used on both sides of a fork. Threads fork one after the other, as with the
    # locks of `logging`.
    _fork.acquire()
    _forking[:] = list(_open)
    for closable in _forking:
        closable.begin_fork()


def _end_fork() -> None:
    for closable in _forking:
        closable.end_fork()
    _release_fork()


def _end_fork_in_child() -> None:
    # The new process opens the store for itself when it first needs it.
    forget_other_threads()
    _release_fork()


def _release_fork() -> None:
    _forking.clear()
    _fork.release()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_begin_fork, after_in_parent=_end_fork, after_in_child=_end_fork_in_child
    )
