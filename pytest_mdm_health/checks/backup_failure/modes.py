"""What backup-failure concludes from owners and modes in the home. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.backup_failure import repairs
from pytest_mdm_health.checks.backup_failure.facts import Access, BackupFacts, Paths
from pytest_mdm_health.core.model import Check, Finding, Severity

_SHIELD = "; only a folder above keeps others out"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE


def of_modes(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Who may do what in the home."""
    access = facts.access
    if access is None:
        return
    if access.foreign.count:
        message = f"{_are(access.foreign)} not owned by {access.owner}, who owns the home: {_named(access.foreign)}"
        yield check.finding("foreign-owner", WARN, message, repairs.given(facts, access, access.foreign))
    yield from _barred(check, facts, access)
    yield from _open(check, facts, access)
    if access.odd_folders.count:
        message = f"{_are(access.odd_folders)} of mode neither 755 nor 700: {_named(access.odd_folders)}"
        yield check.finding("folder-mode", NOTE, message, repairs.folders_usual(facts, access))
    if access.passwords.count:
        shield = _SHIELD if access.shielded else ""
        message = f"others may read {_named(access.passwords)}, with a database password in it{shield}"
        severity = NOTE if access.shielded else WARN
        yield check.finding("password-readable", severity, message, repairs.closed_to_others(facts, access))


def _barred(check: Check, facts: BackupFacts, access: Access) -> Iterator[Finding]:
    text = f"Give {access.owner} the permission, unless it is withheld on purpose."
    for paths, severity, subject in ((access.barred, FAIL, "data"), (access.barred_others, WARN, "other")):
        if paths.count:
            message = f"{access.owner}, who owns the home, may not use {_named(paths)}"
            remedy = repairs.changed(facts, "u+rwX", paths, text)
            yield check.finding("unreadable", severity, message, remedy, subject=subject)
    for paths, severity, subject in (
        (access.foreign_barred, FAIL, "data of somebody else"),
        (access.foreign_barred_others, WARN, "other of somebody else"),
    ):
        if paths.count:
            message = f"{access.owner}, who owns the home, does not own and may not use {_named(paths)}"
            yield check.finding("unreadable", severity, message, repairs.given(facts, access, paths), subject=subject)


def _open(check: Check, facts: BackupFacts, access: Access) -> Iterator[Finding]:
    for paths, severity, who, how in (
        (access.open_to_all, NOTE if access.shielded else WARN, "everybody", "go-w"),
        (access.open_to_group, NOTE, "a group", "g-w"),
    ):
        if paths.count:
            shield = _SHIELD if access.shielded else ""
            message = f"{who} may write to {_named(paths)}{shield}"
            remedy = repairs.changed(facts, how, paths, "Let only the owner write there.")
            yield check.finding("writable-by-others", severity, message, remedy, subject=who)


def _are(paths: Paths) -> str:
    return "1 is" if paths.count == 1 else f"{paths.count} are"


def _named(paths: Paths, most: int = 3) -> str:
    shown = paths.some[:most]
    rest = paths.count - len(shown)
    more = f"{' and ' if shown else ''}{rest} {'more' if shown else 'that cannot be printed'}" if rest else ""
    return f"{', '.join(shown)}{more}"
