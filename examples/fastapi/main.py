"""Logging in, a session's data and payload, refreshing and signing out, in FastAPI."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from sessile import Session, Sessions
from sessile.asgi import SessionMiddleware
from sessile.fastapi import create_new_session, verify_session

# A short validity, so that one sees the page's script refresh.
sessions = Sessions("sessile.db", access_token_validity=60)
app = FastAPI(title="Sessions")
app.add_middleware(SessionMiddleware, sessions=sessions)

RequiredSession = Annotated[Session, Depends(verify_session())]
OptionalSession = Annotated[Session | None, Depends(verify_session(session_required=False))]


class Login(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=50)]


class Note(BaseModel):
    text: Annotated[str, Field(max_length=500)]


class Payload(BaseModel):
    """What the access token carries: small, and readable by the client."""

    notes_written: int = 0


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))


@app.post("/login")
async def login(request: Request, who: Login) -> None:
    # A real application checks a password here.
    label = request.headers.get("user-agent", "unknown")[:100]
    await create_new_session(request, who.name, Payload(), Note(text=""), client_label=label)


@app.get("/session")
async def show(session: OptionalSession) -> dict[str, Any] | None:
    if session is None:
        return None
    note = await session.get_session_data_as(Note)
    everywhere = await sessions.get_sessions_for_user(session.get_user_id())
    return {
        "user": session.get_user_id(),
        "handle": session.get_handle(),
        "payload": session.get_access_token_payload(),
        "token_expires": session.get_access_token_expiry(),
        "note": note.text,
        "sessions": len(everywhere),
    }


@app.put("/note")
async def write_note(session: RequiredSession, note: Note) -> None:
    await session.update_session_data(note)
    payload = session.get_access_token_payload_as(Payload)
    payload.notes_written += 1
    await session.update_jwt_payload(payload)


@app.post("/sign-out-elsewhere")
async def sign_out_elsewhere(session: RequiredSession) -> int:
    return len(await session.revoke_other_sessions())
