"""Connections to the database run out.

Symptoms
--------
`TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out`; queries that hang for half a
minute and then fail; "too many connections", "sorry, too many clients already" from PostgreSQL.

Causes
------
A pool smaller than what runs at the same time. Connections that are taken and not given back, because a session or a
cursor was not closed. Several processes, each with a pool of its own, on a server that has fewer connections. And
settings that were raised without effect: MDM reads `database.sqlalchemy.pool_size` and its neighbours from mdm.yaml
only, no `MDM_*` variable reaches them; and from 0.2.0 on MDM opens its pools with 5 + 10 connections whatever is set.

Diagnosis
---------
Compare the pool's size and overflow with `performance.max_concurrent_operations` and with the MDM processes that run;
compare all of them with the server's `max_connections`, with what it keeps for administrators, and with the limits of
the role and of the database. See who holds connections and does nothing:
`SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2`. Look for `QueuePool limit` in the log.
A pool of the configured size is really filled, with connections to a throw-away SQLite file (200 at the most), and
with at most five connections to a server, never more than a tenth of those that are free.

Solutions
---------
A larger `pool_size` and `max_overflow` in mdm.yaml (the guide's 30 and 20). Connections in `with`, engines disposed of.
Fewer processes, a larger `max_connections`, or pgbouncer between.

Findings
--------
* `pool-too-small` (warn): more operations may run at once than the pool has connections.
* `ignored-setting` (note): a setting of the pool stands under a name that MDM does not read.
* `probe-failed` (warn): a pool of the configured size could not be filled.
* `logged-exhaustion` (warn/note): the log tells of connections that ran out; a note if it went well afterwards or is
  long ago.
* `server-full` (fail/warn): the server has no connection left for this home; a warning where it lets nobody in at all,
  which postgres-slowdown tells as the failure that it is.
* `server-nearly-full` (warn): more than four fifths of the server's connections are taken.
* `exceeds-server` (warn): MDM's processes may want more connections than the server has.
* `leaked-transaction` (warn/note): a session of MDM left a transaction open for longer than others wait for a
  connection; a note where postgres-slowdown tells of the sessions that wait for it.
* `leaked-connection` (warn/note): a session of MDM has done nothing for longer than a pool keeps connections; a warning
  if such sessions hold half of the server's connections.
* `probe-refused` (fail): the server refused a connection while it should have had some left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mdm_health.checks.pool_exhaustion import findings
from pytest_mdm_health.checks.pool_exhaustion.facts import PoolFacts
from pytest_mdm_health.checks.pool_exhaustion.look import gather
from pytest_mdm_health.core.model import Check, Depth, Finding, Kind, Status, status_of
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="pool-exhaustion",
    issue="3.1",
    title="Too few database connections for what runs",
    per=Kind.HOME,
    tags=("storage", "pool", "postgresql"),
)


def observe(mdm_inventory: Inventory, mdm_installation: Installation | None, mdm_options: Options) -> PoolFacts:
    """Read the settings, fill a pool, look at processes, servers and the log.

    Settings that are in order say little while none of the servers could be looked at: that is nothing examined.
    """
    facts = gather(mdm_inventory, mdm_installation, Depth(mdm_options.depth))
    unseen = facts.servers and all(use.problem for use in facts.servers)
    in_order = status_of(judge(facts, None)) is Status.PASS
    return replace(facts, examined=0) if unseen and in_order else facts


def judge(facts: PoolFacts, before: PoolFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """From the settings to the servers."""
    yield from findings.of_settings(CHECK, facts)
    yield from findings.of_probe(CHECK, facts)
    yield from findings.of_log(CHECK, facts)
    for use in facts.servers:
        yield from findings.of_server(CHECK, facts, use)
