"""Databases on PostgreSQL servers, attached to the workbench by DuckDB's extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from pytest_mdm_health.backends import literal
from pytest_mdm_health.integrity.readers import scanners
from pytest_mdm_health.mdm.servers import Connection

AS_IT_IS: Mapping[str, str] = {
    "idle_in_transaction_session_timeout": "0",
    "timezone": "UTC",
    "datestyle": "ISO,YMD",  # a blank would end it among the options of a connection
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "synchronize_seqscans": "off",
    "enable_indexonlyscan": "off",
    "max_parallel_workers_per_gather": "0",
}
"""How a server writes values and orders rows in a session that reads a table."""

_TAKEN = " AND ".join(
    f"replace(current_setting({literal(name)}), ' ', '') = {literal(value)}" for name, value in AS_IT_IS.items()
)
"""What is true of a session that took the settings; poolers may drop them."""


def attach(
    connection: duckdb.DuckDBPyConnection, servers: Iterable[Connection], limit_ms: int
) -> dict[Connection, str]:
    """Attach databases on servers, each with a session for each query; their names, without those where it fails.

    Args:
        connection: that of the workbench.
        servers: how the databases are reached.
        limit_ms: how long a query may take, which a server that is waited for can only be told before; 0 is no limit.
    """
    wanted = tuple(dict.fromkeys(each for each in servers if not each.problem))
    if not wanted or not scanners.load(connection, "postgres") or not _keeps_no_sessions(connection):
        return {}
    named = {server: f"server_{number}" for number, server in enumerate(wanted)}
    return {server: alias for server, alias in named.items() if _attached(connection, server, alias, limit_ms)}


def _keeps_no_sessions(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a session ends with its query; the setting has another name in older extensions."""
    for setting in ("pg_pool_max_connections = 0", "pg_connection_cache = false"):
        try:
            connection.execute(f"SET {setting}")
        except scanners.FAILURES:
            continue
        return True
    return False


def _attached(connection: duckdb.DuckDBPyConnection, server: Connection, alias: str, limit_ms: int) -> bool:
    import psycopg

    from pytest_mdm_health.backends.postgresql import connection_string

    settings = {**AS_IT_IS, "statement_timeout": str(limit_ms)}
    try:
        connection.execute(
            f"ATTACH {literal(connection_string(server, settings))} AS {alias} (TYPE postgres, READ_ONLY)"
        )
        taken = f"SELECT {_TAKEN} AS taken"
        return connection.execute(f"FROM postgres_query({literal(alias)}, {literal(taken)})").fetchall() == [(True,)]
    except (*scanners.FAILURES, psycopg.Error):  # whoever reads in another way is told what is wrong
        return False


def names_an_address(error: Exception) -> bool:
    """Whether an error has all of a server's address in it, the password too: the extension could not connect."""
    return "Unable to connect to Postgres" in str(error)
