"""Servers as processes of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from serving import free_port

TESTS = Path(__file__).parent


class Server:
    """A server that was started as a process."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    def wait_until_it_serves(self) -> None:
        for _ in range(600):
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url + "/", trust_env=False)
                return
            # It says when it is ready by answering, and by nothing else.
            time.sleep(0.05)
        raise AssertionError(self.log())


@contextlib.contextmanager
def started(command: list[str], folder: Path, **environment: str) -> Iterator[Server]:
    """Starts `python -m …` with a free port in the place of `PORT`, in that working folder."""
    port = str(free_port())
    arguments = [argument.replace("PORT", port) for argument in command]
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        server.wait_until_it_serves()
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def uvicorn_command(application: str, *options: str) -> list[str]:
    return ["uvicorn", application, "--port", "PORT", "--log-level", "info", *options]
