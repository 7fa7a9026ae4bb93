"""Sessions that come and go in one process, and the memory it has.

As a program: `python soak.py [cycles]`, 100 000 where nothing is said.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sessile import Sessions

CLIENTS = 32
# Long ones, so that one session object more for each cycle shows.
PAYLOAD = {"roles": ["editor", "reviewer"], "text": "p" * 1500}
DATA = {"cart": list(range(100)), "text": "d" * 4000}


@dataclasses.dataclass
class Soak:
    """What was measured."""

    cycles: int
    before: int
    after: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.cycles} cycles in {self.seconds:.0f} s: "
            f"{self.before / 2**20:.1f} MiB before, {self.after / 2**20:.1f} MiB after"
        )


def resident() -> int:
    """The memory that this process has, in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cookies(headers: list[tuple[str, str]]) -> str:
    pairs = [value.split(";")[0] for name, value in headers if name == "set-cookie"]
    return "; ".join(pairs)


async def cycle(sessions: Sessions, user: str) -> None:
    """A login, verifications of new and known tokens, a refresh, and the end."""
    login = sessions.request("POST", {})
    await login.create_new_session(user, PAYLOAD, DATA)
    sent: dict[str, Any] = {"cookie": cookies(login.response_headers())}
    refresh = sessions.request("POST", sent)
    assert await refresh.get_session(anti_csrf_check=False) is not None
    await refresh.refresh_session()
    sent = {"cookie": cookies(refresh.response_headers())}
    last = sessions.request("GET", sent)
    for _ in range(2):
        session = await last.get_session()
    assert session is not None and session.get_jwt_payload() == PAYLOAD
    await session.revoke_session()
    assert last.response_headers()


async def cycles(sessions: Sessions, count: int) -> None:
    left = iter(range(count))

    async def client(name: str) -> None:
        for _ in left:
            await cycle(sessions, name)

    await asyncio.gather(*(client(f"user {number}") for number in range(CLIENTS)))


def soak(store: Path, warm_up: int, count: int) -> Soak:
    """Measures after a warm-up, in which caches fill, and again after so many cycles more."""

    async def run() -> Soak:
        sessions = Sessions(store)
        await cycles(sessions, warm_up)
        before, begin = resident(), time.monotonic()
        await cycles(sessions, count)
        measured = Soak(count, before, resident(), time.monotonic() - begin)
        assert await sessions.get_all_session_handles_for_user("user 0") == []
        sessions.close()
        return measured

    return asyncio.run(run())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
        print(soak(Path(folder) / "sessions.db", min(wanted, 10_000), wanted))
