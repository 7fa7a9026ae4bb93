"""A PostgreSQL server for the tests."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving import free_port

# It ends, and its folder goes, when the other end of its input is closed, however that comes.
WATCHER = """
trap '' INT TERM
"$PROGRAMS/postgres" -D "$FOLDER/data" -p "$PORT" -k "$FOLDER" -c listen_addresses=127.0.0.1 \\
  -c fsync=off -c max_connections=200 </dev/null >"$FOLDER/log" 2>&1 &
server=$!
read -r nothing
kill -INT $server
wait $server
rm -rf "$FOLDER"
"""


def programs() -> Path:
    """The folder with PostgreSQL's programs: the newest of Debian's, or one in PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    in_path = [Path(folder) for folder in os.get_exec_path()]
    for folder in [*debian, *in_path]:
        if all((folder / name).exists() for name in ("initdb", "pg_isready", "postgres", "psql")):
            return folder
    raise RuntimeError("PostgreSQL is not installed: the tests need initdb, pg_isready, postgres and psql")


def _owner() -> Mapping[str, Any]:
    """PostgreSQL does not run as root; then the system user `postgres` runs it."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Database:
    """A database, and its superuser."""

    def __init__(self, port: int, name: str) -> None:
        self._port = port
        self._name = name
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{name}"

    def rows(self, sql: str) -> list[str]:
        """Runs SQL, past whatever is tested; gives its rows with their values joined by `|`."""
        command = [
            str(programs() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
            "-d", self.url, "-f", "-",
        ]  # fmt: skip
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


class PostgresServer:
    """A server on a free port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._number = 0

    @contextmanager
    def database(self) -> Iterator[Database]:
        """A new database, with nothing in it, that goes afterwards."""
        self._number += 1
        name = f"test_{self._number}"
        administration = Database(self._port, "postgres")
        administration.rows(f"CREATE DATABASE {name}")
        yield Database(self._port, name)
        administration.rows(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Starts a server with a folder of its own, and ends it."""
    owner, folder = _owner(), Path(tempfile.mkdtemp(prefix="sessile-pg-"))
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    subprocess.run(
        [
            str(programs() / "initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync", "-D", str(folder / "data"),
        ],
        check=True, capture_output=True, cwd="/", **owner,
    )  # fmt: skip
    port = free_port()
    environment = {"PROGRAMS": str(programs()), "FOLDER": str(folder), "PORT": str(port)}
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", WATCHER],
        stdin=subprocess.PIPE, env={**os.environ, **environment}, cwd="/",
        start_new_session=True, **owner,
    )  # fmt: skip
    try:
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert watcher.poll() is None
            log = folder / "log"
            assert not log.exists() or "FATAL:  could not" not in log.read_text(), log.read_text()
        yield PostgresServer(port)
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(60)
