"""The wheel beside supertokens-python: verification, and a FastAPI route."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import platform
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from core import serve_core
from rounds import ROUNDS, Contestant, microseconds, print_table, ratio
from sessile import Sessions

NEW_TOKENS = 1_000
KNOWN_TIMES = 20_000
CONNECTIONS = 32
REQUESTS = 6_000


async def mint(store: str, count: int) -> tuple[list[str], dict[str, Any]]:
    """Access tokens of one user, and the keys that verify them."""
    sessions = Sessions(store, algorithm="RS256", access_token_validity=86_400)

    async def one() -> str:
        session = await sessions.request("POST", {}).create_new_session("alice", {"role": "editor"})
        return session.get_access_token()

    tokens: list[str] = []
    while len(tokens) < count:
        tokens += await asyncio.gather(*(one() for _ in range(100)))
    keys, _ = await sessions.get_json_web_key_set()
    sessions.close()
    return tokens, keys


def verification(store: str, core: str, tokens: list[str]) -> None:
    """The same tokens on both sides: new ones in turn, and one again and again."""
    sessile = Contestant("verify.py", "sessile", store)
    supertokens = Contestant("verify.py", "supertokens-python", core)
    figures: dict[str, list[float]] = {name: [] for name in ("new", "known", "other", "again")}
    for number in range(ROUNDS + 1):
        new = json.dumps([tokens[number * NEW_TOKENS : (number + 1) * NEW_TOKENS], 1])
        measured = {
            "new": sessile.ask(new),
            "other": supertokens.ask(new),
            "known": sessile.ask(json.dumps([tokens[:1], KNOWN_TIMES])),
            "again": supertokens.ask(json.dumps([tokens[:1], NEW_TOKENS])),
        }
        # The first round warms up.
        for name, figure in measured.items() if number else ():
            figures[name].append(figure)
    sessile.end()
    supertokens.end()
    print_table(
        f"An RS256 access token of {len(tokens[0])} bytes, verified in process: processor time",
        ["", "Sessile's wheel", "supertokens-python", "ratio", "at most"],
        [
            [
                "not seen before",
                microseconds(figures["new"]),
                microseconds(figures["other"]),
                ratio(figures["new"], figures["other"]),
                "0.250",
            ],
            [
                "seen before",
                microseconds(figures["known"]),
                microseconds(figures["again"]),
                ratio(figures["known"], figures["again"]),
                "0.033",
            ],
        ],
    )


async def load(port: int, access_token: str, count: int) -> None:
    """So many requests over connections that stay open, one after the other on each."""
    request = (
        f"GET /user HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: */*\r\nUser-Agent: bench\r\n"
        f"Cookie: sAccessToken={access_token}\r\n\r\n"
    ).encode()
    left = iter(range(count))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(7)
            if not head.startswith(b"HTTP/1.1 200 ") or body != b'"alice"':
                raise SystemExit(f"a request failed: {head!r} {body!r}")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def free_ports(count: int) -> int:
    """The first of so many ports that are free."""
    for first in range(20_000, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise SystemExit("no port is free")


def routes(store: str, core: str, tokens: list[str]) -> None:
    names = [
        "without sessions",
        "`sessile.fastapi.verify_session`",
        "`supertokens_fastapi.supertokens_session`",
        "supertokens-python's `verify_session`",
    ]
    first = free_ports(len(names))
    server = Contestant("serve.py", str(first), store, core)
    server.ask("")
    figures: list[list[float]] = [[] for _ in names]
    for number in range(ROUNDS + 1):
        for index in range(len(names)):
            before = server.ask("")
            asyncio.run(load(first + index, tokens[0], REQUESTS))
            if number:
                figures[index].append((server.ask("") - before) / REQUESTS)
    server.end()
    plain = figures[0]
    rows = []
    for name, figure in zip(names, figures, strict=True):
        per_second = sorted(1e9 / value for value in figure)
        more = [one - other for one, other in zip(figure, plain, strict=True)]
        rows.append(
            [
                name,
                microseconds(figure),
                f"{per_second[len(per_second) // 2]:,.0f}",
                ratio(plain, figure),
                "" if figure is plain else microseconds(more),
            ]
        )
    print_table(
        f"A FastAPI route on uvicorn, {CONNECTIONS} connections: the server's processor time",
        ["", "for a request", "requests in a second of it", "of those without", "the session's"],
        rows,
    )


def main(what: str) -> None:
    versions = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("supertokens-python", "fastapi", "uvicorn")
    ]
    print(f"CPython {platform.python_version()}, {', '.join(versions)}; {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "sessions.db")
        tokens, keys = asyncio.run(mint(store, NEW_TOKENS * (ROUNDS + 1)))
        core = serve_core(keys)
        if what in ("verify", "all"):
            verification(store, core, tokens)
        if what in ("routes", "all"):
            routes(store, core, tokens)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "all")
