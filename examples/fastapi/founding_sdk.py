"""The same with the imports of SuperTokens' FastAPI SDK 1.0, to be tried at /docs."""

from typing import Annotated

from fastapi import Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from supertokens_fastapi import (
    Session,
    SuperTokens,
    create_new_session,
    get_all_session_handles_for_user,
    revoke_all_sessions_for_user,
    supertokens_session,
)

app = FastAPI(title="Sessions")
# Kept in the file sessile.db in the working folder. Nothing else has to run.
SuperTokens(app)

UserSession = Annotated[Session, Depends(supertokens_session)]


@app.post("/login")
async def login(request: Request, user_id: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    # Your check of who it is goes here.
    session = await create_new_session(request, user_id, {"role": "editor"}, {"cart": []})
    return {"session_handle": session.get_handle()}


@app.post("/session/refresh")
async def refresh(session: UserSession) -> dict[str, str]:
    # On this path the dependency has refreshed the session.
    return {"session_handle": session.get_handle()}


@app.get("/me")
async def me(session: UserSession) -> dict[str, object]:
    return {"user_id": session.get_user_id(), "payload": session.get_jwt_payload()}


@app.get("/devices")
async def devices(session: UserSession) -> list[str]:
    return await get_all_session_handles_for_user(session.get_user_id())


@app.post("/logout-everywhere")
async def logout_everywhere(session: UserSession) -> list[str]:
    ended = await revoke_all_sessions_for_user(session.get_user_id())
    # It has ended already; this clears the cookies.
    await session.revoke_session()
    return ended


@app.post("/test")
async def test_info(session: UserSession) -> JSONResponse:
    user_id = session.get_user_id()

    # update session info
    session_data = await session.get_session_data()
    new_session_data = {**session_data, "newKey": "newVal", "seen": user_id}
    await session.update_session_data(new_session_data)

    # update jwt payload
    payload_data = session.get_jwt_payload()
    new_payload = {**payload_data, "newKey": "newVal"}
    await session.update_jwt_payload(new_payload)

    # revoking session
    await session.revoke_session()

    return JSONResponse(content={"status": "ok"})
