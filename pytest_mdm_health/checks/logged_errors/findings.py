"""What logged-errors can find, with its sentences."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mdm_health.core.findings import Rule, Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
CHECK = Check(
    id="logged-errors", issue="8.3", title="Errors in the log", per=Kind.HOME, live=True, reads=("log",), tags=("log",)
)
RULES = Rules(CHECK)

LOGGED = "{error!r} appears {count:times} in the log{when}{outcome}"
KNOWN_CAUSE = Steps("{action}Issue {issue}: {cause}; {fix}.", commands=("{show_record}",))
UNKNOWN_CAUSE = Steps("{action}Examine the records around it; {chapter} of the guide covers them.", ("{show_record}",))


def _known_error(code: str, *, means: str, answers: Sequence[str] = ()) -> Rule:
    """Declare a message of the guide's table, which names its cause."""
    return RULES.declare(
        code, WARN, FAIL, NOTE, means=means, message=LOGGED, remedy=KNOWN_CAUSE, answers=answers
    )  # fmt: skip


POOL_LIMIT = _known_error(
    "pool-limit",
    means="connections ran out (3.1); like those below, a failure if MDM logged it as critical, and a note if MDM only "
    "warned or a later operation succeeded",
    answers=("QueuePool limit exceeded",),
)
DATABASE_LOCKED = _known_error(
    "database-locked",
    means="SQLite found its file locked (3.2)",
    answers=("database is locked",),
)
NO_SUCH_TABLE = _known_error(
    "no-such-table",
    means="a table was missing (5.1)",
)
METADATA_KEY = _known_error(
    "metadata-key",
    means="a registration lacked a field (7.2)",
    answers=("KeyError on dataset properties",),
)
OUT_OF_MEMORY = _known_error(
    "out-of-memory",
    means="memory ran out (4.2)",
    answers=("MemoryError",),
)
TIMED_OUT = _known_error(
    "timed-out",
    means="an operation timed out (3.3)",
)
PERMISSION_DENIED = _known_error(
    "permission-denied",
    means="a file was not accessible (1.1)",
    answers=("permission denied",),
)
MODULE_MISSING = _known_error(
    "module-missing",
    means="a module was not installed (1.2)",
    answers=("import errors after updating requirements",),
)
ERROR = RULES.declare(
    "error",
    WARN,
    NOTE,
    means="another error was logged",
    message=LOGGED,
    remedy=UNKNOWN_CAUSE,
)
TRACEBACK = RULES.declare(
    "traceback",
    WARN,
    NOTE,
    means="a traceback was logged without an error",
    message=LOGGED,
    remedy=UNKNOWN_CAUSE,
)
CRITICAL = RULES.declare(
    "critical",
    FAIL,
    NOTE,
    means="MDM logged an error after which it could not continue",
    message=LOGGED,
    remedy=UNKNOWN_CAUSE,
)
UNREADABLE = RULES.declare(
    "unreadable",
    WARN,
    means="a file of the log is damaged, or is not a regular file",
    message="{reason}",
    remedy="Check whether the file is still needed; MDM creates a new log if there is none.",
)

KNOWN_ERRORS = (
    *(POOL_LIMIT, DATABASE_LOCKED, NO_SUCH_TABLE, METADATA_KEY),
    *(OUT_OF_MEMORY, TIMED_OUT, PERMISSION_DENIED, MODULE_MISSING),
)
OTHER_ERRORS = (ERROR, TRACEBACK, CRITICAL)
