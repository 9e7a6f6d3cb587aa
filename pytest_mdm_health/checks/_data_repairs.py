"""What to do about damaged data. Nothing is overwritten before it was put aside."""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks._data_facts import DataFacts
from pytest_mdm_health.model import Remedy

KEPT = ".damaged"


def restored(facts: DataFacts, first: str = "") -> Remedy:
    """Put another copy of the data in the place of this one."""
    what = "Put the file aside and restore it" if facts.in_file else "Keep a dump of the database and restore it"
    text = f"{first} {what} from a backup, or {_again(facts)}.".strip()
    return Remedy(text, (*_kept(facts), *_registering(facts)))


def rescued(facts: DataFacts) -> Remedy:
    """Restore it, or get out of the damaged file what can still be read."""
    remedy = restored(facts)
    if facts.engine != "sqlite":
        return remedy
    kept, rescued_file = (shlex.quote(facts.file.path + suffix) for suffix in (KEPT, ".rescued"))
    text = f"{remedy.text} Without a backup, SQLite's command line gets out of it what can still be read."
    return Remedy(text, (*remedy.commands, f"sqlite3 {kept} .recover | sqlite3 {rescued_file}"))


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


def _kept(facts: DataFacts) -> tuple[str, ...]:
    if facts.file.size is None:
        return ()
    return (f"mv -- {shlex.quote(facts.file.path)} {shlex.quote(facts.file.path + KEPT)}",)


def _again(facts: DataFacts) -> str:
    lost = f" ({facts.written_source}, which is not where it was)" if facts.written_source and not facts.source else ""
    return f"register the dataset again from its source{lost}"


def _registering(facts: DataFacts) -> tuple[str, ...]:
    if not facts.source:
        return ()
    words = shlex.join(["dataset", "register", facts.name, facts.source, "--force"])
    return (f"MDM_HOME_DIR={shlex.quote(facts.home)} mdm {words}",)
