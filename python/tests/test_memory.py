"""Memory over many sessions, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, re
from sessile import SessionRequest, Sessions

def memory():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmRSS:\\s+(\\d+) kB", status.read()).group(1))

def cookies(request: SessionRequest):
    lines = [value for name, value in request.response_headers() if name == "set-cookie"]
    return {"cookie": "; ".join(line.split(";")[0] for line in lines)}

async def cycle(sessions, user):
    login = sessions.request("POST", {})
    await login.create_new_session(user, {"role": "editor"}, {"cart": [1, 2, 3]})
    refresh = sessions.request("POST", cookies(login))
    session = await refresh.get_session()
    assert session.get_user_id() == user
    await refresh.refresh_session()
    session = await sessions.request("GET", cookies(refresh)).get_session()
    assert session.get_user_id() == user
    await session.revoke_session()

async def main():
    sessions = Sessions("sessions.db")
    for thousand in range(100):
        for hundred in range(10):
            users = [f"user {thousand} {hundred} {number}" for number in range(100)]
            await asyncio.gather(*(cycle(sessions, user) for user in users))
        if thousand in (29, 64, 99):
            print(memory())

asyncio.run(main())
"""


def test_100_000_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    """The memory of verified tokens is full after the first third, and stays as it is."""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    first, second, last = (int(line) for line in ended.stdout.split())
    print(first, second, last, "KiB")
    assert last - first < 2048, f"{first} KiB, {second} KiB, {last} KiB"
    assert (tmp_path / "sessions.db").stat().st_size < 4 * 1024 * 1024
