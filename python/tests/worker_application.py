"""What the workers of a server serve."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Request
from supertokens_fastapi import (
    Session,
    SuperTokens,
    create_new_session,
    get_session_data,
    supertokens_session,
)

app = FastAPI()
SuperTokens(app, store=os.environ.get("STORE"))


@app.get("/")
async def ready() -> str:
    return "ready"


@app.post("/login")
async def login(request: Request, user_id: Annotated[str, Body()]) -> str:
    return (await create_new_session(request, user_id)).get_handle()


@app.post("/session/refresh")
async def refresh(session: Session = Depends(supertokens_session)) -> dict[str, int]:
    return {"worker": os.getpid()}


@app.get("/checked")
async def checked(session: Session = Depends(supertokens_session)) -> dict[str, str]:
    await get_session_data(session.get_handle())
    return {"user_id": session.get_user_id()}


@app.post("/count")
async def count(session: Session = Depends(supertokens_session)) -> int:
    number = int((await session.get_session_data()).get("count", 0)) + 1
    await session.update_session_data({"count": number})
    return number


@app.post("/revoke")
async def revoke(session: Session = Depends(supertokens_session)) -> None:
    await session.revoke_session()
