"""What the documents show is what there is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from serving import Browser
from sessile import Sessions
from sessile.asgi import CORS_EXPOSED_HEADERS, CORS_REQUEST_HEADERS, SessionMiddleware
from sessile.fastapi import verify_session
from supertokens_fastapi import SuperTokens

REPOSITORY = Path(__file__).parents[2]
PYTHON = (REPOSITORY / "docs/python.md").read_text()
SESSION_OBJECT = (REPOSITORY / "docs/session-object.md").read_text()


def programs(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


APPLICATIONS = [program for program in programs(PYTHON) if "app = FastAPI()" in program]


@pytest.mark.parametrize("program", APPLICATIONS, ids=["supertokens_fastapi", "sessile"])
def test_the_applications_run(
    program: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., Browser],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "documented"}
    exec(program, names)
    browser = serve(names["app"])
    assert browser.get("/me").status_code == 401
    assert browser.post("/login").status_code == 200
    assert browser.post("/session/refresh").status_code == 200
    assert browser.get("/me").json() == "alice"
    assert (tmp_path / "sessions.db").exists()


def section(heading: str) -> str:
    return PYTHON.split(f"\n{heading}\n")[1].split("\n## ")[0]


def documented(text: str, name: str) -> list[str]:
    """The names in the first column of the first table whose rows have this one."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    table = next(table for table in tables if f"`{name}`" in table)
    return [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]


@pytest.mark.parametrize(
    ("what", "heading", "name"),
    [
        (SuperTokens.__init__, "### The settings", "hosts"),
        (Sessions.__init__, "## New applications", "store"),
        (verify_session, "## New applications", "session_required"),
    ],
)
def test_every_setting_is_in_its_table(what: Any, heading: str, name: str) -> None:
    settings = [parameter for parameter in inspect.signature(what).parameters if parameter != "self"]
    assert sorted(documented(section(heading), name)) == sorted(settings)


def test_the_page_example_is_shown_as_it_is_tested() -> None:
    tested = (REPOSITORY / "python/tests/page_example.py").read_text()
    (shown,) = [program for program in programs(SESSION_OBJECT) if "'/test'" in program]
    assert shown in tested


@pytest.mark.parametrize("document", ["session-object.md", "python.md"])
def test_every_test_that_is_named_exists(document: str) -> None:
    text = (REPOSITORY / "docs" / document).read_text()
    tests = "".join(path.read_text() for path in (REPOSITORY / "python/tests").glob("test_*.py"))
    names = set(re.findall(r"`(test_\w+)`", text))
    assert [name for name in sorted(names) if f"def {name}(" not in tests] == []


def test_another_origin_as_it_is_documented(
    tmp_path: Path, serve: Callable[..., Browser]
) -> None:
    origin = "https://shop.com"
    sessions = Sessions(
        tmp_path / "sessions.db",
        api_base_path="/auth",
        cookie_domain=".shop.com",
        anti_csrf="token",
        trusted_origins=[origin],
        public_origin="https://api.shop.com",
    )
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=sessions)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin],
        allow_credentials=True,
        allow_headers=["Content-Type", *CORS_REQUEST_HEADERS],
        allow_methods=["*"],
        expose_headers=CORS_EXPOSED_HEADERS,
    )
    browser = serve(app)
    preflight = browser.options(
        "/auth/session/refresh",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": ",".join(CORS_REQUEST_HEADERS),
        },
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, origin)
    answer = browser.post("/auth/session/refresh", headers={"origin": origin})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == origin, "errors have it as well"
