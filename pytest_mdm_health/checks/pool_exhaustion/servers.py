"""Looking at how the connections of a PostgreSQL server are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import CannotOpen, ConnectionLost
from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks._shared.postgres import sql
from pytest_mdm_health.checks._shared.postgres.entry import Look, NoWayIn, opened, sessions
from pytest_mdm_health.checks.pool_exhaustion.facts import Idle, Pool, ServerUse
from pytest_mdm_health.checks.pool_exhaustion.probe import fill_from
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Server

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

_SHOWN = 40


def use_of(server: Server, inventory: Inventory, pool: Pool, missed: list[str], *, probing: bool) -> ServerUse:
    """How much of a server is taken and by whom; what could not be looked at goes to `missed`."""
    look, first = Look(server, inventory, missed=missed), server.logins[0]
    use = ServerUse(
        server=server.name, host=first.host, port=first.port, login=first.user or "postgres", most=pool.most
    )
    try:
        entered, _ = look.enter()
        with opened(entered) as database:
            use = replace(_limits(use, database, look), login=entered.user or use.login)
            use = replace(use, sessions=sessions(database), idle=tuple(_idle(database, look)))
        probe = fill_from(entered, pool.most, use.usable - use.in_use) if probing else None
        return replace(use, probe=probe)
    except NoWayIn as error:
        code, reason, why = error.last.code, str(error.last), f"it {error.last}"
    except CannotOpen as error:
        code, reason, why = error.code, str(error), f"it {error}"
    except ConnectionLost as error:
        code, reason, why = "dropped", str(error), str(error)
    if code != "full":
        missed.append(f"connections of the server {server.name} could not be looked at: {why}")
    return replace(use, problem=code, reason=reason)


def _limits(use: ServerUse, database: PostgresDatabase, look: Look) -> ServerUse:
    """The tightest of the limits that apply: the one that leaves the fewest connections."""
    names = sorted({each.database for each in look.server.databases.values()})
    rows = look.ask(database, sql.LIMITS, f"the limits of the server {look.server.name}", (names,))
    limits = [(name, limit, used) for name, limit, used in rows if limit >= 0]
    if not limits:
        return use
    name, limit, used = min(limits, key=lambda each: each[1] - each[2])
    return replace(use, usable=limit, limited_by=name, in_use=used)


def _idle(database: PostgresDatabase, look: Look) -> Iterator[Idle]:
    """The idle sessions of MDM: on its databases, or by a program that calls itself like it."""
    ours = ("mdm_", look.server.prefix or "mdm_")
    names = {each.database for each in look.server.databases.values()}
    rows = look.ask(database, sql.IDLE, f"idle sessions of the server {look.server.name}")
    for pid, application, user, client, state, seconds, query, name, in_the_way in rows:
        if name in names or name.startswith(ours) or application.startswith("mdm"):
            yield Idle(
                pid=pid,
                application=application,
                user=user,
                client=client,
                in_transaction=state.startswith("idle in transaction"),
                seconds=round(max(seconds or 0.0, 0.0), 1),
                last=shown(query, _SHOWN),
                in_the_way=in_the_way,
            )
