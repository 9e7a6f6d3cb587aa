"""The log tells of errors.

Symptoms
--------
Lines of level ERROR or CRITICAL, or tracebacks, in `logs/mdm.log` or in the files that were rotated away from it. A
command that failed with a message that says little; something that worked yesterday.

Causes
------
Those of the issue that the message belongs to. The guide's table ties eight messages to their causes: a used-up
connection pool, a locked SQLite file, a table that is not there, a damaged registration, too little memory, a time-out,
missing permissions, and modules that are not installed. MDM also logs and swallows many errors, above all of features,
so that a command reports success although part of its work is missing.

Diagnosis
---------
Look at the log around the record that is named, and at what MDM logged next: an error that was followed by success
for the same dataset is old noise. A log tells of the past; whether something is broken now, the check of the issue that
the message belongs to says.

Solutions
---------
Follow the issue that is named. Then run the command again that failed; once it succeeds, this check is content. Logs
that nobody needs any more can be rotated away.

Findings
--------
* `pool-limit` (fail/warn/note): connections ran out (3.1). This and the others: a failure if MDM logged it as critical,
  a note if MDM only warned or if things went well afterwards.
* `database-locked` (fail/warn/note): SQLite found its file locked (3.2).
* `no-such-table` (fail/warn/note): a table was not there (5.1).
* `metadata-key` (fail/warn/note): a registration lacked a field (7.2).
* `out-of-memory` (fail/warn/note): memory ran out (4.2).
* `timed-out` (fail/warn/note): an operation timed out (3.3).
* `permission-denied` (fail/warn/note): a file was not accessible (1.1).
* `module-missing` (fail/warn/note): a module was not there (1.2).
* `error` (warn/note): another error was logged.
* `traceback` (warn/note): a traceback was logged without an error.
* `critical` (fail/note): MDM could not go on.
* `unreadable` (warn): a file of the log is damaged or no file that can be read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.checks.logged_errors.facts import Kind, LogFacts, gather
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.model import Kind as Of
from pytest_mdm_health.core.text import times
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.mdm.home import Home

CHECK = Check(id="logged-errors", issue="8.3", title="Errors in the log", per=Of.HOME, live=True, tags=("log",))

OPEN = {
    "pool-limit": Severity.WARN,
    "database-locked": Severity.WARN,
    "no-such-table": Severity.WARN,
    "metadata-key": Severity.WARN,
    "out-of-memory": Severity.WARN,
    "timed-out": Severity.WARN,
    "permission-denied": Severity.WARN,
    "module-missing": Severity.WARN,
    "error": Severity.WARN,
    "traceback": Severity.WARN,
    "critical": Severity.FAIL,
}
"""What trouble amounts to that was not followed by success. A log tells of the past, so mostly it is a warning."""

ISSUES = {
    "mdm.config": "2.1",
    "mdm.core.storage": "3",
    "mdm.dataset.manager": "7.2",
    "mdm.dataset.operations": "7.2",
    "mdm.dataset.registrar": "7.1",
    "mdm.dataset": "7",
    "mdm.features.custom": "6.2",
    "mdm.features": "6.1",
    "mdm.performance": "4",
    "mdm.storage": "3",
}
"""Where the guide deals with what a logger reports; the longest name counts."""

_AROUND = 5
"""Lines before and after a record that are worth seeing."""


def observe(mdm_home: Home) -> LogFacts:
    """Read all logs."""
    return gather(mdm_home.log_file)


def judge(facts: LogFacts, before: LogFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - stands for itself
    """One finding per kind of trouble."""
    for reason in facts.unreadable:
        remedy = Remedy("See whether it is still needed; MDM writes a new log when there is none.")
        yield CHECK.finding("unreadable", Severity.WARN, f"{reason}.", remedy, subject=reason)
    for kind in facts.kinds:
        subject = kind.finding if kind.known else f"{kind.logger}:{kind.example}"
        evidence: dict[str, JSON] = {
            "count": kind.count,
            "count_not_followed_by_success": kind.open,
            "first": kind.first,
            "last": kind.last,
            "example": kind.example,
            "error": kind.error,
            "datasets": [*kind.datasets],
        }
        yield CHECK.finding(
            kind.finding, _severity(kind), _message(kind), _remedy(kind),
            evidence=evidence, location=Location(kind.file, kind.line), subject=subject,
        )  # fmt: skip


def _severity(kind: Kind) -> Severity:
    if not kind.open or kind.level == "WARNING":  # a warning says that MDM helped itself
        return Severity.NOTE
    return Severity.FAIL if kind.level == "CRITICAL" else OPEN[kind.finding]


def _message(kind: Kind) -> str:
    when = f"on {kind.last}" if kind.first == kind.last else f"from {kind.first} to {kind.last}"
    since = "; it went well afterwards" if not kind.open else ""
    what = kind.known or kind.example.partition("\n")[0] or kind.error or "a traceback"
    return f"The log has {what!r} {times(kind.count)}{f', {when}' if kind.last else ''}{since}."


def _remedy(kind: Kind) -> Remedy:
    known = next((each for each in KNOWN_ERRORS if each.finding == kind.finding), None)
    if known:
        text = f"Issue {known.issue}: {known.cause}; {known.fix}."
    else:
        names = [name for name in ISSUES if f"{kind.logger}.".startswith(f"{name}.")]
        issue = ISSUES[max(names, key=len)] if names else "8"
        text = f"Issue {issue}{'' if '.' in issue else ' and its parts'} of the guide: look at the records around it."
    return Remedy("Nothing to do any more. " * (not kind.open) + text, (_show(Path(kind.file), kind.line),))


def _show(file: Path, line: int) -> str:
    lines = f"{max(1, line - _AROUND)},{line + _AROUND}p"
    readers = {".gz": "zcat", ".bz2": "bzcat", ".xz": "xzcat", ".zip": "unzip -p"}
    if reader := readers.get(file.suffix):
        return f"{reader} {shlex.quote(str(file))} | sed -n {lines}"
    return f"sed -n {lines} {shlex.quote(str(file))}"
