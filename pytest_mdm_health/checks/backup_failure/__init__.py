"""There is no backup, it would not restore, or the next one cannot be made.

Symptoms
--------
`backup_mdm_state.sh` ends with an error; a message about missing permission or too little space; `PermissionError:
[Errno 13]` in the log; a backup that turns out to be useless on the day it is needed.

Causes
------
None was made. The disk was full or the program was stopped, so the archive breaks off. A database was copied while
MDM wrote to it. Data is outside the home, behind a link or on a server, and so in no copy of the home. Files in the
home belong to root, because MDM was once started with sudo, and the user who makes the backup may not read them.

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
Make a new backup with `mdm-health back-up`, while nothing works with the home: it overwrites nothing, and reads back
what it wrote. For room: delete archives that are older than 30 days by hand, once a newer one was restored and
compared, pack harder (`--compress --level 9`), or write to other storage (`--output`). For permissions: `chown` and
`chmod` of the home, with folders at 755.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.backup_failure.collect import Collector
from pytest_mdm_health.checks.backup_failure.facts import BackupFacts
from pytest_mdm_health.checks.backup_failure.findings import CHECK, RULES
from pytest_mdm_health.checks.backup_failure.rules import (
    check_access,
    check_backup,
    check_coverage,
    check_data,
    check_place,
    check_presence,
    check_reading,
    check_script,
    check_servers,
    check_shared,
)
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(mdm_inventory: Inventory, mdm_options: Options) -> BackupFacts:
    """Look at the backups, at the place for the next one, and at owners and modes in the home."""
    return Collector(mdm_inventory, mdm_options).collect()


def judge(facts: BackupFacts) -> Iterator[Finding]:
    """From the backups that are there to the one that is to be made."""
    yield from check_reading(facts)
    yield from check_presence(facts)
    for backup in facts.assessed:
        yield from check_backup(facts, backup)
    yield from check_coverage(facts)
    yield from check_data(facts, facts.files.damaged, facts.files.unlike)
    yield from check_shared(facts, facts.files.shared)
    yield from check_servers(facts)
    yield from check_place(facts)
    yield from check_script(facts)
    if facts.access is not None:
        yield from check_access(facts, facts.access)
