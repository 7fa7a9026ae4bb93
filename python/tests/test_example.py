"""The example of the repository, as it is."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from serving import Browser, cleared
from workers import started, uvicorn_command

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi" / "main.py"


def test_the_example_runs(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    command = uvicorn_command("main:app", "--app-dir", ".")
    with started(command, tmp_path) as server:
        with contextlib.closing(Browser(server.url)) as browser:
            handle = browser.post("/login", json={"user_id": "alice"}).json()["session_handle"]
            assert browser.get("/me").json() == {"user_id": "alice", "payload": {"role": "editor"}}
            assert browser.get("/devices").json() == [handle]
            assert browser.post("/session/refresh").json() == {"session_handle": handle}
            other = browser.another()
            other.post("/login", json={"user_id": "alice"})
            answer = browser.post("/logout-everywhere")
            assert len(answer.json()) == 2
            assert cleared(answer) == {"sAccessToken", "sRefreshToken"}
            assert other.post("/session/refresh").status_code == 401
            browser.post("/login", json={"user_id": "alice"})
            answer = browser.post("/test")
            assert answer.json() == {"status": "ok"}
            assert not browser.cookies
