"""What backup-failure concludes, and what to do about it with this home's own paths."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_mdm_health.checks.backup_failure.collect import OLD_DAYS
from pytest_mdm_health.checks.backup_failure.facts import COMPRESSION, BackupFacts
from pytest_mdm_health.checks.backup_failure.findings import (
    CLOSED_BACKUP,
    DAMAGED_ARCHIVE,
    DAMAGED_DATA,
    DAMAGED_METADATA,
    FAIL,
    FOLDER_ACCESS,
    FOLDER_NOT_READ,
    FOREIGN_HOME,
    FOREIGN_OWNER,
    FOREIGN_UNREADABLE,
    FUTURE_TIME,
    HARMFUL_ARCHIVE,
    INCOMPLETE_DATA,
    LINK_OUT,
    MISSING_DATASET,
    MISSING_LOG,
    MISSING_SETTINGS,
    MORE_MISSING_DATASETS,
    NEW_BACKUP,
    NEWEST_IS_OLD,
    NO_BACKUP,
    NO_ROOM,
    NOT_A_FOLDER,
    NOT_READ,
    NOTE,
    NOTHING_INSIDE,
    OLD_BACKUPS,
    ONLY_SETTINGS,
    OUTDATED,
    PASSWORD_READABLE,
    PRUNE_BACKUPS,
    READ_ONLY,
    SCRIPT_FAILS,
    SERVER_DATA,
    SHARED_FILES,
    UNREADABLE,
    WARN,
    WRITABLE_BY_OTHERS,
)
from pytest_mdm_health.core.findings import Rule, fill, remedy_of
from pytest_mdm_health.core.model import JSON, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import duration, join_names, size
from pytest_mdm_health.core.verbs import PROGRAM, Repair
from pytest_mdm_health.integrity.backups import BackupAssessment, BadFile, MissingDataset
from pytest_mdm_health.mdm.backups import PATTERN
from pytest_mdm_health.mdm.backups.archive.members import HARMFUL, Problem
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.mdm.host.access import SOME, Access, Paths

_NAMED, _NAMED_PATHS = 5, 3
_SHIELD = "; only a folder above keeps others out"
_WRITABLE = {FileKind.FOLDER.value, FileKind.MISSING.value}
_CHMOD = {
    "usable": ("u+rwX", "! -type l \\( ! -perm -u+rw -o -type d ! -perm -u+x \\)"),
    "protected": ("go-w", "! -type l -perm /022"),
    "private": ("go-rwx", "-type f -perm /077"),
}
"""What `chmod` calls what the verb `permissions` does, and what `find` recognises the paths by that need it."""


def check_presence(facts: BackupFacts) -> Iterator[Finding]:
    """Whether there is any backup, and whether it is of now."""
    severity = FAIL if facts.before_migration else NOTE
    in_files = facts.files.count and len(facts.files.missing) < facts.datasets
    if facts.unlisted and not facts.assessed and not facts.files.count:
        shown = tuple(f"ls -ld -- {shlex.quote(folder)}" for folder in facts.looked)
        yield FOLDER_NOT_READ(
            _unread_severity(facts),
            subject="folders",
            remedy=Remedy(FOLDER_NOT_READ.remedy.text, shown),
            reason=facts.unlisted[0],
            more=_more(len(facts.unlisted)),
        )
    elif not facts.assessed and not facts.files.count:
        yield NO_BACKUP(severity, remedy=new_backup(facts), folders=" or ".join(facts.looked))
    elif not facts.assessed and not in_files and facts.datasets:
        yield ONLY_SETTINGS(severity, remedy=new_backup(facts), folder=facts.place.folder)
    if facts.from_the_future:
        yield FUTURE_TIME(subject=facts.from_the_future, path=facts.from_the_future)
    newest = facts.assessed[0].backup.days(facts.now) if facts.assessed else 0
    if newest > OLD_DAYS:
        yield NEWEST_IS_OLD(remedy=new_backup(facts, "Keep it for now."), days=newest)
    elif facts.old:
        pruned = facts.recent and _is_inside(facts, facts.place.folder)
        yield OLD_BACKUPS(
            remedy=PRUNE_BACKUPS if pruned else None,
            old=facts.old,
            recent=facts.recent,
            count=facts.count,
            folder=facts.place.folder,
            limit=OLD_DAYS,
            pattern=PATTERN,
        )


def check_reading(facts: BackupFacts) -> Iterator[Finding]:
    """Whether each backup was read to its end; what was not is no backup that is known to be good."""
    for backup in facts.assessed:
        path, closed = backup.backup.shown, backup.closed
        evidence: dict[str, JSON] = {"reasons": [*(problem.message for problem in closed), *backup.unread]}
        if closed:
            yield CLOSED_BACKUP(
                FAIL if facts.before_migration and not facts.proven else _unread_severity(facts),
                subject=path,
                evidence=evidence,
                remedy=_with_new_backup(facts, fill(CLOSED_BACKUP.remedy.text, {"path": path})),
                path=path,
                reason=_sentence(closed[0]),
                more=_more(len(closed)),
            )
        elif backup.undecided:
            yield NOT_READ(
                _unread_severity(facts),
                subject=path,
                evidence=evidence,
                reason=backup.unread[0],
                more=_more(len(backup.unread)),
                path=path,
            )
    for file in facts.files.unread:
        yield NOT_READ(_unread_severity(facts), subject=file.dataset, reason=file.reasons[0], more="", path=file.file)


def check_backup(facts: BackupFacts, backup: BackupAssessment) -> Iterator[Finding]:
    """Whether a backup can be read and unpacked without harm, and whether what is in it is of use."""
    path = backup.backup.shown
    yield from _check_archive(facts, backup, path)
    if backup.root is None and backup.reading.complete and not backup.broken and not backup.closed:
        yield NOTHING_INSIDE(subject=path, remedy=new_backup(facts), path=path)
    yield from check_data(facts, backup.damaged, backup.unlike, path)
    for file in backup.metadata:
        yield _bad_file(DAMAGED_METADATA, _before_severity(facts), file, path, new_backup(facts))
    yield from check_shared(facts, backup.shared, path)
    for log in backup.missing_logs:
        severity = NOTE if log.newer else WARN
        yield MISSING_LOG(
            FAIL if facts.before_migration else severity,
            at=path,
            subject=f"{log.dataset} in {path}",
            remedy=new_backup(facts, f"Keep {log.log} where it is: the last changes are only in there."),
            file=log.file,
            path=path,
            log=log.log,
            newer=", which was written to since" if log.newer else "",
            dataset=log.dataset,
        )


def _check_archive(facts: BackupFacts, backup: BackupAssessment, path: str) -> Iterator[Finding]:
    harmful = [problem for problem in backup.broken if problem.code in HARMFUL]
    links = [problem for problem in backup.reading.problems if problem.code == "link-out"]
    again = new_backup(facts, "Do not rely on it.")
    for rule, problems, remedy in (
        (HARMFUL_ARCHIVE, harmful, replace(again, text=HARMFUL_ARCHIVE.remedy.text)),
        (DAMAGED_ARCHIVE, [] if harmful else backup.broken, again),
        (LINK_OUT, links, new_backup(facts, "Back up what the links lead to, too.")),
    ):
        if problems:
            yield rule(
                at=path,
                subject=path,
                evidence={"members": [problem.member for problem in problems if problem.member]},
                remedy=remedy,
                path=path,
                reason=_sentence(problems[0]),
                more=_more(len(problems)),
            )


def check_data(
    facts: BackupFacts, damaged: Sequence[BadFile], unlike: Sequence[BadFile], path: str = ""
) -> Iterator[Finding]:
    """Data in a backup that is of no use, or not what the home had then."""
    for file in damaged:
        remedy = new_backup(facts, f"Check whether {file.subject!r} itself is sound (5.1).")
        yield _bad_file(DAMAGED_DATA, FAIL, file, path, remedy)
    for file in unlike:
        first = f"Keep it until {file.subject!r} was compared: it may be the home that is wrong."
        yield _bad_file(INCOMPLETE_DATA, _before_severity(facts), file, path, new_backup(facts, first))


def check_shared(facts: BackupFacts, shared: Sequence[str], path: str = "") -> Iterator[Finding]:
    """What of a backup is the home's own."""
    if shared:
        where = path or facts.place.folder
        yield SHARED_FILES(
            _before_severity(facts),
            subject=where,
            evidence={"files": [*shared[:SOME]]},
            remedy=new_backup(facts),
            where=where,
            files=join_names(shared, _NAMED),
        )


def check_coverage(facts: BackupFacts) -> Iterator[Finding]:
    """Whether the newest backup that would restore, else the newest, contains everything, and as it is now."""
    remedy = new_backup(facts)
    if not facts.assessed:
        where, made, held = facts.place.folder, f"being saved in {facts.place.folder}", facts.files
        if len(held.missing) < facts.datasets - len(facts.on_servers):
            yield from _check_missing(facts, where, held.missing)
        missing_files, outdated = held.missing_files, held.outdated
    else:
        restoring = [backup for backup in facts.assessed if backup.restores]
        backup = next((backup for backup in restoring if backup.proven), (*restoring, facts.assessed[0])[0])
        where, age = backup.backup.shown, max(facts.now - backup.backup.made, 0)
        made = f"{where} was made, {duration(age)} ago"
        if backup.is_foreign(facts.datasets):
            severity, others = _before_severity(facts), join_names(backup.others, _NAMED)
            yield FOREIGN_HOME(severity, at=where, subject=where, remedy=remedy, path=where, others=others)
        else:
            yield from _check_missing(facts, where, backup.missing)
        missing_files, outdated = backup.missing_files, backup.outdated
    if missing_files:
        files = join_names(missing_files, _NAMED)
        yield MISSING_SETTINGS(at=where, subject=where, remedy=remedy, where=where, files=files)
    if outdated:
        severity, names = WARN if facts.before_migration else NOTE, join_names(outdated, _NAMED)
        yield OUTDATED(severity, subject=where, remedy=remedy, names=names, made=made)


def _check_missing(facts: BackupFacts, where: str, missing: Sequence[MissingDataset]) -> Iterator[Finding]:
    remedy = new_backup(facts)
    for dataset in missing[:SOME]:
        yield MISSING_DATASET(
            WARN if dataset.later and not facts.before_migration else FAIL,
            subject=dataset.dataset,
            remedy=remedy,
            where=where,
            parts=" and the ".join(dataset.parts),
            dataset=dataset.dataset,
            later="; it was registered later" if dataset.later else "",
        )
    if more := missing[SOME:]:
        later = all(dataset.later for dataset in more)
        names = [dataset.dataset for dataset in more]
        yield MORE_MISSING_DATASETS(
            WARN if later and not facts.before_migration else FAIL,
            evidence={"datasets": [*names]},
            remedy=remedy,
            where=where,
            count=len(names),
            datasets=join_names(names, _NAMED),
        )


def check_servers(facts: BackupFacts) -> Iterator[Finding]:
    """Data that no copy of the home can contain."""
    for server in facts.on_servers:
        yield SERVER_DATA(
            subject=server.dataset,
            dataset=server.dataset,
            database=f"the database {server.database}" if server.database else "its database",
            file=os.path.join(facts.place.folder, f"{server.dataset}.dump"),  # noqa: PTH118 - a text for a person
        )


def check_place(facts: BackupFacts) -> Iterator[Finding]:
    """Whether the next backup can be written."""
    place, severity = facts.place, _before_severity(facts)
    if place.kind not in _WRITABLE:
        yield NOT_A_FOLDER(severity, folder=place.folder, kind=place.kind)
    elif place.refused:
        owner = facts.access.owner if facts.access else "its owner"
        yield FOLDER_ACCESS(severity, standing=place.standing, reason=place.refused, owner=owner)
    elif place.read_only:
        yield READ_ONLY(standing=place.standing, at_mount=f", at {place.mount}" if place.mount else "")
    if place.full or place.free < (place.expected or place.needed):
        likely = place.needed // COMPRESSION if place.expected is None else place.expected
        old = " Delete old backups by hand, once a newer one was restored and compared." if facts.old else ""
        yield NO_ROOM(
            severity if place.full or place.free < likely else WARN,
            evidence={"needed": place.needed, "logs": place.beside, "expected": place.expected, "free": place.free},
            remedy=_elsewhere(facts, f"Free room there.{old} Or write the backup to"),
            needed=place.needed,
            packed="" if place.expected is None else f" ({size(place.expected)} if it packs like the last one)",
            standing=place.standing,
            room="no room for another file" if place.full else f"{size(place.free)} free",
        )


def check_script(facts: BackupFacts) -> Iterator[Finding]:
    """What the script said."""
    script = facts.script
    if script is not None and script.ran and script.code != 0:
        last = script.output.rpartition("\n")[2].strip()
        yield SCRIPT_FAILS(
            _before_severity(facts),
            evidence={"output": script.output, "code": script.code},
            script=script.path,
            how=script.how,
            last=f": {last}" if last else "",
        )


def check_access(facts: BackupFacts, access: Access) -> Iterator[Finding]:
    """Who may do what in the home."""
    yield from _check_owners(facts, access)
    yield from _check_barred(facts, access)
    shield = _SHIELD if access.shielded else ""
    for paths, severity, who in (
        (access.open_to_all, NOTE if access.shielded else WARN, "everybody"),
        (access.open_to_group, NOTE, "a group"),
    ):
        if paths:
            remedy = _mode_change(facts, WRITABLE_BY_OTHERS, "protected", paths)
            names = _path_names(paths)
            yield WRITABLE_BY_OTHERS(severity, subject=who, remedy=remedy, who=who, names=names, shield=shield)
    if access.passwords:
        remedy = _mode_change(facts, PASSWORD_READABLE, "private", access.passwords)
        names, severity = _path_names(access.passwords), NOTE if access.shielded else WARN
        yield PASSWORD_READABLE(severity, remedy=remedy, names=names, shield=shield)


def _check_owners(facts: BackupFacts, access: Access) -> Iterator[Finding]:
    owner = access.owner
    if access.foreign:
        count = "1 is" if access.foreign.count == 1 else f"{access.foreign.count} are"
        show = _show_foreign(facts, owner, access.foreign)
        yield FOREIGN_OWNER(count=count, owner=owner, names=_path_names(access.foreign), show=show)
    for paths, severity, subject in (
        (access.foreign_barred, FAIL, "data of somebody else"),
        (access.foreign_barred_others, WARN, "other of somebody else"),
    ):
        if paths:
            show = _show_foreign(facts, owner, paths)
            yield FOREIGN_UNREADABLE(severity, subject=subject, owner=owner, names=_path_names(paths), show=show)


def _check_barred(facts: BackupFacts, access: Access) -> Iterator[Finding]:
    for paths, severity, subject in ((access.barred, FAIL, "data"), (access.barred_others, WARN, "other")):
        if paths:
            remedy = _mode_change(facts, UNREADABLE, "usable", paths)
            yield UNREADABLE(severity, subject=subject, remedy=remedy, owner=access.owner, names=_path_names(paths))


def new_backup(facts: BackupFacts, first: str = "") -> Remedy:
    """Make a backup of the whole home now."""
    script = f", or let {facts.script.path} make it with --output" if facts.script is not None else ""
    text = f"{first} {NEW_BACKUP[:-1]}{script}.".strip()
    place = facts.place
    if _is_the_home(facts):
        return Remedy(f"{text} It has to go to another folder than the home itself: name one with --mdm-backup.")
    if place.kind not in _WRITABLE:
        return _elsewhere(facts, f"{text} {place.folder} is a {place.kind}, so it has to go to")
    if not place.usable:
        reason = "is mounted read-only" if place.read_only else "has no room"
        return _elsewhere(facts, f"{text} {place.standing} {reason}, so it has to go to")
    own = place.folder == os.path.join(facts.home, "backup")  # noqa: PTH118 - a text for a person
    return remedy_of(text, [Repair("back-up", facts.home, options=() if own else (("to", place.folder),))])


def _with_new_backup(facts: BackupFacts, text: str) -> Remedy:
    return replace(new_backup(facts), text=text)


def _elsewhere(facts: BackupFacts, text: str) -> Remedy:
    """Where to is for a person to say, so there is no command to paste."""
    return Remedy(f"{text} other storage: {PROGRAM} back-up {shlex.quote(facts.home)} --to=FOLDER.")


def _is_the_home(facts: BackupFacts) -> bool:
    return os.path.realpath(facts.place.folder) == os.path.realpath(facts.home)


def _mode_change(facts: BackupFacts, rule: Rule, what: str, paths: Paths) -> Remedy:
    """How the modes of these paths are changed; where not all can be named, a command that shows them."""
    mode, test = _CHMOD[what]
    if not paths.all_named:
        too_many = f"{rule.remedy.text} There are too many to name: chmod {mode} is what each needs."
        return Remedy(too_many, (_shown(facts, paths, test),))
    inside = [path for path in paths.some if _is_inside(facts, path)]
    others = [path for path in paths.some if path not in inside]
    by_hand = [f"chmod {mode} -- {shlex.join(others)}"] if others else []
    return remedy_of(rule.remedy.text, [*(Repair("permissions", path, (what,)) for path in inside), *by_hand])


def _is_inside(facts: BackupFacts, path: str) -> bool:
    """Whether our own verbs find the home from this path."""
    return f"{path}/".startswith(f"{facts.home.rstrip('/')}/")


def _show_foreign(facts: BackupFacts, owner: str, paths: Paths) -> str:
    return _shown(facts, paths, f"! -user {shlex.quote(owner)}")


def _shown(facts: BackupFacts, paths: Paths, test: str) -> str:
    if paths.all_named:
        return f"ls -ld -- {shlex.join(paths.some)}"
    return f"find {shlex.quote(facts.home)} {test} -exec ls -ld -- {{}} +"


def _bad_file(rule: Rule, severity: Severity, file: BadFile, path: str, remedy: Remedy) -> Finding:
    return rule(
        severity,
        at=Location(path or file.file),
        subject=f"{file.subject} in {path}" if path else file.subject,
        evidence={"problems": [*file.problems]},
        remedy=remedy,
        where=f"{file.file} in {path}" if path else file.file,
        problem=file.problems[0],
        more=_more(len(file.problems)),
    )


def _before_severity(facts: BackupFacts) -> Severity:
    return FAIL if facts.before_migration else WARN


def _unread_severity(facts: BackupFacts) -> Severity:
    """How bad it is that something was not read: nothing passes with it, unless another backup is known to be good."""
    return WARN if facts.before_migration or facts.undecided else NOTE


def _sentence(problem: Problem) -> str:
    return f"has {problem.member}, which {problem.message}" if problem.member else problem.message


def _more(count: int) -> str:
    return f", and {count - 1} more like it" if count > 1 else ""


def _path_names(paths: Paths) -> str:
    shown = paths.some[:_NAMED_PATHS]
    rest = paths.count - len(shown)
    if not rest:
        return ", ".join(shown)
    return f"{', '.join(shown)} and {rest} more" if shown else f"{rest} that cannot be printed"
