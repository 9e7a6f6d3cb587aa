"""What to do about damaged data. Nothing is overwritten before it was put aside."""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks._data_facts import DataFacts
from pytest_mdm_health.checks._saved_repairs import Saved, put_back
from pytest_mdm_health.model import Remedy

KEPT = ".damaged"


def restored(facts: DataFacts) -> Remedy:
    """Put another copy of the data in the place of this one."""
    if not facts.in_file:
        text = f"Keep a dump of the database and restore it from a backup, or {_again(facts)}."
        return Remedy(text, _registering(facts))
    back = _put_back(facts)
    return Remedy(f"Put the file aside. {_from_where(facts)}", (*_kept(facts), *back) if back else ())


def compared(facts: DataFacts, first: str = "") -> Remedy:
    """Put another copy in the place of one that can be read, which stays where it is unless there is another."""
    if facts.saved is not None or not facts.in_file:
        remedy = restored(facts)
        return Remedy(f"{first} {remedy.text}".strip(), remedy.commands)
    text = (
        f"{first} Keep the file: it can be read. Compare it by hand with any other copy. {_from_where(facts)}".strip()
    )
    file, kept = shlex.quote(facts.file.path), shlex.quote(facts.file.path + KEPT)
    again = _registering(facts)
    return Remedy(text, (f"cp -p -- {file} {kept}", *again) if again else ())


def rescued(facts: DataFacts) -> Remedy:
    """Restore it, or get out of the damaged file what can still be read."""
    remedy = restored(facts)
    if facts.engine != "sqlite" or facts.saved is not None or facts.file.size is None:
        return remedy
    file, kept, out = (shlex.quote(facts.file.path + suffix) for suffix in ("", KEPT, ".rescued"))
    recover = f"sqlite3 {kept} .recover | sqlite3 {out}"
    text = f"{remedy.text} SQLite's command line gets out of the damaged file what can still be read"
    if remedy.commands:
        return Remedy(f"{text}: {recover}", remedy.commands)
    return Remedy(f"{text}; count its rows afterwards.", (*_kept(facts), recover, f"mv -- {out} {file}"))


def registered_again(facts: DataFacts, first: str = "") -> Remedy:
    """Make the dataset anew from what it was made from."""
    again = _again(facts)
    text = f"{first} {again[0].upper()}{again[1:]}, or restore it from a backup.".strip()
    return Remedy(text, _registering(facts))


def cut_to_size(facts: DataFacts) -> Remedy:
    """Take off what does not belong to the file."""
    file, size = shlex.quote(facts.file.path), (facts.file.size or 0) - facts.file.surplus
    text = "Find out what appended to the file. Then cut it to its size; its data is not touched by that."
    return Remedy(text, (f"cp -p -- {file} {shlex.quote(facts.file.path + KEPT)}", f"truncate -s {size} -- {file}"))


def _put_back(facts: DataFacts) -> tuple[str, ...]:
    """Take the data out of the backup, or else make it anew from its source."""
    saved = facts.saved
    if saved is None:
        return _registering(facts)
    return put_back([Saved(saved, facts.file.path)], facts.home)


def _from_where(facts: DataFacts) -> str:
    if facts.saved is not None:
        source = " Registering it again from its source is the other way." if facts.source else ""
        kept = facts.saved.backup or facts.saved.member
        return f"Restore it from {kept}, while nothing works with it; what changed since then is not in there.{source}"
    if not facts.sought:
        return f"Restore it from a backup, or {_again(facts)}."
    none = f"No backup in {' or '.join(facts.sought)} holds it."
    if not facts.written_source and not facts.source:
        return f"{none} What remains is to register the dataset again from what it was made from; MDM kept no record."
    return f"{none} What remains is to {_again(facts)}."


def _kept(facts: DataFacts) -> tuple[str, ...]:
    """Put the file aside with its logs and journals, which would be taken for those of the file that follows it."""
    file = facts.file.path
    there = facts.file.size is not None or facts.file.code == "not-a-file"
    pairs = [("", file)] if there else []
    pairs += [(each.path.removeprefix(file), each.path) for each in facts.left_over]
    return tuple(f"mv -- {shlex.quote(path)} {shlex.quote(file + KEPT + ending)}" for ending, path in pairs)


def _again(facts: DataFacts) -> str:
    lost = f" ({facts.written_source}, which is not where it was)" if facts.written_source and not facts.source else ""
    return f"register the dataset again from its source{lost}"


def _registering(facts: DataFacts) -> tuple[str, ...]:
    if not facts.source:
        return ()
    words = shlex.join(["dataset", "register", facts.name, facts.source, "--force"])
    return (f"MDM_HOME_DIR={shlex.quote(facts.home)} mdm {words}",)
