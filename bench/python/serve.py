"""The same FastAPI route with and without a session, served by uvicorn in this process.

Arguments: a port, a store, and the address of a core. Once it serves it answers each line on the
standard input with the processor time that it has used, in nanoseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Annotated, Any

import supertokens_fastapi
import uvicorn
from core import set_up_supertokens
from fastapi import Depends, FastAPI
from sessile import Session, Sessions
from sessile.asgi import SessionMiddleware
from sessile.fastapi import verify_session
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe.session import SessionContainer
from supertokens_python.recipe.session.framework.fastapi import (
    verify_session as verify_supertokens,
)


def without_sessions() -> FastAPI:
    app = FastAPI()

    @app.get("/user")
    async def user() -> str:
        return "alice"

    return app


def with_sessile(store: str) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=Sessions(store, algorithm="RS256"))

    @app.get("/user")
    async def user(session: Annotated[Session, Depends(verify_session())]) -> str:
        return session.get_user_id()

    return app


def with_supertokens_fastapi(store: str) -> FastAPI:
    app = FastAPI()
    supertokens_fastapi.SuperTokens(app, store=store, algorithm="RS256")

    @app.get("/user")
    async def user(
        session: supertokens_fastapi.Session = Depends(supertokens_fastapi.supertokens_session),
    ) -> str:
        return session.get_user_id()

    return app


def with_supertokens_python(core: str) -> FastAPI:
    set_up_supertokens(core)
    app = FastAPI()
    app.add_middleware(get_middleware())

    @app.get("/user")
    async def user(session: Annotated[SessionContainer, Depends(verify_supertokens())]) -> str:
        return session.get_user_id()

    return app


def by_port(apps: dict[int, FastAPI]) -> Any:
    """One server for all, so that they share everything but the application."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await apps[scope["server"][1]](scope, receive, send)

    return serve


async def main(first_port: int, store: str, core: str) -> None:
    apps = [
        without_sessions(),
        with_sessile(store),
        with_supertokens_fastapi(store),
        with_supertokens_python(core),
    ]
    ports = {first_port + number: app for number, app in enumerate(apps)}
    application = by_port(ports)
    for port in ports:
        config = uvicorn.Config(
            application, port=port, lifespan="off", log_level="error", access_log=False
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(time.process_time_ns()), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
