"""The command line of a database's engine, for commands that only look."""

from __future__ import annotations

from pytest_mdm_health.backends import Backend


def program_of(backend: Backend) -> tuple[str, ...]:
    """The engine's command line, which opens a file read-only: otherwise it would checkpoint a leftover WAL."""
    server, path = backend.connection, str(backend.path)
    if server is not None:
        user = ("-U", server.user) if server.user else ()
        return ("psql", "-h", server.host, "-p", str(server.port), *user, "-d", server.database, "-c")
    if backend.engine == "duckdb":
        return ("duckdb", path, "-readonly", "-c")
    return ("sqlite3", "-readonly", path)
