"""Processor time of a verification: the wheel's `get_session` beside supertokens-python's.

Both verify the same RS256 tokens, in one run, in turns. Each figure is the median of the rounds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from supertokens_fastapi import (
    Session,
    SuperTokens,
    create_new_session,
    get_session,
    supertokens_session,
)
from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.recipe import session as peer
from supertokens_python.recipe.session.asyncio import get_session_without_request_response

ROUNDS = 15
NEW_TOKENS = 200
REPETITIONS = 2_000
REQUESTS = 1_000

app = FastAPI()
supertokens = SuperTokens(app, store=":memory:", algorithm="RS256")


@app.get("/with")
async def with_session(session: Session = Depends(supertokens_session)) -> str:
    return session.get_user_id()


@app.get("/without")
async def without_session() -> str:
    return "alice"


HEADERS = [
    (b"host", b"localhost:8000"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
]


def scope(path: str, token: str | None = None) -> dict[str, Any]:
    headers = list(HEADERS)
    if token is not None:
        headers.append((b"cookie", b"sAccessToken=" + token.encode()))
    return {
        "type": "http", "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "headers": headers, "http_version": "1.1",
        "server": ("localhost", 8000), "client": ("127.0.0.1", 1),
    }  # fmt: skip


class Requests:
    """Requests as the middleware hands them to a handler; they can be made beforehand."""

    def __init__(self) -> None:
        self._made: list[Request] = []
        self._middleware: Any = None

    async def make(self, tokens: list[str | None]) -> list[Request]:
        async def keep(inner: Any, receive: Any, send: Any) -> None:
            # The middleware takes its request out of the scope again when this returns.
            self._made.append(Request(dict(inner)))

        from supertokens_fastapi._middleware import ResponseMiddleware

        middleware = ResponseMiddleware(keep, supertokens)
        self._made = []
        for token in tokens:
            await middleware(scope("/", token), _nothing, _nothing)
        return self._made


async def _nothing(*arguments: Any) -> Any:
    return {"type": "http.request", "body": b""}


async def per_call(count: int, work: Callable[[], Awaitable[None]]) -> float:
    """Microseconds of processor time of this process for each call."""
    begun = time.process_time_ns()
    await work()
    return (time.process_time_ns() - begun) / count / 1000


def serve_keys(keys: dict[str, Any]) -> str:
    """The one route of a core that supertokens-python asks when it verifies."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/.well-known/jwks.json": keys, "/apiversion": {"versions": ["5.4"]}}
            body = json.dumps(known.get(self.path.split("?")[0], {})).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


async def main() -> None:
    requests = Requests()
    logins = await requests.make([None] * (NEW_TOKENS * ROUNDS + 1))
    tokens = [
        (await create_new_session(login, "alice", {"role": "editor"})).get_access_token()
        for login in logins
    ]
    keys, _ = await supertokens.engine.json_web_key_set()
    init(
        app_info=InputAppInfo(
            app_name="bench",
            api_domain="http://localhost:8000",
            website_domain="http://localhost:3000",
        ),
        framework="fastapi",
        supertokens_config=SupertokensConfig(serve_keys(keys)),
        recipe_list=[peer.init()],
        mode="asgi",
    )

    async def peer_verifies(token: str) -> None:
        found = await get_session_without_request_response(token, anti_csrf_check=False)
        assert found is not None and found.get_user_id() == "alice"

    one = tokens.pop()
    await peer_verifies(one)

    async def call(path: str, token: str | None) -> None:
        answered = []

        async def send(message: Any) -> None:
            answered.append(message)

        await app(scope(path, token), _nothing, send)
        assert answered[0]["status"] == 200

    figures: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        batch = tokens[number * NEW_TOKENS :][:NEW_TOKENS]
        new = await requests.make(list(batch))
        seen = await requests.make([one] * REPETITIONS)

        async def verify_new() -> None:
            for request in new:
                assert (await get_session(request, False)).get_user_id() == "alice"

        async def verify_seen() -> None:
            for request in seen:
                assert (await get_session(request, False)).get_user_id() == "alice"

        async def verify_by_peer() -> None:
            for token in batch:
                await peer_verifies(token)

        async def call_with() -> None:
            for _ in range(REQUESTS):
                await call("/with", one)

        async def call_without() -> None:
            for _ in range(REQUESTS):
                await call("/without", one)

        for name, count, work in (
            ("new", NEW_TOKENS, verify_new),
            ("seen", REPETITIONS, verify_seen),
            ("peer", NEW_TOKENS, verify_by_peer),
            ("with", REQUESTS, call_with),
            ("without", REQUESTS, call_without),
        ):
            figures.setdefault(name, []).append(await per_call(count, work))

    median = {name: statistics.median(values) for name, values in figures.items()}
    theirs = median["peer"]
    print(f"supertokens-python, RS256                {theirs:8.2f} µs")
    for name, label, share in (
        ("new", "get_session, a new RS256 token", 4),
        ("seen", "get_session, a token seen before", 30),
    ):
        verdict = "held" if median[name] <= theirs / share else "MISSED"
        print(f"{label:<40} {median[name]:8.2f} µs, limit {theirs / share:6.2f} µs: {verdict}")
    print(f"FastAPI route without a session          {median['without']:8.2f} µs")
    print(f"the same with supertokens_session        {median['with']:8.2f} µs")


asyncio.run(main())
