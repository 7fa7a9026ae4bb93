"""Verifies an access token with supertokens-python, again and again, and tells how long it took.

Arguments: the address of a core, and the access token. After that each line on the standard input
is a time in seconds, for which it verifies; it answers with one line of JSON.
"""

import asyncio
import json
import sys
import time

from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.recipe import session
from supertokens_python.recipe.session.asyncio import (
    get_session_without_request_response,
)

BATCH = 50


async def main(core: str, access_token: str) -> None:
    init(
        app_info=InputAppInfo(
            app_name="peers",
            api_domain="http://localhost:3000",
            website_domain="http://localhost:3000",
        ),
        framework="fastapi",
        supertokens_config=SupertokensConfig(connection_uri=core),
        recipe_list=[session.init(anti_csrf="NONE")],
        mode="asgi",
        telemetry=False,
    )

    async def verify() -> str:
        verified = await get_session_without_request_response(access_token)
        return verified.get_user_id()

    print(json.dumps({"user": await verify()}), flush=True)
    for line in sys.stdin:
        seconds = float(line)
        operations, cpu, wall = 0, time.process_time_ns(), time.monotonic_ns()
        end = wall + seconds * 1e9
        while time.monotonic_ns() < end:
            for _ in range(BATCH):
                await verify()
            operations += BATCH
        cpu, wall = time.process_time_ns() - cpu, time.monotonic_ns() - wall
        print(json.dumps({"operations": operations, "cpu": cpu, "wall": wall}), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2]))
