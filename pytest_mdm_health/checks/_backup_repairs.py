"""Commands that make backups and put owners and modes right, with this home's own paths."""

from __future__ import annotations

import os
import shlex

from pytest_mdm_health.checks._backup_facts import OLD_DAYS, Access, Assessed, BackupFacts, OnServer, Paths, Script
from pytest_mdm_health.mdm.archives import ENDINGS
from pytest_mdm_health.mdm.backups import PATTERN
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.model import Remedy

_STAMP = "mdm_backup_$(date +%Y%m%d_%H%M%S).tar.gz"
_ELSEWHERE = "/path/on/other/storage"


def new_backup(facts: BackupFacts, first: str = "") -> Remedy:
    """Make a backup of the whole home now."""
    text = f"{first} Make a backup while nothing works with the home.".strip()
    if not facts.place.usable:
        return _elsewhere(facts, text)
    missing = facts.place.kind == FileKind.MISSING.value
    made = (f"mkdir -p -- {shlex.quote(facts.place.folder)}",) if missing else ()
    if facts.script is not None:
        script, folder = shlex.quote(facts.script.path), shlex.quote(facts.place.folder)
        return Remedy(text, (*made, f"{script} --output {folder}"))
    target = f"{shlex.quote(facts.place.folder)}/{_STAMP}"
    return Remedy(text, (*made, f"{_tar(facts, '-czf')} {target} {_sources(facts)}"))


def _elsewhere(facts: BackupFacts, text: str) -> Remedy:
    why = "is mounted read-only" if facts.place.read_only else "has no room"
    text = f"{text} {facts.place.standing} {why}, so it has to go to other storage (put its path for {_ELSEWHERE})."
    if facts.script is not None:
        return Remedy(text, (f"{shlex.quote(facts.script.path)} --output {_ELSEWHERE}",))
    return Remedy(text, (f"{_tar(facts, '-czf')} {_ELSEWHERE}/{_STAMP} {_sources(facts)}",))


def smaller_or_elsewhere(facts: BackupFacts) -> Remedy:
    """Find room: delete old backups, pack harder, or write to another file system."""
    text = f"Free room there, pack harder, or write the backup to other storage (put its path for {_ELSEWHERE})."
    folder, deleting = shlex.quote(facts.place.folder), prune(facts) if facts.old and can_prune(facts) else ()
    if facts.script is not None:
        script = shlex.quote(facts.script.path)
        return Remedy(text, (*deleting, f"{script} --compress --level 9", f"{script} --output {_ELSEWHERE}"))
    sources = _sources(facts)
    harder = f"{_tar(facts, '-cf')} - {sources} | gzip -9 > {folder}/{_STAMP}"
    return Remedy(text, (*deleting, harder, f"{_tar(facts, '-czf')} {_ELSEWHERE}/{_STAMP} {sources}"))


def can_prune(facts: BackupFacts) -> bool:
    """Whether a backup that is not old would restore, so that old ones may go."""
    return any(each.restores and each.verified and each.backup.days <= OLD_DAYS for each in facts.assessed)


def prune(facts: BackupFacts) -> tuple[str, ...]:
    """Delete the script's old archives."""
    folder = shlex.quote(facts.place.folder)
    return (f"find -H {folder} -type f -name {shlex.quote(PATTERN)} -mtime +{OLD_DAYS} -delete",)


def folder_opened(facts: BackupFacts) -> Remedy:
    """Let the home's owner write to the folder of backups."""
    place = facts.place
    folder = shlex.quote(place.folder)
    if place.kind not in {FileKind.FOLDER.value, FileKind.MISSING.value}:
        text = "Move away what stands there and make a folder."
        return Remedy(text, (f"mv -n -- {folder} {shlex.quote(place.folder + '.before')}", f"mkdir -p -- {folder}"))
    if place.read_only and not place.refused:
        text = "Mount it for writing (as root) if that is meant to be, or name another folder with --mdm-backup."
        return Remedy(text, (f"mount -o remount,rw {shlex.quote(place.mount)}",) if place.mount else ())
    if place.read_only or "above" in place.refused or facts.access is None:
        return Remedy("Let its owner in, or name another folder with --mdm-backup.")
    standing = shlex.quote(place.standing)
    commands = (f"chown {shlex.quote(facts.access.owner)} -- {standing}", f"chmod u+rwx -- {standing}")
    return Remedy("Give the folder to the home's owner (as root).", commands)


def owned(facts: BackupFacts, access: Access) -> Remedy:
    """Give everything in the home to its owner."""
    owner = shlex.quote(access.owner)
    few = _few(f"chown -h {owner} --", access.foreign)
    return Remedy("Give it to the home's owner (as root).", few or (f"chown -hR {owner} -- {shlex.quote(facts.home)}",))


def given(access: Access, paths: Paths, facts: BackupFacts) -> Remedy:
    """Give to the home's owner what belongs to somebody else, so that it can be used."""
    owner = shlex.quote(access.owner)
    chown = _few(f"chown -h {owner} --", paths) or (f"chown -hR {owner} -- {shlex.quote(facts.home)}",)
    text = f"It belongs to somebody else: give it to {access.owner} (as root)."
    return Remedy(text, (*chown, *changed(facts, "u+rwX", paths, "").commands))


def changed(facts: BackupFacts, how: str, paths: Paths, text: str) -> Remedy:
    """Change modes, of these if they are few, else all through the home."""
    return Remedy(text, _few(f"chmod {how} --", paths) or (f"chmod -R {how} -- {shlex.quote(facts.home)}",))


def folders_usual(facts: BackupFacts, access: Access) -> Remedy:
    """The guide's mode for folders; 700 in a home that is closed to others anyway."""
    mode = "700" if access.private else "755"
    text = f"The guide has folders at 755; 700 keeps others out. Here {mode} goes with the home's own folder."
    every = f"find {shlex.quote(facts.home)} -type d ! -perm 755 ! -perm 700 -exec chmod {mode} {{}} +"
    return Remedy(text, _few(f"chmod {mode} --", access.odd_folders) or (every,))


def closed_to_others(access: Access) -> Remedy:
    """Let nobody else read a password."""
    text = "Let only their owner read them; give the password another place, such as ~/.pgpass, if you can."
    return Remedy(text, _few("chmod 600 --", access.passwords))


def dumped(facts: BackupFacts, server: OnServer) -> Remedy:
    """Let PostgreSQL write a dump beside the backups."""
    file = os.path.join(facts.place.folder, f"{server.dataset}.dump")  # noqa: PTH118 - a text for a person
    words = ["pg_dump", "--format=custom", f"--file={file}"]
    words += [f"--host={server.host}"] if server.host and server.database else []
    words += [f"--port={server.port}"] if server.port else []
    words += [server.database] if server.database else []
    text = "Let PostgreSQL write a dump of it beside the backups, as a user who may read it."
    return Remedy(text, (shlex.join(words),))


def touched(path: str) -> str:
    """Give a file the time of now."""
    return f"touch -- {shlex.quote(path)}"


def renamed(one: Assessed) -> str:
    """Give an archive the ending of what it is."""
    path = one.backup.path
    stem = next((path[: -len(ending)] for ending in ENDINGS if path.lower().endswith(ending)), path)
    return f"mv -n -- {shlex.quote(path)} {shlex.quote(f'{stem}.{one.form}')}"


def tried(script: Script) -> str:
    """Let the script say what it would do."""
    return f"{shlex.quote(script.path)} --dry-run --verbose"


def _tar(facts: BackupFacts, how: str) -> str:
    inside = os.path.relpath(facts.place.folder, facts.home)
    left_out = "" if inside.startswith("..") or inside == "." else f" --exclude={shlex.quote(f'./{inside}')}"
    return f"tar -C {shlex.quote(facts.home)}{left_out} --exclude=./cache {how}"


def _sources(facts: BackupFacts) -> str:
    return shlex.join((".", *facts.outside))


def _few(command: str, paths: Paths) -> tuple[str, ...]:
    return (f"{command} {shlex.join(paths.some)}",) if paths.all_named else ()
