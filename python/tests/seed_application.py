"""An application that uses everything of `supertokens_fastapi`."""

from __future__ import annotations

from typing import Any

import httpx
import supertokens_fastapi
from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from serving import Browser, changes
from sessile.testing import ManualClock
from supertokens_fastapi import (
    Session,
    SuperTokens,
    exceptions,
    supertokens_session,
    supertokens_session_with_anti_csrf,
    supertokens_session_without_anti_csrf,
)


class SeedApplication:
    """The application, its sessions, and a browser for it."""

    browser: Browser

    def __init__(self, clock: ManualClock | None = None, **settings: Any) -> None:
        self.app = FastAPI()
        self.clock = ManualClock(0) if clock is None else clock
        self.supertokens = SuperTokens(self.app, clock=clock, **settings)
        self.calls: dict[str, dict[str, int]] = {}
        self.failures: list[Exception] = []
        self._add_routes()

    def store_calls(self) -> dict[str, int]:
        return self.supertokens.store_calls()

    def log_in(self, browser: Browser | None = None, **login: Any) -> httpx.Response:
        browser = self.browser if browser is None else browser
        answer = browser.post("/login", json={"user_id": "alice", **login})
        assert answer.status_code == 200, answer.text
        return answer

    def _add_routes(self) -> None:
        app = self.app

        @app.exception_handler(Exception)
        async def failed(request: Request, error: Exception) -> PlainTextResponse:
            self.failures.append(error)
            return PlainTextResponse("Internal Server Error", 500)

        @app.post("/login")
        async def login(request: Request, body: dict[str, Any] = Body()) -> dict[str, str]:
            session = await supertokens_fastapi.create_new_session(request, **body)
            assert request.state.supertokens is session
            return {"handle": session.get_handle()}

        @app.post("/login-and-fail")
        async def login_and_fail(request: Request, how: str) -> None:
            await supertokens_fastapi.create_new_session(request, "alice")
            raise HTTPException(418) if how == "http" else RuntimeError("unhandled")

        @app.post("/session/refresh")
        @app.post("/session/refresh/")
        @app.get("/session/refresh")
        @app.post("/again")
        async def refresh(session: Session = Depends(supertokens_session)) -> dict[str, Any]:
            return {"handle": session.get_handle()}

        @app.get("/me")
        @app.post("/me")
        async def me(session: Session = Depends(supertokens_session)) -> dict[str, Any]:
            return {"user_id": session.get_user_id(), "payload": session.get_jwt_payload()}

        @app.get("/with-anti-csrf")
        async def with_csrf(
            session: Session = Depends(supertokens_session_with_anti_csrf),
        ) -> str:
            return session.get_user_id()

        @app.post("/without-anti-csrf")
        async def without_csrf(
            session: Session = Depends(supertokens_session_without_anti_csrf),
        ) -> str:
            return session.get_user_id()

        @app.post("/get-session")
        async def get_session(request: Request, enable_csrf_protection: bool) -> str:
            session = await supertokens_fastapi.get_session(request, enable_csrf_protection)
            return session.get_user_id()

        @app.post("/refresh-session")
        async def refresh_session(request: Request) -> str:
            return (await supertokens_fastapi.refresh_session(request)).get_handle()

        @app.post("/session/{function}")
        async def session_function(
            function: str,
            arguments: list[Any] = Body(),
            session: Session = Depends(supertokens_session),
        ) -> Any:
            before = self.store_calls()
            result = getattr(session, function)(*arguments)
            if hasattr(result, "__await__"):
                result = await result
            self.calls[function] = changes(before, self.store_calls())
            return result

        @app.post("/function/{function}")
        async def function_by_handle(function: str, arguments: list[Any] = Body()) -> Any:
            before = self.store_calls()
            result = await getattr(supertokens_fastapi, function)(*arguments)
            self.calls[function] = changes(before, self.store_calls())
            return result

        @app.post("/update-and-fail")
        async def update_and_fail(
            session: Session = Depends(supertokens_session),
        ) -> None:
            await session.update_jwt_payload({"new": True})
            exceptions.raise_unauthorised_exception("the application says so")

        @app.post("/revoke-and-fail")
        async def revoke_and_fail(session: Session = Depends(supertokens_session)) -> None:
            await session.revoke_session()
            exceptions.raise_unauthorised_exception("the application says so")

        @app.post("/raise/{kind}")
        async def raise_error(kind: str) -> None:
            match kind:
                case "general":
                    exceptions.raise_general_exception("general")
                case "theft":
                    exceptions.raise_token_theft_exception("mallory", "a handle")
                case "try-refresh":
                    exceptions.raise_try_refresh_token_exception("try again")
                case "unauthorised":
                    exceptions.raise_unauthorised_exception("who?")

        @app.options("/options")
        async def options() -> JSONResponse:
            answer = JSONResponse({})
            supertokens_fastapi.set_relevant_headers_for_options_api(answer)
            return answer

        @app.get("/plain")
        async def plain() -> PlainTextResponse:
            return PlainTextResponse("plain")
