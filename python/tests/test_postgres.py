"""Sessions in PostgreSQL."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from postgres_server import Database, PostgresServer
from seed_application import SeedApplication
from sessile import GeneralError, Sessions
from supertokens_fastapi import SuperTokens
from supertokens_fastapi.exceptions import SuperTokensGeneralError

Seed = Callable[..., SeedApplication]

# As SuperTokens' core makes them.
FIXTURE = Path(__file__).parents[2] / "crates/postgres-fixture/src"
SUPERTOKENS_TABLES = (FIXTURE / "supertokens.sql").read_text()
SUPERTOKENS_TABLES_OF_USERS = (FIXTURE / "supertokens_users.sql").read_text()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    with postgres.database() as database:
        yield database


@pytest.fixture
def shared(database: Database) -> Database:
    """A database that a core may use too."""
    database.rows(SUPERTOKENS_TABLES)
    return database


@pytest.mark.parametrize(
    "url",
    [
        "mysql://alice:secret@localhost/shop",
        "POSTGRESQL://alice:secret@localhost/shop",
        "postgresql://alice:secret@localhost:port/shop",
        "postgresql://alice:secret@localhost:65536/shop",
        "postgresql://alice:secret@[::1/shop",
        "postgresql://:secret@localhost/shop",
        "postgres://alice:secret@localhost/shop?colour=red",
        "postgresql://alice:secret@localhost/shop?sslmode=maybe",
        "postgresql://alice:secret%00@localhost/shop",
    ],
)
def test_a_url_that_cannot_be_used_is_a_value_error_without_its_password(url: str) -> None:
    for make in (Sessions, lambda url: SuperTokens(FastAPI(), store=url)):
        with pytest.raises(ValueError, match="store") as error:
            make(url)
        assert "secret" not in repr(error.value)


def test_the_log_says_where_and_not_by_which_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = "postgresql://alice:secret@db.example:5433,other.example/shop"
    sessions = Sessions(url)
    SuperTokens(FastAPI(), store=url)
    place = "sessions are kept in database 'shop' at db.example:5433, other.example:5432"
    levels = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert levels == [(logging.INFO, place)] * 2
    assert "secret" not in repr(sessions)


def test_a_server_that_cannot_be_reached_is_a_general_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Nobody listens at port 1.
    sessions = Sessions("postgresql://alice:secret@127.0.0.1:1/shop")
    for _ in range(2):
        with pytest.raises(GeneralError, match="127.0.0.1:1") as error:
            sessions.sync_open()
        assert error.value.status == 503
        assert "secret" not in repr(error.value) + caplog.text
    sessions.close()


def test_signing_keys_are_sealed_where_there_is_a_wrapping_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSILE_WRAPPING_KEY", base64.b64encode(bytes(range(32))).decode())
    for _ in range(2):
        sessions = Sessions(database.url)
        sessions.request("POST", {}).sync_create_new_session("alice")
        sessions.close()
    materials = database.rows("SELECT material FROM sessile_signing_key")
    assert materials and all(material.startswith("sealed1:") for material in materials)
    monkeypatch.delenv("SESSILE_WRAPPING_KEY")
    with pytest.raises(GeneralError, match="SESSILE_WRAPPING_KEY|wrapping key"):
        Sessions(database.url).sync_open()


def test_a_user_id_has_at_most_128_characters_as_in_the_tables_of_a_core(
    database: Database, tmp_path: Path
) -> None:
    sessions = Sessions(database.url)
    with pytest.raises(GeneralError, match="a user id must not be longer than 128 characters"):
        sessions.request("POST", {}).sync_create_new_session("x" * 129)
    sessions.request("POST", {}).sync_create_new_session("ä" * 128)
    assert database.rows("SELECT char_length(user_id) FROM session_info") == ["128"]
    sessions.close()
    in_file = Sessions(tmp_path / "sessions.db")
    in_file.request("POST", {}).sync_create_new_session("x" * 256)
    assert len(in_file.sync_get_sessions_for_user("x" * 256)) == 1
    in_file.close()


def test_a_database_that_takes_no_writes_is_read_and_its_error_says_what_to_do(
    database: Database,
) -> None:
    sessions = Sessions(database.url)
    handle = sessions.request("POST", {}).sync_create_new_session("alice").get_handle()
    sessions.close()
    [name] = database.rows("SELECT current_database()")
    database.rows(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    sessions = Sessions(database.url)
    with pytest.raises(GeneralError, match="connect to the primary server") as error:
        sessions.request("POST", {}).sync_create_new_session("alice")
    assert error.value.status == 503
    [listed] = sessions.sync_get_sessions_for_user("alice")
    assert listed.session_handle == handle
    sessions.close()


class TestBesideACore:
    """A database whose tables were there before."""

    def test_its_signing_keys_must_be_those_that_a_core_can_read(self, shared: Database) -> None:
        sessions = Sessions(shared.url)
        with pytest.raises(GeneralError, match="RS256.*SuperTokens core"):
            sessions.sync_open()
        supertokens = SuperTokens(FastAPI(), store=shared.url)
        with pytest.raises(SuperTokensGeneralError, match="RS256.*SuperTokens core"):
            supertokens.sync_open()
        supertokens.close()
        assert not shared.rows("SELECT key_id FROM sessile_signing_key")

    @pytest.mark.parametrize("contract", ["current", "1.0"])
    def test_a_session_lives_and_ends(self, shared: Database, seed: Seed, contract: str) -> None:
        app = seed(store=shared.url, algorithm="RS256", front_end_contract=contract)
        handle = app.log_in(session_data={"cart": [1]}).json()["handle"]
        token = app.browser.cookie("sRefreshToken")
        assert token is not None
        assert not token.startswith("srt1."), "it is in a core's format"
        assert app.browser.post("/session/refresh").json() == {"handle": handle}
        assert app.browser.get("/me").json()["user_id"] == "alice"
        rows = shared.rows("SELECT user_id, session_data FROM session_info")
        assert rows == ['alice|{"cart":[1]}']
        count = "SELECT count(*) FROM session_access_token_signing_keys"
        assert shared.rows(count) == ["1"]
        assert not shared.rows("SELECT key_id FROM sessile_signing_key")
        app.browser.post("/session/revoke_session", json=[])
        assert not shared.rows("SELECT user_id FROM session_info")

    def test_an_app_must_be_there_before_its_sessions(self, shared: Database) -> None:
        sessions = Sessions(shared.url, algorithm="RS256", app_id="a")
        with pytest.raises(GeneralError, match="app or tenant is not in this database"):
            sessions.sync_open()
        sessions.close()

    def test_linked_accounts_are_one_user(self, shared: Database) -> None:
        shared.rows(SUPERTOKENS_TABLES_OF_USERS)
        shared.rows(
            "INSERT INTO apps VALUES ('public', 0);"
            "INSERT INTO tenants VALUES ('public', 'public', 0);"
            "INSERT INTO app_id_to_user_id VALUES"
            " ('public', 'alice', 'emailpassword', 'alice', true),"
            " ('public', 'google', 'thirdparty', 'alice', true)"
        )
        sessions = Sessions(shared.url, algorithm="RS256")
        handles = set()
        for account in ("alice", "google"):
            session = sessions.request("POST", {}).sync_create_new_session(account)
            assert (session.get_user_id(), session.get_recipe_user_id()) == ("alice", account)
            handles.add(session.get_handle())
        for account in ("alice", "google"):
            assert set(sessions.sync_get_all_session_handles_for_user(account)) == handles
        assert set(sessions.sync_revoke_all_sessions_for_user("google")) == handles
        sessions.close()
