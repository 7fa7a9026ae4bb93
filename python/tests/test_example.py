"""`examples/fastapi`, as its page and its readers use it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import Browser, cleared

EXAMPLES = Path(__file__).parents[2] / "examples/fastapi"


@pytest.fixture
def example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Browser]
) -> Callable[[str], Browser]:
    """Serves an example, whose store is in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def served(name: str) -> Browser:
        specification = importlib.util.spec_from_file_location("example", EXAMPLES / name)
        assert specification is not None and specification.loader is not None
        module: Any = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return serve(module.app)

    return served


def test_the_page_and_what_it_calls(example: Callable[[str], Browser]) -> None:
    browser = example("main.py")
    page = browser.get("/").text
    assert '<script src="/sessile.js"></script>' in page
    assert "sessile" in browser.get("/sessile.js").text
    assert browser.get("/session").json() is None
    assert browser.put("/note", json={"text": "mine"}).status_code == 401

    assert browser.post("/login", json={"name": "alice"}).status_code == 200
    elsewhere = browser.another()
    elsewhere.post("/login", json={"name": "alice"})
    shown = browser.get("/session").json()
    assert (shown["user"], shown["note"], shown["sessions"]) == ("alice", "", 2)
    assert shown["payload"] == {"notes_written": 0}

    assert browser.put("/note", json={"text": "mine"}).status_code == 200
    assert browser.post("/session/refresh").status_code == 200
    shown = browser.get("/session").json()
    assert (shown["note"], shown["payload"]) == ("mine", {"notes_written": 1})

    assert browser.post("/sign-out-elsewhere").json() == 1
    assert elsewhere.post("/session/refresh").status_code == 401
    assert cleared(browser.post("/signout")) == {"sAccessToken", "sRefreshToken"}
    assert browser.get("/session").json() is None


def test_the_imports_of_the_founding_sdk(example: Callable[[str], Browser]) -> None:
    browser = example("founding_sdk.py")
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
