"""There is no backup, it would not restore, or the next one cannot be made.

Symptoms
--------
`backup_mdm_state.sh` ends with an error; a message about missing permission or too little space; `PermissionError:
[Errno 13]` in the log; a backup that turns out to be useless on the day it is needed.

Causes
------
Nobody made one. The disk was full or the program was stopped, so the archive breaks off. A database was copied while
MDM wrote to it. Data lies outside the home, behind a link or on a server, and so in no copy of the home. Files in the
home belong to root, because MDM was once started with sudo, and the one who makes the backup may not read them.

Diagnosis
---------
Backups are looked for in the folder named with --mdm-backup, else in `backup` in the home, else in `/backup` if
something there is called like one of MDM's: archives (`mdm_backup_*.tar.gz` and others), copies of the home, and
files named after a dataset. The newest is read to its end, so that every check sum in it is compared; nothing is
unpacked but the databases, into a private folder, where they are opened and verified (with --mdm-depth=quick only
before a migration). Where a log or journal beside a database of the home holds changes and the backup lacks that log,
the tables of both are compared. Until the data is migrated, tables, columns and row counts, registrations and
settings are compared with the home's (before a migration at any depth; with --mdm-depth=full every value). What the
home got since is told from what the backup lacks by the times of the files; a registered table that is empty or has
other columns, and a registration of another time, are never explained by that. Where the newest is not known to be
good, the next older one is looked into, too. What may not be read, is encrypted, is of a form that is not read here
(7z, pieces of a split archive, repositories of other programs) or was not read to its end in the time is named, and
never lets this check pass before a migration. `.tar.zst` needs the program `zstd`.
By hand: `df -h` and `ls -ld` of the home and the folder of backups, `gzip -t` and `tar -tzf` of the archive. With
--mdm-run-scripts, `backup_mdm_state.sh --dry-run --verbose` is run where there is one; no released MDM has it.

Owners and modes are judged for the owner of the home, whoever runs the suite; access control lists are not seen.

Solutions
---------
Make a new backup, while nothing works with the home; the command that is offered writes under a temporary name and
overwrites nothing. For room: delete archives that are older than 30 days by hand, once a newer one was restored and
compared, pack harder (`--compress --level 9`), or write to other storage (`--output`). For permissions: `chown` and
`chmod` of the home, with folders at 755.

Findings
--------
* `no-backup` (fail/note): there is no backup of the data; a fail before the migration.
* `not-read` (fail/warn/note): a backup was not read to its end; a fail before the migration for one that is encrypted
  or of a form that is not read here, if no other is known to be good. Where a right or the time is missing, the result
  is an error then.
* `without-log` (fail/warn/note): a database in a backup lacks changes that are in the log or journal beside the home's;
  a note if they are newer than the backup and no migration follows.
* `damaged-archive` (fail): the archive is cut off, damaged or none at all; it would not restore.
* `path-escape` (fail): unpacking it would write outside the folder that it is unpacked in.
* `bomb` (fail): it unpacks to what is out of all proportion to its size.
* `nothing-inside` (fail): it is called a backup of MDM and holds nothing of a home.
* `missing-dataset` (fail/warn): a registered dataset is not in the newest backup; a warning if it was registered later.
* `damaged-data` (fail): data in a backup cannot be opened or is damaged.
* `incomplete-data` (fail/warn): a database in a backup lacks tables, columns, rows or values that the home's had when
  the backup was made; a fail before the migration. Rows that the home got since are `outdated`.
* `damaged-metadata` (fail/warn): a registration, the settings or a custom feature in a backup cannot be used, or is not
  what the home had then; a fail before the migration.
* `shared-files` (fail/warn): a copy of the home consists of hard or symbolic links to the home's own files; a fail
  before the migration.
* `foreign-home` (fail/warn): the backup is of another home; a fail before the migration.
* `missing-settings` (warn): settings or custom features are not in the newest backup.
* `link-out` (warn): it holds a link in the place of what the link leads to.
* `special-member` (warn): it holds a device, a FIFO or the like, which does not restore everywhere.
* `duplicate-member` (warn): it holds something twice.
* `surplus` (warn): it goes on after its end.
* `wrong-format` (warn): it is another format than its name says.
* `future-time` (warn): it was made in the future, by this clock.
* `outdated` (warn/note): data changed since the newest backup; a warning before the migration.
* `old-backups` (note): archives are older than 30 days.
* `server-data` (note): data is on a server, and there is no dump of it.
* `folder-access` (fail/warn/note): the owner of the home cannot list or write to the folder of backups; a note where
  only the file system is mounted read-only.
* `no-room` (fail/warn): there is no room for another backup.
* `script-fails` (fail/warn): the dry run of `backup_mdm_state.sh` did not end well.
* `foreign-owner` (warn): files in the home belong to somebody else than the home.
* `unreadable` (fail/warn): the owner of the home may not use what is in it; a fail for data, registrations, settings.
* `writable-by-others` (warn/note): everybody may write; a note for a group, and while a folder above is closed.
* `folder-mode` (note): folders are neither 755 nor 700.
* `password-readable` (warn/note): others may read a file with a password in it; a note while a folder above is closed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.backup_failure import findings, modes
from pytest_mdm_health.checks.backup_failure.facts import BackupFacts
from pytest_mdm_health.checks.backup_failure.gather import gather
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="backup-failure",
    issue="1.1",
    title="Missing, useless or impossible backups",
    per=Kind.HOME,
    tags=("backup", "permissions"),
)


def observe(mdm_inventory: Inventory, mdm_options: Options) -> BackupFacts:
    """Look at the backups, at the place for the next one, and at owners and modes in the home."""
    return gather(mdm_inventory, mdm_options)


def judge(facts: BackupFacts, before: BackupFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """From the backups that are there to the one that is to be made."""
    yield from findings.of_reading(CHECK, facts)
    yield from findings.of_presence(CHECK, facts)
    for one in facts.assessed:
        yield from findings.of_archive(CHECK, facts, one)
        yield from findings.of_content(CHECK, facts, one)
    yield from findings.of_coverage(CHECK, facts)
    yield from findings.of_data(CHECK, facts, facts.unsound)
    yield from findings.of_differences(CHECK, facts, facts.unlike)
    yield from findings.of_shared(CHECK, facts, facts.shared)
    yield from findings.of_servers(CHECK, facts)
    yield from findings.of_place(CHECK, facts)
    yield from findings.of_script(CHECK, facts)
    yield from modes.of_modes(CHECK, facts)
