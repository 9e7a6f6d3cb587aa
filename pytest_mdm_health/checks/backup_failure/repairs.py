"""What to do about backups, owners and modes, with this home's own paths.

A command that writes makes one new archive, gives one archive the name of its form, or changes permissions of paths
that it names; it overwrites and deletes nothing that was there before. What else has to be done is said in words,
beside commands that only show.
"""

from __future__ import annotations

import os
import shlex

from pytest_mdm_health.checks.backup_failure.facts import (
    OLD_DAYS,
    Access,
    Assessed,
    BackupFacts,
    OnServer,
    Paths,
    Script,
)
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.backups import PATTERN
from pytest_mdm_health.mdm.backups.archive import ENDINGS
from pytest_mdm_health.mdm.files import FileKind

_NAME = "mdm_backup_$(date +%Y%m%d_%H%M%S).tar.gz"
_ELSEWHERE = "/path/on/other/storage"
_WILD = "*?[\\"


def new_backup(facts: BackupFacts, first: str = "") -> Remedy:
    """Make a backup of the whole home now."""
    text = f"{first} Make a backup while nothing works with the home{_by_script(facts)}.".strip()
    if "." in _ways_in(facts):
        return Remedy(f"{text} It has to go to another folder than the home itself: name one with --mdm-backup.")
    if facts.place.kind not in {FileKind.FOLDER.value, FileKind.MISSING.value}:
        return _to(facts, f"{text} {facts.place.folder} is a {facts.place.kind}, so it has to go to", "-czf")
    if not facts.place.usable:
        why = "is mounted read-only" if facts.place.read_only else "has no room"
        return _to(facts, f"{text} {facts.place.standing} {why}, so it has to go to", "-czf")
    missing = facts.place.kind == FileKind.MISSING.value
    made = (f"mkdir -p -- {shlex.quote(facts.place.folder)}",) if missing else ()
    return Remedy(text, (*made, _backup_in(facts, shlex.quote(facts.place.folder), "-czf")))


def smaller_or_elsewhere(facts: BackupFacts) -> Remedy:
    """Find room: pack harder, or write to another file system."""
    old = " Delete old backups by hand, once a newer one was restored and compared." if facts.old else ""
    text = f"Free room there.{old} Or pack harder and write the backup to"
    return _to(facts, text, "-I 'gzip -9' -cf")


def _to(facts: BackupFacts, text: str, how: str) -> Remedy:
    text = f"{text} other storage (put its path for {_ELSEWHERE})."
    return Remedy(text, (_backup_in(facts, _ELSEWHERE, how),))


def _by_script(facts: BackupFacts) -> str:
    return f", or let {facts.script.path} make it with --output" if facts.script is not None else ""


def old_listed(facts: BackupFacts) -> Remedy:
    """See which of the script's archives are old."""
    folder = shlex.quote(facts.place.folder)
    text = (
        "Keep them until a newer one was restored somewhere else and compared with the home, then delete by hand "
        f"those that you do not need. This lists what is older than {OLD_DAYS} days."
    )
    return Remedy(text, (f"find -H {folder} -type f -name {shlex.quote(PATTERN)} -mtime +{OLD_DAYS} -print",))


def time_seen(path: str) -> Remedy:
    """See which is wrong, a file's time or the clock."""
    text = (
        "See which of the two is wrong. If it is the clock, set it right. If it is the file, do not trust its time: "
        "which backup is the newest has to be told from what is in it; or make another backup."
    )
    return Remedy(text, ("date", f"ls -ld -- {shlex.quote(path)}"))


def listed(facts: BackupFacts) -> Remedy:
    """Have the folders of backups listed."""
    text = "Run this as a user who may list that folder, or name another folder with --mdm-backup."
    return Remedy(text, tuple(f"ls -ld -- {shlex.quote(each)}" for each in facts.looked))


def read_again(facts: BackupFacts, path: str) -> Remedy:  # noqa: ARG001 - as the others
    """Have a backup read to its end."""
    text = (
        "Run this as a user who may read all of it; if the time was up, allow more with --mdm-timeout. Until it was "
        "read to its end, do not count on it: make another backup before you go on."
    )
    return Remedy(text, (f"ls -ld -- {shlex.quote(path)}",))


def opened(facts: BackupFacts, one: Assessed) -> Remedy:
    """Have a backup looked into that is encrypted or of another form."""
    text = (
        f"It was not read to its end, so it proves nothing. Restore {one.backup.path} with the program that made it "
        "into a private folder outside the home, name that folder with --mdm-backup and run this again; or make "
        "another backup that can be read."
    )
    return Remedy(text, new_backup(facts).commands)


def folder_opened(facts: BackupFacts) -> Remedy:
    """Let the home's owner write to the folder of backups."""
    place = facts.place
    folder = shlex.quote(place.folder)
    if place.kind not in {FileKind.FOLDER.value, FileKind.MISSING.value}:
        text = (
            f"See what it is and whether anybody needs it; then give it another name and make a folder {place.folder}, "
            "or name another folder with --mdm-backup."
        )
        return Remedy(text, (f"ls -ld -- {folder}",))
    if place.read_only and not place.refused:
        text = (
            "Find out why: a file system with errors is mounted so, too. If it is meant to be written to, have root "
            "mount it for writing; or name another folder with --mdm-backup."
        )
        return Remedy(text, (f"df -P -- {shlex.quote(place.standing)}",))
    owner = facts.access.owner if facts.access else "its owner"
    text = f"Let {owner} in there, or name another folder with --mdm-backup."
    return Remedy(text, (f"ls -ld -- {shlex.quote(place.standing)}",))


def given(facts: BackupFacts, access: Access, paths: Paths) -> Remedy:
    """Give to the home's owner what belongs to somebody else, so that it can be used."""
    text = (
        f"It belongs to somebody else: find out why, such as MDM started with sudo, and let root give it to "
        f"{access.owner} (chown -h). See first that no file of it is a hard link to one outside the home: its count of "
        "links, in the second column, is 1 then."
    )
    return Remedy(text, _shown(facts, paths, f"! -user {shlex.quote(access.owner)}"))


def changed(facts: BackupFacts, how: str, paths: Paths, text: str) -> Remedy:
    """Change the modes of these paths; where not all of them can be named, only show which they are."""
    if paths.all_named:
        return Remedy(text, (f"chmod {how} -- {shlex.join(paths.some)}",))
    return Remedy(
        f"{text} There are too many to name: chmod {how} is what each needs.", _shown(facts, paths, _SEEN[how])
    )


_SEEN = {
    "u+rwX": "! -type l \\( ! -perm -u+rw -o -type d ! -perm -u+x \\)",
    "go-w": "! -type l -perm -o+w",
    "g-w": "! -type l -perm -g+w",
    "600": "-type f -perm /077",
}
"""What `find` tells the paths by that need a change of mode."""


def folders_usual(facts: BackupFacts, access: Access) -> Remedy:
    """The guide's mode for folders; 700 in a home that is closed to others anyway."""
    mode = "700" if access.private else "755"
    text = f"The guide has folders at 755; 700 keeps others out, and {mode} goes with the home's own folder. "
    text += "Choose who may look in."
    return Remedy(text, _shown(facts, access.odd_folders, "-type d ! -perm 755 ! -perm 700"))


def closed_to_others(facts: BackupFacts, access: Access) -> Remedy:
    """Let nobody else read a password."""
    text = "Let only their owner read them; give the password another place, such as ~/.pgpass, if you can."
    return changed(facts, "600", access.passwords, text)


def dumped(facts: BackupFacts, server: OnServer) -> Remedy:
    """Let PostgreSQL write a dump beside the backups."""
    file = os.path.join(facts.place.folder, f"{server.dataset}.dump")  # noqa: PTH118 - a text for a person
    database = f"the database {server.database}" if server.database else "its database"
    return Remedy(
        f"Let pg_dump --format=custom write a dump of {database} to another name first, as a user who may read it; see "
        f"that it ended without an error and that pg_restore --list reads the file, and then call it {file}."
    )


def renamed(one: Assessed) -> Remedy:
    """Give an archive the ending of what it is."""
    path = one.backup.path
    stem = next((path[: -len(ending)] for ending in ENDINGS if path.lower().endswith(ending)), path)
    old, new = shlex.quote(path), shlex.quote(f"{stem}.{one.form}")
    text = "Give it the name of what it is; the command does nothing if there is something of that name."
    return Remedy(text, (f"test ! -e {new} && test ! -L {new} && mv -n -- {old} {new}",))


def tried(script: Script) -> str:
    """Let the script say what it would do."""
    return f"{shlex.quote(script.path)} --dry-run --verbose"


def _backup_in(facts: BackupFacts, folder: str, how: str) -> str:
    """Write an archive under a name that no backup has; it gets its own once it was written without an error."""
    sources = shlex.join((".", *facts.outside))
    return (
        f"(umask 077 && part=$(mktemp -- {folder}/.unfinished.XXXXXX) && "
        f'{{ tar -C {shlex.quote(facts.home)}{_left_out(facts)} {how} "$part" {sources} && '
        f'mv -n -- "$part" {folder}/{_NAME} && test ! -e "$part" || {{ rm -f -- "$part"; false; }}; }})'
    )


def _left_out(facts: BackupFacts) -> str:
    """Options of tar that leave out the cache, and the backups themselves by whatever way they lie in the home."""
    names = sorted(_ways_in(facts) - {"."})
    literal = " --no-wildcards" if any(sign in name for name in names for sign in _WILD) else ""
    names += [] if facts.cache_is_needed else ["cache"]
    return literal + "".join(f" --exclude={shlex.quote(f'./{name}')}" for name in names)


def _ways_in(facts: BackupFacts) -> set[str]:
    """Where the folder of backups lies as seen from the home, by its name and really; `.` is the home itself."""
    folder, home = facts.place.folder, facts.home
    ways = (os.path.relpath(folder, home), os.path.relpath(os.path.realpath(folder), os.path.realpath(home)))
    return {each for each in ways if each != ".." and not each.startswith("../")}


def _shown(facts: BackupFacts, paths: Paths, test: str) -> tuple[str, ...]:
    if paths.all_named:
        return (f"ls -ld -- {shlex.join(paths.some)}",)
    return (f"find {shlex.quote(facts.home)} {test} -exec ls -ld -- {{}} +",)
