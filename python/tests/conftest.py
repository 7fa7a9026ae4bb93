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

from seed_application import SeedApplication  # noqa: E402
from serving import Browser, served  # noqa: E402


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


@pytest.fixture
def seed(
    tmp_path: Path, clock: ManualClock, serve: Callable[..., Browser]
) -> Callable[..., SeedApplication]:
    """Makes and serves an application of `supertokens_fastapi`."""

    def make(**settings: Any) -> SeedApplication:
        settings.setdefault("store", tmp_path / "sessions.db")
        application = SeedApplication(clock=clock, **settings)
        application.browser = serve(application.app)
        return application

    return make
