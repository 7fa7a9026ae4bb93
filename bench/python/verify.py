"""Verifies access tokens, and tells what processor time that took.

Arguments: `sessile` and a store, or `supertokens-python` and the address of a core. Each line on
the standard input is a JSON array of access tokens and a number: how often they are verified in
turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from core import set_up_supertokens

Verify = Callable[[str], Awaitable[str]]


def with_sessile(store: str) -> Verify:
    from sessile import SessionRequest, Sessions

    engine = Sessions(store, algorithm="RS256").engine

    async def verify(access_token: str) -> str:
        # From the headers on, as the middleware has them; the other side is given the token.
        headers = [
            (b"host", b"localhost:8000"),
            (b"accept", b"*/*"),
            (b"user-agent", b"bench"),
            (b"cookie", b"sAccessToken=" + access_token.encode()),
        ]
        session = await SessionRequest(engine, "GET", "http", headers).get_session()
        assert session is not None
        return session.get_user_id()

    return verify


def with_supertokens(core: str) -> Verify:
    from supertokens_python.recipe.session.asyncio import get_session_without_request_response

    set_up_supertokens(core)

    async def verify(access_token: str) -> str:
        found = await get_session_without_request_response(access_token)
        assert found is not None
        return found.get_user_id()

    return verify


async def main(name: str, place: str) -> None:
    verify = with_sessile(place) if name == "sessile" else with_supertokens(place)
    for line in sys.stdin:
        tokens, times = json.loads(line)
        cpu = time.process_time_ns()
        for _ in range(times):
            for token in tokens:
                user = await verify(token)
        cpu = time.process_time_ns() - cpu
        assert user == "alice"
        print(json.dumps(cpu / (times * len(tokens))), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2]))
