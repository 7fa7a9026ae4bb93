"""The page's example, as it is printed, in a server of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path

from serving import Browser, cleared
from workers import started, uvicorn_command


def test_the_example_of_the_page(tmp_path: Path) -> None:
    with started(uvicorn_command("page_example:app"), tmp_path) as server:
        with contextlib.closing(Browser(server.url)) as browser:
            assert browser.post("/test").status_code == 401
            handle = browser.post("/login").json()["handle"]
            assert browser.cookie("sAccessToken") and browser.cookie("sRefreshToken")
            before = browser.copy()

            answer = browser.post("/test")
            assert answer.status_code == 200
            assert answer.json() == {"status": "ok"}
            assert cleared(answer) == {"sAccessToken", "sRefreshToken"}
            assert answer.headers["front-token"] == "remove"
            assert not browser.cookies

            # The session is gone from the store, though its access token lives on for a while.
            answer = before.post("/test")
            assert answer.status_code == 401
            assert answer.json()["reason"] == "session_not_found"
            assert handle
    path = tmp_path / "sessile.db"
    assert path.exists()
    assert server.log().count(str(path)) == 1, "its path is logged once"
    # It was ended by SIGTERM, which uvicorn raises again once it has shut down in good order.
    assert "Application shutdown complete" in server.log()
    assert "Traceback" not in server.log()
    assert not path.with_name("sessile.db-wal").exists(), "the store was closed"
