"""DuckDB's extensions that read other databases, where they are installed for this DuckDB; none is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from pytest_mdm_health.backends import literal
from pytest_mdm_health.mdm.servers import Connection

FAILURES = (duckdb.Error, ValueError, RuntimeError, OverflowError, TypeError)
"""What DuckDB raises."""

AS_IT_IS: Mapping[str, str] = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
}
"""How a server writes values and orders rows in a session that reads a table; how long it takes is for others."""

_OURS = (
    "SELECT current_setting('synchronize_seqscans') = 'off' AND current_setting('transaction_read_only') = 'on' AS o"
)
"""What is true of a session that took the settings; poolers may drop them."""


def load(connection: duckdb.DuckDBPyConnection, engine: str) -> bool:
    """Load the extension that reads `sqlite` or `postgres`, if there is one that fits."""
    spec = importlib.util.find_spec(f"duckdb_extension_{engine}_scanner")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    try:
        connection.execute(f"LOAD {literal(folder / f'{engine}_scanner.duckdb_extension')}")
    except FAILURES:
        return False
    return True


def attach(connection: duckdb.DuckDBPyConnection, servers: Iterable[Connection]) -> dict[Connection, str]:
    """Attach databases on servers, each by a session for each query; their names, without those where it fails."""
    wanted = tuple(dict.fromkeys(servers))
    attached: dict[Connection, str] = {}
    if not wanted or not load(connection, "postgres"):
        return attached
    from pytest_mdm_health.backends.postgresql import connection_string

    for number, server in enumerate(wanted):
        alias = f"server_{number}"
        try:
            connection.execute("SET pg_pool_max_connections = 0")
            address = literal(connection_string(server, AS_IT_IS))
            connection.execute(f"ATTACH {address} AS {alias} (TYPE postgres, READ_ONLY)")
            ours = connection.execute(f"FROM postgres_query('{alias}', {literal(_OURS)})").fetchall() == [(True,)]
        except FAILURES:  # its text may show the password; whoever reads in another way is told what is wrong
            continue
        if ours:
            attached[server] = alias
    return attached


def names_a_password(error: Exception) -> bool:
    """Whether an error has the whole address of a server in it, as the extension tells where it could not connect."""
    return "Unable to connect to Postgres" in str(error)
