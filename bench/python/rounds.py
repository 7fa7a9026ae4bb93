"""Contestants that take turns, in processes of their own, and what becomes of their figures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROUNDS = 7
FOLDER = Path(__file__).parent


class Contestant:
    """A process that works a round for each line it is sent, and answers with a line of JSON."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, FOLDER / script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended; what it wrote is above")
        return json.loads(line)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def microseconds(figures: list[float]) -> str:
    """Median, lowest and highest of figures in nanoseconds."""
    median, low, high = (
        value / 1000 for value in (statistics.median(figures), min(figures), max(figures))
    )
    return f"{median:.3g} µs ({low:.3g} to {high:.3g})"


def ratio(figures: list[float], beside: list[float]) -> str:
    """Median, lowest and highest of the ratios of the rounds."""
    ratios = [one / other for one, other in zip(figures, beside, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def print_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n")
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")
