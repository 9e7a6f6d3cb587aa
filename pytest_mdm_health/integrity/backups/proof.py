"""Why a backup that was looked into is not known to be good, in a few words."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.integrity.backups import BackupAssessment


def doubt_about(found: BackupAssessment) -> str:
    """The first reason for which a whole backup proves nothing; empty if it was read to its end and is good."""
    return next(_reasons(found), "")


def _reasons(found: BackupAssessment) -> Iterator[str]:
    for problem in (*found.broken, *found.closed):
        yield f"{problem.member} {problem.message}".strip()
    if found.root is None:
        yield "no part of a home was found in it"
    for bad in (*found.damaged, *found.unlike, *found.metadata):
        yield f"{bad.file} {bad.problems[0]}"
    for missing in found.missing:
        yield f"it lacks the {' and the '.join(missing.parts)} of {missing.dataset!r}"
    for log in found.missing_logs:
        yield f"{log.file} lacks what is in {log.log}"
    for shared in found.shared:
        yield f"{shared} is a file of the home itself"
    if not found.proven:
        yield (*found.unread, "it was not read to its end")[0]
