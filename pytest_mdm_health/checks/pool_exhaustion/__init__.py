"""Database connections run out.

Symptoms
--------
`TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out`; queries that hang for half a
minute and then fail; "too many connections", "sorry, too many clients already" from PostgreSQL.

Causes
------
A pool smaller than what runs at the same time. Connections that are never returned, because a session or a cursor was
not closed. Several processes, each with a pool of its own, on a server that allows fewer connections. Settings that
were raised without effect: MDM reads `database.sqlalchemy.pool_size` and its neighbours from mdm.yaml only, no `MDM_*`
variable sets them; and from 0.2.0 on MDM opens its pools with 5 + 10 connections whatever is set.

Diagnosis
---------
Compare the pool's size and overflow with `performance.max_concurrent_operations` and with the MDM processes that run;
compare all of them with the server's `max_connections`, with what it reserves for administrators, and with the limits
of the role and of the database. Find out which programs hold connections and are idle:
`SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2`. Search the log for `QueuePool limit`.
This check really fills a pool of the configured size, with connections to a temporary SQLite file (at most 200), and
with at most five connections to a server, never more than a tenth of those that are free.

Solutions
---------
A larger `pool_size` and `max_overflow` in mdm.yaml (the guide's 30 and 20). Connections in `with`, engines disposed of.
Fewer processes, a larger `max_connections`, or pgbouncer in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mdm_health.checks.pool_exhaustion import conditions
from pytest_mdm_health.checks.pool_exhaustion.collect import collect
from pytest_mdm_health.checks.pool_exhaustion.facts import PoolFacts
from pytest_mdm_health.checks.pool_exhaustion.findings import CHECK, RULES
from pytest_mdm_health.core.model import Depth, Finding, Status, status_of
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(mdm_inventory: Inventory, mdm_installation: Installation | None, mdm_options: Options) -> PoolFacts:
    """Read the settings, fill a pool, examine processes, servers and the log.

    Settings without a problem mean little while none of the servers could be examined: then nothing was examined.
    """
    facts = collect(mdm_inventory, mdm_installation, Depth(mdm_options.depth))
    no_server = facts.servers and all(use.problem for use in facts.servers)
    passes = status_of(judge(facts)) is Status.PASS
    return replace(facts, examined=0) if no_server and passes else facts


def judge(facts: PoolFacts) -> Iterator[Finding]:
    """From the settings to the servers."""
    yield from conditions.check_settings(facts)
    yield from conditions.check_probe(facts)
    yield from conditions.check_log(facts)
    for use in facts.servers:
        yield from conditions.check_server(facts, use)
