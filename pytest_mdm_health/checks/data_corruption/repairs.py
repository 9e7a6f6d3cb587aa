"""What to do about damaged data.

The one command that changes anything takes the data out of a backup that was opened and found sound, and keeps the
file that was there with its logs. Where that is not so, words say what to look at and what to restore.
"""

from __future__ import annotations

import posixpath
import shlex

from pytest_mdm_health.checks._shared.backup_restore import Saved, in_exchange
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.backups.archive import form_by_name

KEPT = ".damaged"


def restored(facts: DataFacts) -> Remedy:
    """Put another copy of the data in the place of this one."""
    if not facts.in_file:
        text = "Keep a dump of the database as it is, and restore it from a dump of before"
        return Remedy(f"{text}. Without one, {_again(facts)}.")
    elsewhere = _elsewhere(facts)
    if elsewhere is not None:
        return elsewhere
    if facts.saved is None or not facts.saved_is_sound:
        return Remedy(f"Keep the file with its logs as they are, in a copy. {_from_where(facts)}")
    backup = facts.saved.backup or facts.saved.member
    text = (
        f"Restore it from {backup}, which was opened and holds the registered tables, while nothing works with it. "
        f"The file and its logs are kept beside it as {posixpath.basename(facts.file.path)}{KEPT}; nothing happens if "
        "there is one already. What changed since the backup is not in there."
    )
    return Remedy(text, (in_exchange(Saved(facts.saved, facts.file.path), facts.home, KEPT),))


def compared(facts: DataFacts) -> Remedy:
    """Put another copy in the place of one that can be read, if there is a sound one; else it stays."""
    if (facts.saved is not None and facts.saved_is_sound) or not facts.in_file:
        return restored(facts)
    text = "Keep the file: it can be read. Compare it with any other copy before you restore one."
    return _elsewhere(facts) or Remedy(f"{text} {_from_where(facts)}")


def kept(first: str) -> Remedy:
    """Leave a file as it is that can be read and has more than was recorded."""
    return Remedy(
        f"{first} Else compare it with a copy from before: there is nothing to restore in it, only to take out."
    )


def rescued(facts: DataFacts) -> Remedy:
    """Restore it, or get out of the damaged file what can still be read."""
    remedy = restored(facts)
    if facts.engine != "sqlite" or remedy.commands or facts.file.size is None or _elsewhere(facts) is not None:
        return remedy
    text = (
        f"{remedy.text} SQLite's command line (.recover) gets rows out of a copy of the damaged file, but not always "
        "all of them nor the right ones: read them into a new database, and count and compare them before they take "
        "the place of anything."
    )
    return Remedy(text)


def cut_to_size(facts: DataFacts) -> Remedy:
    """What does not belong to the file."""
    surplus = facts.file.surplus
    text = (
        "Find out what appended to the file, and whether that is still wanted; the database does not read it. "
        f"Restore the file from a backup, or have its last {surplus} bytes cut off in a copy that takes its place once "
        "this check finds nothing about it."
    )
    return Remedy(text, (f"tail -c {surplus} -- {shlex.quote(facts.file.path)} | od -A d -c | head -n 20",))


def without_log(facts: DataFacts) -> Remedy:
    """Take a log away that is of another time than its file."""
    file, log = facts.file.path, facts.stray_log
    text = (
        "Let nothing open the dataset before that, neither MDM nor a database's command line: whoever opens it first "
        f"takes the log over, and the file is damaged for good. Copy {posixpath.basename(file)} and the log to a "
        "folder outside the home, then move the log there, run this again, and compare the rows with a backup: the "
        "log came with another copy of the file, and one of the two is not what was meant to be here."
    )
    return Remedy(text, (f"ls -l -- {shlex.quote(file)} {shlex.quote(log)}",))


def unpacked(facts: DataFacts, archive: str, meant: str) -> Remedy:
    """Unpack a backup beside the home, to compare with what is in it."""
    folder = f"{facts.home.rstrip('/')}.unpacked"
    form = form_by_name(archive)
    place = posixpath.join(folder, posixpath.basename(archive).partition(".")[0] or "backup")
    quoted, to = shlex.quote(archive), shlex.quote(place)
    take = (
        f"unzip -q {quoted} -d {to}" if form == "zip" else f"tar -x{'z' if form == 'tar.gz' else ''}f {quoted} -C {to}"
    )
    text = (
        f"{archive} may hold the rows as they were. Unpack it into a folder of its own beside the home, never into the "
        f"home, and run this again with --mdm-backup={shlex.quote(folder)}: then it names the rows that differ. {meant}"
    )
    return Remedy(text, (f"mkdir -p -m 700 -- {shlex.quote(folder)} && mkdir -- {to} && {take}",))


def _elsewhere(facts: DataFacts) -> Remedy | None:
    """Where the registered file is not, or may not be, the dataset's own, nothing is put in its place."""
    if not facts.elsewhere and facts.own_file:
        return None
    file = facts.file.path
    parts = []
    if facts.shared_with:
        parts.append(f"Leave {file} as it is: it is the data of {' and '.join(map(repr, facts.shared_with))}.")
    elif not facts.own_file:
        parts.append(f"Leave {file} as it is: it does not lie in the dataset's own folder, and may be another's.")
    where = f"path of the data in {facts.registration or 'the registration'}"
    if facts.elsewhere:
        parts.append(
            f"{' and '.join(facts.elsewhere)} in the dataset's folder holds the registered tables: see whether the "
            f"{where} should name it, keep a copy of the registration, and correct the path."
        )
    else:
        parts.append(
            f"See whether the {where} is right; restore the data from a backup only where it is the dataset's own."
        )
    places = [each for each in (facts.registration, facts.twin) if each]
    commands = (f"grep -n 'path:\\|\"path\"' -- {shlex.join(places)}",) if places else ()
    return Remedy(" ".join(parts), commands)


def _from_where(facts: DataFacts) -> str:
    if facts.saved is not None:
        holder = facts.saved.backup or facts.saved.member
        doubt = f"{holder} holds a copy, but {facts.saved_problem or 'it was not opened'}"
        look = "look into it, or for an older one, before anything of it is restored"
        return f"{doubt}: {look}. Without one, {_again(facts)}."
    if not facts.sought:
        return f"Restore it from a backup. Without one, {_again(facts)}."
    none = f"No backup in {' or '.join(facts.sought)} holds it."
    if not facts.written_source and not facts.source:
        return f"{none} What remains is to register the dataset again from what it was made from; MDM kept no record."
    return f"{none} What remains is this: {_again(facts)}."


def _again(facts: DataFacts) -> str:
    lost = f" ({facts.written_source}, which is not where it was)" if facts.written_source and not facts.source else ""
    return under_a_new_name(facts.source) if not lost else under_a_new_name(f"its source{lost}")
