"""Logging in by Auth0: a server of this machine speaks its part, over TLS."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from fastapi import HTTPException, Request, Response
from seed_application import SeedApplication
from serving import cleared, set_cookies
from supertokens_fastapi import auth0_handler, create_new_session
from supertokens_fastapi.exceptions import SuperTokensGeneralError

Seed = Callable[..., SeedApplication]


class Auth0:
    """Auth0's token endpoint: keeps what it was asked, and answers what it is told to."""

    def __init__(self, port: int) -> None:
        self.domain = f"localhost:{port}"
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.claims: dict[str, Any] = {
            "sub": "auth0|alice",
            "aud": "client",
            "iss": f"https://{self.domain}/",
        }
        self.refresh_token: str | None = "refresh 1"

    @property
    def id_token(self) -> str:
        parts = ({"alg": "RS256"}, self.claims)
        texts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
        return b".".join(text.rstrip(b"=") for text in (*texts, b"signature")).decode()

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "id_token": self.id_token,
            "access_token": "access",
            "expires_in": 86400,
        }
        if self.refresh_token is not None:
            answer["refresh_token"] = self.refresh_token
        return answer


@pytest.fixture
def auth0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Auth0]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    (tmp_path / "authority.pem").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/oauth/token"
            assert self.headers["content-type"] == "application/x-www-form-urlencoded"
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            fake.asked.append({name: value for name, (value,) in parse_qs(body).items()})
            answer = json.dumps(fake.answer() if fake.status == 200 else {"error": "no"}).encode()
            self.send_response(fake.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        fake = Auth0(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def app(tmp_path: Path, auth0: Auth0, serve: Any, clock: Any) -> SeedApplication:
    application = SeedApplication(clock=clock, store=tmp_path / "sessions.db")
    called: list[tuple[Any, ...]] = []

    @application.app.post("/auth0")
    async def handle(request: Request) -> Response:
        return await auth0_handler(request, auth0.domain, "client", "secret")

    @application.app.post("/auth0-after-verification")
    async def handle_after_verification(request: Request) -> Response:
        from supertokens_fastapi import get_session

        await get_session(request, False)
        return await auth0_handler(request, auth0.domain, "client", "secret")

    @application.app.post("/auth0-callback/{kind}")
    async def handle_with_callback(request: Request, kind: str) -> Response:
        async def asynchronous(*arguments: Any) -> None:
            called.append(arguments)
            await create_new_session(request, "mapped", {"by": "callback"})

        def sync(*arguments: Any) -> None:
            called.append(arguments)
            if kind == "teapot":
                raise HTTPException(418)

        callback = asynchronous if kind == "async" else sync
        return await auth0_handler(request, auth0.domain, "client", "secret", callback)

    application.called = called  # type: ignore[attr-defined]
    application.browser = serve(application.app)
    return application


LOGIN = {"action": "login", "code": "a code", "redirect_uri": "https://app.example.com"}


def data(app: SeedApplication) -> Any:
    return app.browser.post("/session/get_session_data", json=[]).json()


def test_login(app: SeedApplication, auth0: Auth0) -> None:
    answer = app.browser.post("/auth0", json=LOGIN)
    assert answer.status_code == 200
    assert answer.json() == {"id_token": auth0.id_token, "expires_in": 86400}
    assert auth0.asked == [
        {
            "grant_type": "authorization_code",
            "client_id": "client",
            "client_secret": "secret",
            "code": "a code",
            "redirect_uri": "https://app.example.com",
        }
    ]
    me = app.browser.get("/me").json()
    assert me == {"user_id": "auth0|alice", "payload": {}}
    assert data(app) == {"refresh_token": "refresh 1"}


def test_login_without_a_refresh_token(app: SeedApplication, auth0: Auth0) -> None:
    auth0.refresh_token = None
    app.browser.post("/auth0", json=LOGIN)
    assert data(app) == {}


def test_login_with_an_async_callback(app: SeedApplication, auth0: Auth0) -> None:
    answer = app.browser.post("/auth0-callback/async", json=LOGIN)
    assert answer.status_code == 200
    called = app.called  # type: ignore[attr-defined]
    assert called == [("auth0|alice", auth0.id_token, "access", "refresh 1")]
    assert app.browser.get("/me").json() == {"user_id": "mapped", "payload": {"by": "callback"}}


def test_login_with_a_sync_callback_calls_it_once(app: SeedApplication, auth0: Auth0) -> None:
    auth0.refresh_token = None
    answer = app.browser.post("/auth0-callback/sync", json=LOGIN)
    assert answer.status_code == 200
    assert not set_cookies(answer), "the callback creates the session, or nobody does"
    called = app.called  # type: ignore[attr-defined]
    assert called == [("auth0|alice", auth0.id_token, "access", None)]


def test_refresh_by_the_kept_token(app: SeedApplication, auth0: Auth0) -> None:
    app.browser.post("/auth0", json=LOGIN)
    answer = app.browser.post("/auth0", json={"action": "refresh"})
    assert answer.json() == {"id_token": auth0.id_token, "expires_in": 86400}
    assert auth0.asked[-1] == {
        "grant_type": "refresh_token",
        "client_id": "client",
        "client_secret": "secret",
        "refresh_token": "refresh 1",
    }
    assert data(app) == {"refresh_token": "refresh 1"}


def test_refresh_by_a_code_replaces_the_kept_token(app: SeedApplication, auth0: Auth0) -> None:
    app.browser.post("/auth0", json=LOGIN)
    app.browser.post("/session/update_session_data", json=[{"refresh_token": "x", "mine": 1}])
    auth0.refresh_token = "refresh 2"
    app.browser.post("/auth0", json={**LOGIN, "action": "refresh"})
    assert data(app) == {"refresh_token": "refresh 2", "mine": 1}
    auth0.refresh_token = None
    app.browser.post("/auth0", json={**LOGIN, "action": "refresh"})
    assert data(app) == {"mine": 1}


def test_refresh_without_a_kept_token_is_forbidden(app: SeedApplication, auth0: Auth0) -> None:
    app.log_in()
    answer = app.browser.post("/auth0", json={"action": "refresh"})
    assert (answer.status_code, answer.json()) == (403, {})
    assert not auth0.asked


@pytest.mark.parametrize("action", ["refresh", "logout"])
def test_what_needs_a_session_is_unauthorised_without(app: SeedApplication, action: str) -> None:
    answer = app.browser.post("/auth0", json={"action": action})
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")


@pytest.mark.parametrize("path", ["/auth0", "/auth0-after-verification"])
def test_logout(app: SeedApplication, path: str) -> None:
    app.log_in()
    answer = app.browser.post(path, json={"action": "logout"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert cleared(answer) == {"sAccessToken", "sRefreshToken"}
    assert app.store_calls()["remove_sessions"] == 1


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_what_auth0_refuses_has_its_status(
    app: SeedApplication, auth0: Auth0, status: int
) -> None:
    auth0.status = status
    answer = app.browser.post("/auth0", json=LOGIN)
    assert (answer.status_code, answer.json()) == (status, {})
    assert not set_cookies(answer)


def test_http_exceptions_pass_through(app: SeedApplication) -> None:
    assert app.browser.post("/auth0-callback/teapot", json=LOGIN).status_code == 418


@pytest.mark.parametrize("body", [{}, {"action": "login"}, [], {"action": "login", "code": "x"}])
def test_anything_else_is_a_general_error(app: SeedApplication, body: Any) -> None:
    assert app.browser.post("/auth0", json=body).status_code == 500
    (error,) = app.failures
    assert type(error) is SuperTokensGeneralError


@pytest.mark.parametrize(
    ("claim", "value", "advice"),
    [("aud", "another", "client_id"), ("iss", "https://other/", "domain"), ("sub", None, "user")],
)
def test_an_id_token_for_somebody_else_is_not_taken(
    app: SeedApplication, auth0: Auth0, claim: str, value: Any, advice: str
) -> None:
    auth0.claims[claim] = value
    assert app.browser.post("/auth0", json=LOGIN).status_code == 500
    (error,) = app.failures
    assert advice in str(error)
    assert auth0.id_token not in str(error)
