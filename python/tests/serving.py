"""Applications served by uvicorn on a free port of this machine, and browsers for them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """Serves the application in a thread of this process; gives its base URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    listener.listen(1024)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class Browser(httpx.Client):
    """A browser as far as cookies go. What a page's script would keep, a test keeps."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url=base_url, timeout=30, trust_env=False, **options)
        self._others: list[Browser] = []

    def close(self) -> None:
        super().close()
        for other in self._others:
            other.close()

    def another(self) -> Browser:
        """Another browser, without cookies, that is closed with this one."""
        other = Browser(str(self.base_url))
        self._others.append(other)
        return other

    def cookie(self, name: str) -> str | None:
        """The value of a cookie, whatever its path."""
        for cookie in self.cookies.jar:
            if cookie.name == name:
                return cookie.value
        return None

    def copy(self) -> Browser:
        """Another browser with the same cookies: a second tab, or a thief."""
        other = self.another()
        for cookie in self.cookies.jar:
            other.cookies.jar.set_cookie(cookie)
        return other

    def forget(self, name: str) -> None:
        for cookie in list(self.cookies.jar):
            if cookie.name == name:
                self.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)


def set_cookies(answer: httpx.Response) -> dict[str, str]:
    """The Set-Cookie lines of an answer by their cookies' names; one for each."""
    lines = answer.headers.get_list("set-cookie")
    found = {line.split("=", 1)[0]: line for line in lines}
    assert len(found) == len(lines), f"a cookie is set twice: {lines}"
    return found


def cleared(answer: httpx.Response) -> set[str]:
    """The names of the cookies that the answer takes away."""
    epoch = "; expires=thu, 01 jan 1970 00:00:00 gmt"
    return {name for name, line in set_cookies(answer).items() if epoch in line.lower()}


def changes(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """By how much the counts grew."""
    grown = {name: after[name] - before.get(name, 0) for name in after}
    return {name: number for name, number in grown.items() if number}
