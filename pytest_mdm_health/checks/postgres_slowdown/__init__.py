"""A PostgreSQL server is slow, neglected, or cannot be reached at all.

Symptoms
--------
Queries that take longer than before a migration; a server with high load or memory; connections that take seconds to
come about; `TimeoutError: Operation timed out`; statements that wait and never end.

Causes
------
Tables whose statistics are missing or old, because data was loaded and never analysed. No index for what is looked
for. A transaction that was left open and holds its locks. Memory settings as the server was delivered. A server that
is away, full, or refuses the user that a registration names. And what builds up: dead rows, indexes that were never
finished, databases of datasets that are long gone.

Diagnosis
---------
Look at `pg_stat_statements` for statements whose mean time is above a second, or above that in the baseline, which
keeps the 200 that took most time (where the server tells that it counted on, only the runs since then are compared); at
`pg_stat_activity` for sessions by state, at `pg_locks` for locks that are waited for, at `pg_stat_user_tables` for
statistics, dead rows and reads from end to end, at `pg_stat_database` for cache hits and checksums, and at the age of
the oldest transaction. Everything is
judged by the size of tables and by how long the server has counted: a server that has just been started is healthy.
The examination is a session of its own, called `mdm-health`, that cannot write and waits for nothing longer than
seconds. What the home's role may not see is said, with the GRANT that shows it.

Solutions
---------
`ANALYZE`, `VACUUM`, an index on the column that statements look for; `work_mem`, `effective_cache_size` and
`shared_buffers` to fit the machine; ending a session that blocks others; a pooler such as pgbouncer. The guide's
`analyze_query_performance.py` is part of no released MDM.

Findings
--------
* `unreachable` (fail/warn): the server does not answer, is starting up, is full, lets nobody of this home in, or broke
  the connection off; a warning where no dataset is there and nobody named it, so that it is MDM's default for new ones.
* `login-refused` (fail): the server lets one of the home's users in and refuses another.
* `slow-connection` (warn): connecting takes more than a second.
* `blocked-session` (fail/warn): a session waits for another one's lock; a failure after a minute.
* `slower-statements` (warn): statements take at least twice as long on average as in the baseline, and at least 50 ms
  more, with at least 10 runs on both sides.
* `slow-statement` (warn/note): a recorded statement takes more than a second on average; a note if it ran but once or
  twice.
* `never-analysed` (warn/note): a large table has no statistics; a note while the server is about to compute them.
* `stale-statistics` (warn/note): most rows of a table changed since its statistics were computed; a note likewise.
* `dead-rows` (warn/note): deleted rows make up much of a table; a note likewise.
* `sequential-scan` (warn): a large table is read from end to end again and again for certain values of a column.
* `invalid-index` (warn): making an index broke off; it costs time and is never used.
* `memory-settings` (note): a setting of memory does not fit the machine or the data.
* `cache-misses` (warn/note): much of what was read was not in the server's cache; a note if the data is too large for
  the machine, or the machine is not this one.
* `checksum-failure` (fail): pages did not fit their checksum; data on the disk is damaged.
* `wraparound` (fail/warn): the oldest transaction is so old that the server will stop writing; a warning before.
* `unregistered-database` (note): a database is called like a dataset's and no registration knows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks._shared.postgres.facts import PostgresFacts
from pytest_mdm_health.checks.postgres_slowdown import findings
from pytest_mdm_health.checks.postgres_slowdown.look import gather
from pytest_mdm_health.checks.postgres_slowdown.statement_findings import of_statements
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Server

_SHARE_OF_TIME = 0.5
"""How much of a check's time looking into databases may take; the rest is left for the last of them."""

CHECK = Check(
    id="postgres-slowdown",
    issue="3.3",
    title="Slow, neglected or unreachable PostgreSQL server",
    per=Kind.SERVER,
    tags=("postgresql", "storage", "performance"),
)


def observe(mdm_server: Server, mdm_inventory: Inventory, mdm_options: Options) -> PostgresFacts:
    """Connect to the server, then to each of its datasets' databases, one at a time."""
    return gather(mdm_server, mdm_inventory, mdm_options.timeout * _SHARE_OF_TIME)


def judge(facts: PostgresFacts, before: PostgresFacts | None) -> Iterator[Finding]:
    """From the way in to what has built up."""
    yield from findings.of_entry(CHECK, facts)
    yield from findings.of_server(CHECK, facts)
    yield from findings.of_sessions(CHECK, facts)
    yield from of_statements(CHECK, facts, before)
    yield from findings.of_tables(CHECK, facts)
    yield from findings.of_databases(CHECK, facts)
