"""What pool-exhaustion can find, with its sentences."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.postgres.commands import TO_END_A_SESSION, TO_END_AN_IDLE_ONE
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
CHECK = Check(
    id="pool-exhaustion",
    issue="3.1",
    title="Too few database connections for what runs",
    per=Kind.HOME,
    reads=("log",),
    tags=("storage", "pool", "postgresql"),
)
RULES = Rules(CHECK)

FEWER_OPERATIONS = Steps("Set `{operations_key}` in mdm.yaml to {most}.")
FREE_CONNECTIONS = Steps(
    "Find out which programs hold sessions, and stop those that are not needed; {fewer}; raise max_connections; or put "
    "pgbouncer in between.",
    commands=("{show_sessions}",),
)
_LET_FINISH = (
    "Find out which programs hold them, let those finish or stop them where they were started, and let them use "
    "connections in `with`. "
)
END_OWN_SESSIONS = Steps(f"{_LET_FINISH}{TO_END_AN_IDLE_ONE}", commands=("{show_sessions}",))
END_SESSIONS = Steps(
    f"{_LET_FINISH}{TO_END_A_SESSION}",
    commands=("{show_sessions}",),
)
IN_USE = "{in_use} of {connections} of {server} are in use ({limited_by}): {programs}"

POOL_TOO_SMALL = RULES.declare(
    "pool-too-small",
    WARN,
    means="more operations may run at once than the pool has connections",
    message="{operations} operations may run at the same time ({operations_from}), but the pool has {size} + "
    "{overflow} connections ({size_from})",
    remedy="Set `{operations_key}` in mdm.yaml to {most}, or `{size_key}` to {operations}. No environment variable can "
    "set them.",
    answers=("QueuePool limit exceeded",),
)
IGNORED_SETTING = RULES.declare(
    "ignored-setting",
    NOTE,
    means="a setting of the pool has a name that MDM does not read",
    message="{name} is meant for the pool, but MDM does not read it; the pool has {size} + {overflow} connections",
    remedy="Set `{key}` in mdm.yaml instead, below its section.",
)
PROBE_FAILED = RULES.declare(
    "probe-failed",
    WARN,
    means="a pool of the configured size could not be filled",
    message="only {opened} of {connections} of the pool could be opened: {reason}{limit}",
    remedy="Make the pool smaller, or let processes open more files: raise the limit of the shell that starts MDM with "
    "`ulimit -Sn`, to {files} for instance.",
    commands=("ulimit -Sn; ulimit -Hn",),
)
LOGGED_EXHAUSTION = RULES.declare(
    "logged-exhaustion",
    WARN,
    NOTE,
    means="the log reports that connections ran out; a note if a later operation succeeded, or if it is long ago",
    message="connections ran out {count:times} according to the log, last at {last}{outcome}",
    remedy="Return connections: use sessions and connections in `with`, and dispose of engines that are no longer "
    "needed; then compare the pool with what runs at the same time.",
    commands=("{show_record}",),
    answers=("QueuePool limit exceeded",),
)
SERVER_FULL = RULES.declare(
    "server-full",
    FAIL,
    means="the server has no connection left for this home; a warning where it refuses every login, which "
    "postgres-slowdown reports as the failure that it is",
    message=IN_USE,
    remedy=FREE_CONNECTIONS,
    answers=("too many connections",),
)
SERVER_REFUSES = RULES.reworded(
    SERVER_FULL,
    WARN,
    message="{server} {reason}",
    remedy="{next_step} Then {fewer}.",
)
SERVER_NEARLY_FULL = RULES.declare(
    "server-nearly-full",
    WARN,
    means="more than four fifths of the server's connections are in use",
    message=IN_USE,
    remedy=FREE_CONNECTIONS,
)
EXCEEDS_SERVER = RULES.declare(
    "exceeds-server",
    WARN,
    means="MDM's processes may open more connections than the server allows",
    message="{processes} with {connections} each may open {wanted}, but {server} allows {usable} ({limited_by})",
    remedy=FREE_CONNECTIONS,
    answers=("too many connections",),
)
LEAKED_TRANSACTION = RULES.declare(
    "leaked-transaction",
    WARN,
    NOTE,
    means="a session of MDM has been idle in a transaction for longer than others wait for a connection; a note where "
    "postgres-slowdown reports the sessions that wait for it",
    message="{sessions} idle in transaction on {server}: {described}{blocking}",
    remedy=END_SESSIONS,
    answers=("hanging queries",),
)
LEAKED_CONNECTION = RULES.declare(
    "leaked-connection",
    WARN,
    NOTE,
    means="a session of MDM has been idle for longer than a pool keeps connections; a warning if such sessions hold "
    "half of the server's connections",
    message="{sessions} idle on {server}: {described}",
    remedy=END_SESSIONS,
    answers=("hanging queries",),
)
PROBE_REFUSED = RULES.declare(
    "probe-refused",
    FAIL,
    means="the server refused a connection although it should have had some left",
    message="only {opened} of {connections} could be opened on {server}: {reason}",
    remedy=FREE_CONNECTIONS,
)
