from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sessile.testing import ManualClock

sys.path.insert(0, str(Path(__file__).parent))

from postgres_server import PostgresServer, postgres_server  # noqa: E402
from seed_application import SeedApplication  # noqa: E402
from serving import Browser, served  # noqa: E402
from stores import DatabaseStore, FileStore, Store  # noqa: E402


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_wanted = metafunc.definition.get_closest_marker("on_every_store") is not None
    if is_wanted and "place" in metafunc.fixturenames:
        metafunc.parametrize("place", ["file", "postgres"])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time())


@pytest.fixture
def serve() -> Iterator[Callable[..., Browser]]:
    """Serves an application until the test ends, and gives a browser for it."""
    with ExitStack() as stack:

        def serve(app: Any, **options: Any) -> Browser:
            url = stack.enter_context(served(app, **options))
            return stack.enter_context(contextlib.closing(Browser(url)))

        yield serve


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that all tests share."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def place() -> str:
    """Where sessions are kept, unless a test or its module is on every store."""
    return "file"


@pytest.fixture
def store(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store."""
    if place == "file":
        yield FileStore(tmp_path / "sessions.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as database:
        yield DatabaseStore(database)


@pytest.fixture
def seed(
    store: Store, clock: ManualClock, serve: Callable[..., Browser]
) -> Callable[..., SeedApplication]:
    """Makes and serves an application of `supertokens_fastapi`."""

    def make(**settings: Any) -> SeedApplication:
        settings.setdefault("store", store.setting)
        application = SeedApplication(clock=clock, **settings)
        application.browser = serve(application.app)
        return application

    return make
