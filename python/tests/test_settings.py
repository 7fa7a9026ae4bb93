"""Settings: defaults, what is refused, and where sessions are kept."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import supertokens_fastapi
from fastapi import FastAPI
from seed_application import SeedApplication
from serving import Browser, set_cookies
from supertokens_fastapi import SuperTokens

Seed = Callable[..., SeedApplication]

WRONG: list[tuple[str, list[Any]]] = [
    ("access_token_path", ["", "api", 1, "/a;b"]),
    ("refresh_token_path", ["", "refresh", 1, "/ "]),
    ("cookie_domain", ["", "a b", 1, "a;b"]),
    ("cookie_secure", [1, "true"]),
    ("cookie_same_site", ["loose", 1, "none"]),
    ("store", ["", 1, "mysql://x", "a\0b", b"x"]),
    ("access_token_validity", [0, -1, 1.5, "60", True, None, 86_400_001, 10**30]),
    ("refresh_token_validity", [0, -1, "60", True, None, float("nan"), float("inf"), 1e300]),
    ("access_token_blacklisting", [1, "true", None]),
    ("access_token_signing_key_dynamic", [0, None]),
    ("access_token_signing_key_update_interval", [0, 0.5, 721, "24", None]),
    ("enable_anti_csrf", [1, "true", None]),
    ("refresh_api_path", ["", "refresh", None]),
    ("session_expired_status_code", [399, 600, "401", True, 401.0]),
    ("front_end_contract", ["2.0", 1, None]),
    ("algorithm", ["HS256", "none", 1]),
    ("app_id", ["", "A B", 1]),
    ("public_origin", ["app.example.com", "", 1]),
    ("clock", [1]),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG for value in values]
)
def test_a_wrong_setting_is_a_value_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        SuperTokens(FastAPI(), **{name: value})


def test_settings_that_contradict_each_other_are_named() -> None:
    with pytest.raises(ValueError, match="refresh_token_validity"):
        SuperTokens(FastAPI(), access_token_validity=3600, refresh_token_validity=60)
    with pytest.raises(ValueError, match="same_site"):
        SuperTokens(
            FastAPI(), cookie_same_site="none", enable_anti_csrf=True, cookie_secure=False
        )
    with pytest.raises(ValueError, match="app"):
        SuperTokens("app")  # type: ignore[arg-type]


def test_what_is_to_come_says_so() -> None:
    for settings in (
        {"hosts": "http://localhost:3567"},
        {"api_key": "a key"},
    ):
        with pytest.raises(NotImplementedError, match=f"{next(iter(settings))}.*to come"):
            SuperTokens(FastAPI(), **settings)  # type: ignore[arg-type]


def test_the_first_parameters_are_those_of_the_seed() -> None:
    parameters = list(inspect.signature(SuperTokens).parameters.values())
    assert [(parameter.name, parameter.default) for parameter in parameters[1:8]] == [
        ("hosts", None),
        ("api_key", None),
        ("access_token_path", None),
        ("refresh_token_path", None),
        ("cookie_domain", None),
        ("cookie_secure", None),
        ("cookie_same_site", None),
    ]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[8:])


def test_the_public_names_and_signatures_are_those_of_the_seed() -> None:
    signatures = {
        "auth0_handler": "request domain client_id client_secret callback=None",
        "supertokens_session": "request",
        "supertokens_session_with_anti_csrf": "request",
        "supertokens_session_without_anti_csrf": "request",
        "get_session": "request enable_csrf_protection",
        "revoke_session": "session_handle",
        "refresh_session": "request",
        "get_jwt_payload": "session_handle",
        "get_session_data": "session_handle",
        "create_new_session": "request user_id jwt_payload=None session_data=None",
        "update_jwt_payload": "session_handle new_jwt_payload",
        "update_session_data": "session_handle new_session_data",
        "revoke_multiple_sessions": "session_handles",
        "revoke_all_sessions_for_user": "user_id",
        "set_relevant_headers_for_options_api": "response",
        "get_all_session_handles_for_user": "user_id",
        "get_cors_allowed_headers": "",
    }
    for name, expected in signatures.items():
        parameters = inspect.signature(getattr(supertokens_fastapi, name)).parameters.values()
        described = [
            parameter.name
            if parameter.default is parameter.empty
            else f"{parameter.name}={parameter.default}"
            for parameter in parameters
        ]
        assert " ".join(described) == expected, name
    names = {*signatures, "SuperTokens", "Session", "exceptions"}
    assert set(supertokens_fastapi.__all__) == names


def test_cookie_settings_show_in_the_cookies(seed: Seed) -> None:
    app = seed(
        access_token_path="/api",
        refresh_token_path="/api/refresh",
        cookie_domain=".Example.com",
        cookie_secure=True,
        cookie_same_site="none",
        enable_anti_csrf=True,
    )
    lines = set_cookies(app.log_in())
    attributes = "; HttpOnly; SameSite=None; Secure; "
    assert f"{attributes}Path=/api; Domain=example.com; Expires=" in lines["sAccessToken"]
    assert f"{attributes}Path=/api/refresh; Domain=example.com;" in lines["sRefreshToken"]


def test_https_makes_cookies_secure(seed: Seed) -> None:
    app = seed(public_origin="https://app.example.com")
    assert all("; Secure" in line for line in set_cookies(app.log_in()).values())


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_algorithms(seed: Seed, algorithm: Any) -> None:
    app = seed(algorithm=algorithm)
    app.log_in()
    assert app.browser.get("/me").status_code == 200


def test_a_static_signing_key(seed: Seed) -> None:
    app = seed(access_token_signing_key_dynamic=False)
    app.log_in()
    assert app.browser.get("/me").status_code == 200


def test_nothing_given_is_a_file_whose_path_is_logged_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    serve: Callable[..., Browser],
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    app = SeedApplication()
    assert not (tmp_path / "sessile.db").exists(), "nothing is opened before it is needed"
    os.chdir("/")
    app.browser = serve(app.app)
    app.log_in()
    path = tmp_path / "sessile.db"
    assert path.exists()
    assert path.stat().st_mode & 0o077 == 0
    records = [record for record in caplog.records if str(path) in record.getMessage()]
    (record,) = records
    # It is seen where logging is not configured.
    assert (record.name, record.levelno) == ("sessile", logging.WARNING)


def test_a_store_that_is_named_is_logged_as_information(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    SuperTokens(FastAPI(), store=tmp_path / "mine.db")
    SuperTokens(FastAPI(), store=":memory:")
    levels = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert levels == [
        (logging.INFO, f"sessions are kept in {tmp_path / 'mine.db'}"),
        (logging.INFO, "sessions are kept in memory"),
    ]


class TestSeveralApplications:
    """Applications of one process share nothing."""

    @pytest.fixture
    def two(self, tmp_path: Path, seed: Seed) -> tuple[SeedApplication, SeedApplication]:
        one = seed(store=tmp_path / "one.db")
        other = seed(
            store=tmp_path / "other.db",
            session_expired_status_code=440,
            front_end_contract="1.0",
            refresh_token_path="/again",
        )
        return one, other

    def test_settings(self, two: tuple[SeedApplication, SeedApplication]) -> None:
        one, other = two
        assert one.browser.get("/me").status_code == 401
        assert other.browser.get("/me").status_code == 440
        assert "front-token" in one.log_in().headers
        assert "id-refresh-token" in other.log_in().headers
        assert set_cookies(one.browser.post("/session/refresh"))
        assert set_cookies(other.browser.post("/again"))

    def test_sessions_and_keys(self, two: tuple[SeedApplication, SeedApplication]) -> None:
        one, other = two
        handle = one.log_in().json()["handle"]
        token = {"cookie": f"sAccessToken={one.browser.cookie('sAccessToken')}; sIdRefreshToken=x"}
        assert other.browser.another().get("/me", headers=token).status_code == 440
        for function in ("revoke_session", "get_session_data"):
            answer = other.browser.post(f"/function/{function}", json=[handle])
            assert answer.json() is False or answer.status_code == 440
        assert one.browser.post("/function/get_session_data", json=[handle]).json() == {}

    def test_callbacks(self, two: tuple[SeedApplication, SeedApplication]) -> None:
        from fastapi.responses import PlainTextResponse

        one, other = two
        one.supertokens.set_unauthorised_error_handler(lambda error: PlainTextResponse("one"))
        assert one.browser.get("/me").text == "one"
        assert other.browser.get("/me").json()["error"] == "unauthorised"

    def test_app_ids_part_one_file(self, tmp_path: Path, seed: Seed) -> None:
        one = seed(store=tmp_path / "shared.db", app_id="one")
        other = seed(store=tmp_path / "shared.db", app_id="other")
        handle = one.log_in().json()["handle"]
        token = {"cookie": f"sAccessToken={one.browser.cookie('sAccessToken')}"}
        assert one.browser.another().get("/me", headers=token).status_code == 200
        assert other.browser.another().get("/me", headers=token).status_code == 401
        assert other.browser.post("/function/revoke_session", json=[handle]).json() is False

    def test_outside_of_requests_the_application_must_be_said(
        self, two: tuple[SeedApplication, SeedApplication]
    ) -> None:
        import asyncio

        one, other = two
        handle = one.log_in().json()["handle"]
        revoke = supertokens_fastapi.revoke_session
        with pytest.raises(supertokens_fastapi.exceptions.SuperTokensGeneralError, match="several"):
            asyncio.run(revoke(handle))
        with other.supertokens.selected():
            assert asyncio.run(revoke(handle)) is False
        with one.supertokens.selected():
            assert asyncio.run(revoke(handle)) is True


def test_cors_helpers(seed: Seed) -> None:
    headers = supertokens_fastapi.get_cors_allowed_headers()
    assert headers[:3] == ["anti-csrf", "supertokens-sdk-name", "supertokens-sdk-version"]
    # What today's front-end SDK sends beside them.
    assert {"rid", "authorization", "st-auth-mode", "fdi-version"} <= set(headers)
    headers.clear()
    headers = supertokens_fastapi.get_cors_allowed_headers()
    answer = seed().browser.options("/options")
    assert answer.headers.get_list("access-control-allow-headers") == headers
    assert answer.headers["access-control-allow-credentials"] == "true"
