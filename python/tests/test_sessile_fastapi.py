"""`sessile` in FastAPI and in plain ASGI."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pytest
from fastapi import Body, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from serving import Browser, changes, cleared, set_cookies
from sessile import Session, SessionRequest, Sessions, TokenTheftError, UnauthorisedError
from sessile.asgi import SessionMiddleware
from sessile.fastapi import create_new_session, get_session, session_request, verify_session
from sessile.testing import ManualClock
from starlette.requests import Request
from starlette.websockets import WebSocketDisconnect
from stores import ON_EVERY_STORE, Store
from typing_extensions import TypedDict

pytestmark = ON_EVERY_STORE

Serve = Callable[..., Browser]
BOTH = {"sAccessToken", "sRefreshToken"}
Required = Annotated[Session, Depends(verify_session())]
Optional = Annotated[Session | None, Depends(verify_session(session_required=False))]
Fresh = Annotated[Session, Depends(verify_session(login_within=300))]
Checked = Annotated[Session, Depends(verify_session(check_database=True))]


class Role(TypedDict):
    role: str


@dataclasses.dataclass
class Cart:
    items: list[int]


class Profile(pydantic.BaseModel):
    role: str
    level: int = 1


@pytest.fixture
def sessions(store: Store, clock: ManualClock) -> Sessions:
    return Sessions(store.setting, clock=clock)


@pytest.fixture
def browser(sessions: Sessions, serve: Serve) -> Browser:
    return serve(application(sessions))


def application(sessions: Sessions) -> FastAPI:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, sessions=sessions)

    @app.post("/login")
    async def login(request: Request, user_id: Annotated[str, Body(embed=True)]) -> str:
        session = await create_new_session(
            request, user_id, Profile(role="editor"), Cart([1]), client_label="Firefox"
        )
        return session.get_handle()

    @app.get("/me")
    @app.post("/me")
    async def me(session: Required) -> Any:
        return {"user_id": session.get_user_id(), **session.get_access_token_payload()}

    @app.get("/optional")
    async def optional(session: Optional) -> str:
        return "nobody" if session is None else session.get_user_id()

    @app.post("/delete-account")
    async def delete_account(session: Fresh) -> str:
        return session.get_user_id()

    @app.get("/checked")
    async def checked(session: Checked) -> str:
        return session.get_user_id()

    @app.get("/typed")
    async def typed(session: Required) -> Any:
        cart = await session.get_session_data_as(Cart)
        profile = session.get_access_token_payload_as(Profile)
        role = session.get_access_token_payload_as(Role)
        return [cart.items, profile.level, role["role"]]

    @app.post("/merge")
    async def merge(session: Required, update: Annotated[dict[str, Any], Body()]) -> Any:
        await session.merge_into_access_token_payload(update)
        return session.get_access_token_payload()

    @app.get("/sessions")
    async def list_sessions(session: Required) -> Any:
        found = await sessions.get_sessions_for_user(session.get_user_id())
        return [dataclasses.asdict(information) for information in found]

    @app.post("/end-others")
    async def end_others(session: Required) -> list[str]:
        return await session.revoke_other_sessions()

    @app.post("/end/{handle}")
    async def end(session: Required, handle: str) -> bool:
        return await sessions.revoke_session(handle)

    @app.post("/own-sign-out")
    async def own_sign_out(
        request: Annotated[SessionRequest, Depends(session_request)],
    ) -> str:
        await request.sign_out()
        return "bye"

    @app.get("/by-hand")
    async def by_hand(request: Request) -> str:
        session = await get_session(request, session_required=False)
        return "nobody" if session is None else session.get_user_id()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: Required) -> None:
        await websocket.accept()
        await websocket.send_text(session.get_user_id())
        await websocket.close()

    return app


def log_in(browser: Browser, user_id: str = "alice") -> str:
    answer = browser.post("/login", json={"user_id": user_id})
    assert answer.status_code == 200, answer.text
    return str(answer.json())


def test_the_usual_way(browser: Browser) -> None:
    answer = browser.get("/me")
    assert answer.status_code == 401
    assert answer.json() == {"message": "unauthorised", "reason": "no_session"}
    log_in(browser)
    assert browser.get("/me").json() == {"user_id": "alice", "role": "editor", "level": 1}
    answer = browser.post("/session/refresh")
    assert (answer.status_code, answer.json()) == (200, {})
    assert set_cookies(answer).keys() == BOTH
    answer = browser.post("/signout")
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
    assert cleared(answer) == BOTH


def test_optional_sessions(browser: Browser, clock: ManualClock) -> None:
    assert browser.get("/optional").json() == "nobody"
    assert browser.get("/by-hand").json() == "nobody"
    log_in(browser)
    assert browser.get("/optional").json() == "alice"
    assert browser.get("/by-hand").json() == "alice"
    clock.advance(3601)
    answer = browser.get("/optional")
    assert (answer.status_code, answer.json()["message"]) == (401, "try refresh token")


def test_a_fresh_login_is_required(
    browser: Browser, clock: ManualClock, sessions: Sessions
) -> None:
    log_in(browser)
    clock.advance(300)
    before = sessions.store_calls()
    assert browser.post("/delete-account").json() == "alice"
    assert changes(before, sessions.store_calls()) == {"get_session": 1}
    clock.advance(1)
    answer = browser.post("/delete-account")
    assert (answer.status_code, answer.json()["reason"]) == (403, "login_not_fresh")
    assert not set_cookies(answer)
    browser.post("/session/refresh")
    assert browser.post("/delete-account").status_code == 403, "a refresh is no login"
    log_in(browser)
    assert browser.post("/delete-account").status_code == 200


def test_a_revocation_that_holds_at_once(browser: Browser) -> None:
    log_in(browser)
    other = browser.copy()
    assert other.get("/checked").json() == "alice"
    browser.post("/own-sign-out")
    assert other.get("/me").status_code == 200
    answer = other.get("/checked")
    assert (answer.status_code, answer.json()["reason"]) == (401, "session_not_found")


def test_typed_payloads_and_data(browser: Browser) -> None:
    log_in(browser)
    assert browser.get("/typed").json() == [[1], 1, "editor"]


def test_merging_sets_and_removes(browser: Browser) -> None:
    log_in(browser)
    answer = browser.post("/merge", json={"level": None, "new": [1]})
    assert answer.json() == {"role": "editor", "new": [1]}
    assert set_cookies(answer).keys() == {"sAccessToken"}


def test_the_sessions_of_a_user_are_listed_and_ended(browser: Browser) -> None:
    others = [browser.another() for _ in range(3)]
    handles = [log_in(other) for other in others]
    own = log_in(browser)
    log_in(browser.another(), "bob")
    listed = browser.get("/sessions").json()
    assert {information["session_handle"] for information in listed} == {*handles, own}
    assert {information["client_label"] for information in listed} == {"Firefox"}
    assert listed[0]["session_data"] == {"items": [1]}
    assert browser.post(f"/end/{handles[0]}").json() is True
    assert browser.post(f"/end/{handles[0]}").json() is False
    assert sorted(browser.post("/end-others").json()) == sorted(handles[1:])
    assert len(browser.get("/sessions").json()) == 1


def test_other_sites_are_refused(browser: Browser) -> None:
    log_in(browser)
    answer = browser.post("/me", headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "cross_site_request")
    assert not set_cookies(answer)
    assert browser.get("/me", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_routes(browser: Browser) -> None:
    keys = browser.get("/jwt/jwks.json")
    assert keys.headers["access-control-allow-origin"] == "*"
    assert [key["kty"] for key in keys.json()["keys"]] == ["EC"]
    script = browser.get("/sessile.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "refresh" in script.text
    assert browser.get("/session/refresh").status_code == 404


def test_tokens_in_headers(browser: Browser) -> None:
    answer = browser.post("/login", json={"user_id": "a"}, headers={"st-auth-mode": "header"})
    assert not set_cookies(answer)
    bearer = {"authorization": f"Bearer {answer.headers['st-access-token']}"}
    assert browser.get("/me", headers=bearer).json()["user_id"] == "a"


def test_websockets(sessions: Sessions) -> None:
    with TestClient(application(sessions)) as client:
        with pytest.raises(WebSocketDisconnect) as refused:
            with client.websocket_connect("/socket"):
                pass
        assert refused.value.reason == "no_session"
        client.post("/login", json={"user_id": "alice"})
        with client.websocket_connect("/socket") as socket:
            assert socket.receive_text() == "alice"


def test_a_store_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    app = application(Sessions(tmp_path / "folder"))
    with pytest.raises(Exception, match="folder"):
        with TestClient(app):
            pass


def test_an_application_without_the_middleware_is_told(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/me")
    async def me(session: Required) -> str:
        return session.get_user_id()

    with TestClient(app) as client, pytest.raises(RuntimeError, match="SessionMiddleware"):
        client.get("/me")


def test_plain_asgi(sessions: Sessions, serve: Serve) -> None:

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        request: SessionRequest = scope["sessile"]
        if scope["path"] == "/login":
            session: Session | None = await request.create_new_session("alice")
        else:
            session = await request.get_session()
        assert session is not None
        body = json.dumps(session.get_user_id()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    browser = serve(SessionMiddleware(plain, sessions), lifespan="off")
    assert browser.get("/me").status_code == 401
    assert browser.post("/login").json() == "alice"
    assert browser.get("/me").json() == "alice"
    assert browser.post("/session/refresh").status_code == 200
    sessions.close()


def test_the_errors_say_why(sessions: Sessions) -> None:
    def incoming(**cookies: str) -> SessionRequest:
        line = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return sessions.request("POST", {"cookie": line})

    with pytest.raises(UnauthorisedError) as unauthorised:
        incoming().sync_get_session()
    assert (unauthorised.value.reason, unauthorised.value.status) == ("no_session", 401)
    request = incoming()
    request.sync_create_new_session("alice")
    refresh = [
        value.split(";")[0].removeprefix("sRefreshToken=")
        for name, value in request.response_headers()
        if value.startswith("sRefreshToken=")
    ][0]
    next_request = incoming(sRefreshToken=refresh)
    handle = next_request.sync_refresh_session().get_handle()
    child = [
        value.split(";")[0].removeprefix("sRefreshToken=")
        for name, value in next_request.response_headers()
        if value.startswith("sRefreshToken=")
    ][0]
    incoming(sRefreshToken=child).sync_refresh_session()
    thief = incoming(sRefreshToken=refresh)
    with pytest.raises(TokenTheftError) as theft:
        thief.sync_refresh_session()
    assert (theft.value.user_id, theft.value.session_handle) == ("alice", handle)
    answer = thief.error_answer(theft.value)
    assert answer.status == 401
    assert json.loads(answer.body)["reason"] == "stale_refresh_token"
    assert ("front-token", "remove") in answer.headers
    assert child not in str(theft.value) and refresh not in str(theft.value)
    sessions.close()
