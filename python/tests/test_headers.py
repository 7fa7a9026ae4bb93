"""Functions that take and return headers, in Flask and in Django."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from socketserver import ThreadingMixIn

import pytest
from serving import Browser, cleared, set_cookies
from sessile import SessionError, SessionRequest, Sessions

BOTH = {"sAccessToken", "sRefreshToken"}


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = False


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def served_by_threads(application: Any) -> Iterator[Browser]:
    with make_server("127.0.0.1", 0, application, ThreadingServer, QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with contextlib.closing(Browser(f"http://127.0.0.1:{server.server_port}")) as browser:
            yield browser
        server.shutdown()
        thread.join()


def flask_application(sessions: Sessions) -> Any:
    import flask

    app = flask.Flask("test")

    @app.before_request
    def begin() -> None:
        flask.g.sessions = sessions.request(
            flask.request.method, flask.request.headers, scheme=flask.request.scheme
        )

    @app.after_request
    def end(response: flask.Response) -> flask.Response:
        response.headers.extend(flask.g.sessions.response_headers())
        return response

    @app.errorhandler(SessionError)
    def failed(error: SessionError) -> flask.Response:
        answer = flask.g.sessions.error_answer(error)
        return flask.Response(answer.body, answer.status, answer.headers)

    @app.post("/login")
    def login() -> str:
        session = flask.g.sessions.sync_create_new_session("alice", {"role": "editor"})
        return str(session.get_handle())

    @app.get("/me")
    def me() -> dict[str, Any]:
        session = flask.g.sessions.sync_get_session()
        session.sync_update_session_data_in_database({"seen": True})
        session.sync_merge_into_access_token_payload({"merged": True})
        assert session.sync_get_session_data_from_database() == {"seen": True}
        return {"user_id": session.get_user_id(), **session.get_access_token_payload()}

    @app.post("/session/refresh")
    def refresh() -> str:
        return str(flask.g.sessions.sync_refresh_session().get_handle())

    @app.post("/signout")
    def sign_out() -> dict[str, str]:
        flask.g.sessions.sync_sign_out()
        return {"status": "OK"}

    return app


def django_application(sessions: Sessions) -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path

    class SessionMiddleware:
        def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
            self._get_response = get_response

        def __call__(self, request: Any) -> HttpResponse:
            request.sessions = sessions.request(
                request.method, request.headers, scheme=request.scheme
            )
            response = self._get_response(request)
            for name, value in request.sessions.response_headers():
                if name == "set-cookie":
                    response.cookies.load(value)
                else:
                    response[name] = value
            return response

        def process_exception(self, request: Any, error: Exception) -> HttpResponse | None:
            if not isinstance(error, SessionError):
                return None
            answer = request.sessions.error_answer(error)
            response = HttpResponse(answer.body, status=answer.status)
            for name, value in answer.headers:
                if name == "set-cookie":
                    response.cookies.load(value)
                else:
                    response[name] = value
            return response

    def login(request: Any) -> HttpResponse:
        session = request.sessions.sync_create_new_session("alice", {"role": "editor"})
        return HttpResponse(session.get_handle())

    def me(request: Any) -> HttpResponse:
        session = request.sessions.sync_get_session()
        session.sync_merge_into_access_token_payload({"merged": True})
        payload = session.get_access_token_payload()
        return JsonResponse({"user_id": session.get_user_id(), **payload})

    def refresh(request: Any) -> HttpResponse:
        return HttpResponse(request.sessions.sync_refresh_session().get_handle())

    def sign_out(request: Any) -> HttpResponse:
        request.sessions.sync_sign_out()
        return JsonResponse({"status": "OK"})

    class Urls:
        urlpatterns = [
            path("login", login),
            path("me", me),
            path("session/refresh", refresh),
            path("signout", sign_out),
        ]

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, MIDDLEWARE=[])
        django.setup()
    handler = WSGIHandler()
    middleware = SessionMiddleware(handler._middleware_chain)
    handler._exception_middleware = [middleware.process_exception]
    handler._view_middleware = []

    def outer(request: Any) -> HttpResponse:
        return middleware(request)

    handler._middleware_chain = outer
    return handler


@pytest.fixture(params=[flask_application, django_application], ids=["flask", "django"])
def browser(request: Any, tmp_path: Path) -> Iterator[Browser]:
    sessions = Sessions(tmp_path / "sessions.db")
    with served_by_threads(request.param(sessions)) as browser:
        yield browser
    sessions.close()


def test_the_usual_way(browser: Browser) -> None:
    answer = browser.get("/me")
    assert (answer.status_code, answer.json()["reason"]) == (401, "no_session")
    answer = browser.post("/login")
    assert set_cookies(answer).keys() == BOTH
    assert answer.headers["front-token"]
    handle = answer.text
    answer = browser.get("/me")
    assert answer.json() == {"user_id": "alice", "role": "editor", "merged": True}
    assert set_cookies(answer).keys() == {"sAccessToken"}
    answer = browser.post("/session/refresh")
    assert (answer.status_code, answer.text) == (200, handle)
    other = browser.copy()
    answer = browser.post("/signout")
    assert cleared(answer) == BOTH
    answer = other.post("/session/refresh")
    assert (answer.status_code, answer.json()["reason"]) == (401, "session_not_found")
    assert cleared(answer) == BOTH


def test_https_makes_cookies_secure(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions.db")

    def lines(scheme: str) -> list[str]:
        request: SessionRequest = sessions.request(
            "POST", [("Host", "app.example.com")], scheme=scheme
        )
        request.sync_create_new_session("alice")
        return [value for name, value in request.response_headers() if name == "set-cookie"]

    assert all("; Secure" in line for line in lines("https"))
    assert not any("; Secure" in line for line in lines("http"))
    sessions.close()
