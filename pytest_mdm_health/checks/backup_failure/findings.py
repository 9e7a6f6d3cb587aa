"""What backup-failure concludes, from the backups to the place for the next one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mdm_health.checks.backup_failure import repairs
from pytest_mdm_health.checks.backup_failure.facts import (
    OLD_DAYS,
    PACKS_AT_BEST,
    SOME,
    Assessed,
    BackupFacts,
    Found,
    Lacking,
    Unsound,
)
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import duration, size
from pytest_mdm_health.mdm.backups.archive.members import Problem
from pytest_mdm_health.mdm.files import FileKind

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_FUTURE_S = 600
_NAMED = 5
_PRE = "pre"


def of_presence(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Whether there is any backup, and whether it is of now."""
    if not facts.assessed and not facts.parts and facts.unlisted:
        message = f"{facts.unlisted[0]}{_more(len(facts.unlisted) - 1)}, so it is not known whether there is a backup"
        yield check.finding("not-read", _open(facts), message, repairs.listed(facts), subject="folders")
    elif not facts.assessed and not facts.parts:
        message = f"there is no backup of this home in {' or '.join(facts.looked)}"
        severity = FAIL if facts.phase == _PRE else NOTE
        yield check.finding("no-backup", severity, message, repairs.new_backup(facts))
    elif not facts.assessed and len(facts.lacking) == facts.datasets > 0:
        message = f"there is no backup of any dataset; {facts.place.folder} holds only settings"
        severity = FAIL if facts.phase == _PRE else NOTE
        yield check.finding("no-backup", severity, message, repairs.new_backup(facts))
    for backup in facts.backups:
        if backup.age_s < -_FUTURE_S:
            message = f"{backup.path} was made {duration(-backup.age_s)} from now: its time or this clock is wrong, "
            message += "and with it which backup is the newest"
            remedy = repairs.time_seen(backup.path)
            yield check.finding("future-time", WARN, message, remedy, subject=backup.path)
    yield from _of_old(check, facts)


def of_reading(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Whether each backup was read to its end; what was not is no backup that is known to be good."""
    for one in facts.assessed:
        path = one.backup.path
        evidence: dict[str, JSON] = {"reasons": [*(each.message for each in one.closed), *one.unread]}
        if one.closed:
            message = f"{path} {_problem(one.closed[0])}{_more(len(one.closed) - 1)}"
            severity = FAIL if facts.phase == _PRE and not facts.proven else _open(facts)
            remedy = repairs.opened(facts, one)
        elif one.open:
            message = f"{one.unread[0]}{_more(len(one.unread) - 1)}, so it is not known whether {path} would restore"
            severity, remedy = _open(facts), repairs.read_again(facts, path)
        else:
            continue
        yield check.finding("not-read", severity, message, remedy, evidence=evidence, subject=path)
    for part in facts.unread:
        message = f"{part.why[0]}, so it is not known whether it would restore {part.dataset!r}"
        remedy = repairs.read_again(facts, part.file)
        yield check.finding("not-read", _open(facts), message, remedy, subject=part.dataset)


def _open(facts: BackupFacts) -> Severity:
    """How bad it is that something was not read; before a migration nothing passes with it."""
    return WARN if facts.phase == _PRE else NOTE


def of_archive(check: Check, facts: BackupFacts, one: Assessed) -> Iterator[Finding]:
    """Whether an archive is what it is called, can be read to its end, and can be unpacked without harm."""
    path, place = one.backup.path, Location(one.backup.path)
    again = repairs.new_backup(facts, "Do not rely on it.")
    hostile = Remedy("Do not unpack it. Find out who made it, and make another.", again.commands)
    for code, severity, remedy in (
        ("damaged-archive", FAIL, again),
        ("path-escape", FAIL, hostile),
        ("bomb", FAIL, hostile),
        ("link-out", WARN, repairs.new_backup(facts, "Back up what the links lead to, too.")),
        ("special-member", WARN, repairs.new_backup(facts, "Take out of the home what MDM did not put there.")),
        ("duplicate-member", WARN, again),
        ("surplus", WARN, again),
    ):
        problems = [each for each in one.problems if _CODES.get(each.code) == code]
        if problems:
            message = f"{path} {_problem(problems[0])}{_more(len(problems) - 1)}"
            evidence: dict[str, JSON] = {"members": [each.member for each in problems if each.member]}
            yield check.finding(code, severity, message, remedy, evidence=evidence, location=place, subject=path)
    if one.form and one.called and one.form != one.called:
        message = f"{path} is called .{one.called} and is a {one.form}; what unpacks it by its name fails"
        remedy = repairs.renamed(one)
        yield check.finding("wrong-format", WARN, message, remedy, location=place, subject=path)


def of_content(check: Check, facts: BackupFacts, one: Assessed) -> Iterator[Finding]:
    """Whether what a backup holds would be of use."""
    path, again = one.backup.path, repairs.new_backup(facts)
    if one.root is None and one.complete and not one.broken and not one.closed:
        message = f"{path} holds nothing of an MDM home"
        yield check.finding("nothing-inside", FAIL, message, again, subject=path)
    yield from of_data(check, facts, one.unsound, path)
    yield from of_differences(check, facts, one.unlike, path)
    for each in one.metadata:
        message = f"{each.file} in {path} {each.problems[0]}"
        place, subject = Location(path), f"{each.file} in {path}"
        yield check.finding("damaged-metadata", _before(facts), message, again, location=place, subject=subject)
    yield from of_shared(check, facts, one.shared, path)
    for lacking in one.unlogged:
        when = ", which was written to since" if lacking.newer else ""
        message = f"{lacking.file} in {path} lacks the changes that {lacking.log}{when} holds for {lacking.dataset!r}"
        severity = FAIL if facts.phase == _PRE else NOTE if lacking.newer else WARN
        remedy = repairs.new_backup(facts, f"Keep {lacking.log} where it is: the last changes are only in there.")
        subject = f"{lacking.dataset} in {path}"
        yield check.finding("without-log", severity, message, remedy, location=Location(path), subject=subject)


def of_differences(check: Check, facts: BackupFacts, unlike: Sequence[Unsound], path: str = "") -> Iterator[Finding]:
    """Data in a backup that is not what the home had then."""
    for each in unlike:
        where = f"{each.file} in {path}" if path else each.file
        message = f"{where} {each.problems[0]}{_more(len(each.problems) - 1)}"
        remedy = repairs.new_backup(
            facts, f"Keep it until {each.dataset!r} was compared: the home may be what is wrong."
        )
        evidence: dict[str, JSON] = {"problems": [*each.problems]}
        place, subject = Location(path or each.file), f"{each.dataset} in {path}" if path else each.dataset
        severity = _before(facts)
        yield check.finding(
            "incomplete-data", severity, message, remedy, evidence=evidence, location=place, subject=subject
        )


def of_shared(check: Check, facts: BackupFacts, shared: Sequence[str], path: str = "") -> Iterator[Finding]:
    """What of a backup is the home's own."""
    if shared:
        where = path or facts.place.folder
        message = (
            f"{where} shares {_listed(shared)} with the home (hard or symbolic links): what damages one damages both"
        )
        remedy = repairs.new_backup(facts)
        evidence: dict[str, JSON] = {"files": [*shared[:SOME]]}
        yield check.finding("shared-files", _before(facts), message, remedy, evidence=evidence, subject=where)


def _before(facts: BackupFacts) -> Severity:
    return FAIL if facts.phase == _PRE else WARN


def of_coverage(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Whether the newest backup that would restore, else the newest, holds everything, and as it is now."""
    one: Assessed | BackupFacts = facts
    if facts.assessed:
        restoring = [each for each in facts.assessed if each.restores]
        one = next((each for each in restoring if each.proven), (*restoring, facts.assessed[0])[0])
    path = one.backup.path if isinstance(one, Assessed) else facts.place.folder
    remedy = repairs.new_backup(facts)
    in_files = facts.datasets - len(facts.on_servers)
    if isinstance(one, Assessed) and one.is_foreign(facts.datasets):
        message = f"{path} is of another home: it registers {_listed(one.others)}, and no dataset of this home"
        yield check.finding("foreign-home", _before(facts), message, remedy, location=Location(path), subject=path)
    elif isinstance(one, Assessed) or len(one.lacking) < in_files:
        yield from _lacking(check, facts, path, one.lacking)
    if one.lacking_files:
        message = f"{path} does not hold {_listed(one.lacking_files)}"
        yield check.finding("missing-settings", WARN, message, remedy, location=Location(path), subject=path)
    if one.outdated:
        since = f"{path} was made, {_ago(one.backup)}" if isinstance(one, Assessed) else f"being saved in {path}"
        message = f"{_listed(one.outdated)} changed since {since}"
        severity = WARN if facts.phase == _PRE else NOTE
        yield check.finding("outdated", severity, message, remedy, subject=path)


def of_data(check: Check, facts: BackupFacts, unsound: Sequence[Unsound], path: str = "") -> Iterator[Finding]:
    """Data in a backup that would be of no use."""
    for each in unsound:
        where = f"{each.file} in {path}" if path else each.file
        message = f"{where} {each.problems[0]}{_more(len(each.problems) - 1)}"
        remedy = repairs.new_backup(facts, f"See whether {each.dataset!r} itself is sound (5.1).")
        evidence: dict[str, JSON] = {"problems": [*each.problems]}
        place, subject = Location(path or each.file), f"{each.dataset} in {path}" if path else each.dataset
        yield check.finding("damaged-data", FAIL, message, remedy, evidence=evidence, location=place, subject=subject)


def of_servers(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Data that no copy of the home can hold."""
    for server in facts.on_servers:
        message = f"the data of {server.dataset!r} is on a server; no copy of the home holds it"
        yield check.finding("server-data", NOTE, message, repairs.dumped(facts, server), subject=server.dataset)


def of_place(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """Whether the next backup can be written."""
    place, severity = facts.place, FAIL if facts.phase == _PRE else WARN
    if place.kind not in {FileKind.FOLDER.value, FileKind.MISSING.value}:
        message = f"{place.folder} is a {place.kind}, so no backup can be written there"
        yield check.finding("folder-access", severity, message, repairs.folder_opened(facts))
    elif place.refused:
        yield check.finding(
            "folder-access", severity, f"{place.standing} {place.refused}", repairs.folder_opened(facts)
        )
    elif place.read_only:
        message = f"{place.standing} is on a file system that is mounted read-only here"
        message += f", at {place.mount}" if place.mount else ""
        yield check.finding("folder-access", NOTE, message, repairs.folder_opened(facts))
    likely = place.needed // PACKS_AT_BEST if place.expected is None else place.expected
    if place.full or place.free < (place.expected or place.needed):
        severity = severity if place.full or place.free < likely else WARN
        packed = "" if place.expected is None else f" ({size(place.expected)} if it packs like the last one)"
        room = "no room for another file" if place.full else f"{size(place.free)} free"
        message = f"a backup takes {size(place.needed)}{packed}; where it goes, at {place.standing}, there is {room}"
        evidence = {"needed": place.needed, "logs": place.beside, "expected": place.expected, "free": place.free}
        remedy = repairs.smaller_or_elsewhere(facts)
        yield check.finding("no-room", severity, message, remedy, evidence={**evidence})


def of_script(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    """What the script said."""
    script = facts.script
    if script is not None and script.ran and script.code != 0:
        severity = FAIL if facts.phase == _PRE else WARN
        last = script.output.rpartition("\n")[2].strip()
        message = f"{script.path} --dry-run --verbose {script.how}{f': {last}' if last else ''}"
        remedy = Remedy("Read what it says and put that right first.", (repairs.tried(script),))
        evidence = {"output": script.output, "code": script.code}
        yield check.finding("script-fails", severity, message, remedy, evidence={**evidence})


def _of_old(check: Check, facts: BackupFacts) -> Iterator[Finding]:
    newest = facts.assessed[0].backup.days if facts.assessed else 0
    if newest > OLD_DAYS:
        message = f"the newest backup is {newest} days old"
        yield check.finding("old-backups", NOTE, message, repairs.new_backup(facts, "Keep it for now."))
    elif facts.old:
        message = f"{facts.old} of {facts.count} backups in {facts.place.folder} are older than {OLD_DAYS} days"
        yield check.finding("old-backups", NOTE, message, repairs.old_listed(facts))


def _lacking(check: Check, facts: BackupFacts, where: str, lacking: Sequence[Lacking]) -> Iterator[Finding]:
    for each in lacking[:SOME]:
        severity = WARN if each.since and facts.phase != _PRE else FAIL
        newer = "; it was registered later" if each.since else ""
        message = f"{where} does not hold the {' and the '.join(each.what)} of {each.dataset!r}{newer}"
        remedy = repairs.new_backup(facts)
        yield check.finding("missing-dataset", severity, message, remedy, subject=each.dataset)
    if rest := [each.dataset for each in lacking[SOME:]]:
        severity = WARN if all(each.since for each in lacking[SOME:]) and facts.phase != _PRE else FAIL
        message = f"{where} does not hold {len(rest)} more: {_listed(rest)}"
        evidence: dict[str, JSON] = {"datasets": [*rest]}
        yield check.finding("missing-dataset", severity, message, repairs.new_backup(facts), evidence=evidence)


_CODES = {
    "unknown-format": "damaged-archive",
    "truncated": "damaged-archive",
    "damaged": "damaged-archive",
    "surplus": "surplus",
    "escape": "path-escape",
    "link-out": "link-out",
    "special": "special-member",
    "duplicate": "duplicate-member",
    "bomb": "bomb",
}


def _problem(problem: Problem) -> str:
    return f"has {problem.member}, which {problem.message}" if problem.member else problem.message


def _more(count: int) -> str:
    return f", and {count} more like it" if count > 0 else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _ago(backup: Found) -> str:
    return f"{duration(max(backup.age_s, 0))} ago"
