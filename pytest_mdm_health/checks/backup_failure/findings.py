"""The findings of backup-failure. Where a new backup is the remedy, `rules.py` makes the command for this home."""

from __future__ import annotations

from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="backup-failure",
    issue="1.1",
    title="Missing, useless or impossible backups",
    per=Kind.HOME,
    tags=("backup", "permissions"),
)
RULES = Rules(CHECK)

NEW_BACKUP = "Make a backup, which is read back and compared with the home before it counts."
SHOW_FILE = "ls -ld -- {path!q}"
PERMISSION_DENIED = "permission denied"

NO_BACKUP = RULES.declare(
    "no-backup",
    FAIL,
    NOTE,
    means="there is no backup of the data; a fail before the migration",
    message="there is no backup of this home in {folders}",
    remedy=NEW_BACKUP,
)
ONLY_SETTINGS = RULES.reworded(
    NO_BACKUP,
    message="there is no backup of any dataset; {folder} contains only settings",
    remedy=NEW_BACKUP,
)
NOT_READ = RULES.declare(
    "not-read",
    WARN,
    NOTE,
    means="a backup was not read to its end; a fail before the migration for one that is encrypted or of a form"
    " that is not read here, if no other is known to be good. Where a right or the time is missing, the "
    "result is an error then",
    message="{reason}{more}, so it is not known whether {path} would restore",
    remedy="Run this as a user who may read all of it; if the time was up, allow more with --mdm-timeout. Until it was "
    "read to its end, do not rely on it: make another backup first.",
    commands=(SHOW_FILE,),
)
FOLDER_NOT_READ = RULES.reworded(
    NOT_READ,
    message="{reason}{more}, so it is not known whether there is a backup",
    remedy="Run this as a user who may list that folder, or name another folder with --mdm-backup.",
)
CLOSED_BACKUP = RULES.reworded(
    NOT_READ,
    FAIL,
    WARN,
    NOTE,
    message="{path} {reason}{more}",
    remedy="It was not read to its end, so it proves nothing. Restore {path} with the program that made it into "
    "a private folder outside the home, name that folder with --mdm-backup and run this again; or make "
    "another backup that can be read.",
)
MISSING_LOG = RULES.declare(
    "without-log",
    FAIL,
    WARN,
    NOTE,
    means="a database in a backup lacks changes that are in the log or journal beside the home's; a note if "
    "they are newer than the backup and no migration follows",
    message="{file} in {path} lacks the changes that {log}{newer} holds for {dataset!r}",
    remedy="Keep {log} where it is: the last changes are only in there. " + NEW_BACKUP,
)
DAMAGED_ARCHIVE = RULES.declare(
    "damaged-archive",
    FAIL,
    means="the archive is truncated, damaged or none at all, so that it would not restore; or unpacking it "
    "would do harm: it would write outside its folder, or expands out of all proportion",
    message="{path} {reason}{more}",
    remedy="Do not rely on it. " + NEW_BACKUP,
    formerly=("path-escape", "bomb"),
)
HARMFUL_ARCHIVE = RULES.reworded(
    DAMAGED_ARCHIVE,
    message="{path} {reason}{more}",
    remedy="Do not unpack it. Find out who made it, and make another.",
)
NOTHING_INSIDE = RULES.declare(
    "nothing-inside",
    FAIL,
    means="it is called a backup of MDM and contains no part of a home",
    message="{path} contains no part of an MDM home",
    remedy=NEW_BACKUP,
)
FOREIGN_HOME = RULES.declare(
    "foreign-home",
    FAIL,
    WARN,
    means="the backup is of another home; a fail before the migration",
    message="{path} is of another home: it registers {others}, and no dataset of this home",
    remedy=NEW_BACKUP,
)
MISSING_DATASET = RULES.declare(
    "missing-dataset",
    FAIL,
    WARN,
    means="a registered dataset is not in the newest backup; a warning if it was registered later",
    message="{where} does not hold the {parts} of {dataset!r}{later}",
    remedy=NEW_BACKUP,
)
MORE_MISSING_DATASETS = RULES.reworded(
    MISSING_DATASET, message="{where} does not hold {count} more: {datasets}", remedy=NEW_BACKUP
)
DAMAGED_DATA = RULES.declare(
    "damaged-data",
    FAIL,
    means="data in a backup cannot be opened or is damaged",
    message="{where} {problem}{more}",
    remedy="Check whether {dataset!r} itself is sound (5.1). " + NEW_BACKUP,
)
INCOMPLETE_DATA = RULES.declare(
    "incomplete-data",
    FAIL,
    WARN,
    means="a database in a backup lacks tables, columns, rows or values that the home's had when the backup was"
    " made; a fail before the migration. Rows that the home got since are `outdated`",
    message="{where} {problem}{more}",
    remedy="Keep it until {dataset!r} was compared: it may be the home that is wrong. " + NEW_BACKUP,
)
DAMAGED_METADATA = RULES.declare(
    "damaged-metadata",
    FAIL,
    WARN,
    means="a registration, the settings or a custom feature in a backup cannot be used, or is not what the home"
    " had then; a fail before the migration",
    message="{where} {problem}{more}",
    remedy=NEW_BACKUP,
)
SHARED_FILES = RULES.declare(
    "shared-files",
    FAIL,
    WARN,
    means="a copy of the home consists of hard or symbolic links to the home's own files; a fail before the migration",
    message="{where} shares {files} with the home (hard or symbolic links): what damages one damages both",
    remedy=NEW_BACKUP,
)
MISSING_SETTINGS = RULES.declare(
    "missing-settings",
    WARN,
    means="settings or custom features are not in the newest backup",
    message="{where} does not hold {files}",
    remedy=NEW_BACKUP,
)
LINK_OUT = RULES.declare(
    "link-out",
    WARN,
    means="it has a link in the place of what the link leads to",
    message="{path} {reason}{more}",
    remedy="Back up what the links lead to, too. " + NEW_BACKUP,
)
OUTDATED = RULES.declare(
    "outdated",
    WARN,
    NOTE,
    means="data changed since the newest backup, or that cannot be known because its time is in the future; a warning "
    "before the migration",
    message="{names} changed since {made}",
    remedy=NEW_BACKUP,
    formerly=("future-time",),
)
FUTURE_TIME = RULES.reworded(
    OUTDATED,
    message="{path} has a time in the future: it or this clock is wrong, and so is which backup is the newest and what "
    "changed since",
    remedy="Find out which of the two is wrong. If it is the clock, set it right. If it is the file, do not trust its "
    "time; make another backup.",
    commands=("date", SHOW_FILE),
)
OLD_BACKUPS = RULES.declare(
    "old-backups",
    NOTE,
    means="archives are older than 30 days",
    message="{old} of {count} backups in {folder} are older than {limit} days",
    remedy="Keep them until a newer one was restored elsewhere and compared with the home, then delete those that you "
    "do not need. This lists what is older than {limit} days.",
    commands=("find -H {folder!q} -type f -name {pattern!q} -mtime +{limit} -print",),
)
PRUNE_BACKUPS = Steps(
    OLD_BACKUPS.remedy.text + " The other command deletes all but the newest {recent}, once the newest was read back "
    "and is good, and none that has a dataset which the home and the newest have not; that cannot be taken back.",
    (*OLD_BACKUPS.remedy.commands, Call("prune-backups", "{folder}", options=(("keep", "{recent}"),))),
)
NEWEST_IS_OLD = RULES.reworded(
    OLD_BACKUPS, message="the newest backup is {days} days old", remedy="Keep it for now. " + NEW_BACKUP
)
SERVER_DATA = RULES.declare(
    "server-data",
    NOTE,
    means="data is on a server, and there is no dump of it",
    message="the data of {dataset!r} is on a server; no copy of the home contains it",
    remedy="Let pg_dump --format=custom write a dump of {database} to another name first, as a user who may read"
    " it; check that it ended without an error and that pg_restore --list reads the file, and then call "
    "it {file}.",
)
FOLDER_ACCESS = RULES.declare(
    "folder-access",
    FAIL,
    WARN,
    NOTE,
    means="the owner of the home cannot list or write to the folder of backups; a note where only the file system is "
    "mounted read-only",
    message="{standing} {reason}",
    remedy="Let {owner} in there, or name another folder with --mdm-backup.",
    commands=("ls -ld -- {standing!q}",),
    answers=(PERMISSION_DENIED,),
)
NOT_A_FOLDER = RULES.reworded(
    FOLDER_ACCESS,
    message="{folder} is a {kind}, so no backup can be written there",
    remedy="Find out what it is and whether it is needed; then give it another name and make a folder {folder}, "
    "or name another folder with --mdm-backup.",
    commands=("ls -ld -- {folder!q}",),
)
READ_ONLY = RULES.reworded(
    FOLDER_ACCESS,
    NOTE,
    message="{standing} is on a file system that is mounted read-only here{at_mount}",
    remedy="Find out why: a file system with errors is mounted so, too. If it is meant to be written to, have "
    "root mount it for writing; or name another folder with --mdm-backup.",
    commands=("df -P -- {standing!q}",),
)
NO_ROOM = RULES.declare(
    "no-room",
    FAIL,
    WARN,
    means="there is no room for another backup",
    message="a backup takes {needed:size}{packed}; where it goes, at {standing}, there is {room}",
    remedy="Free room there. Or write the backup to other storage.",
    answers=("insufficient space for backup",),
)
SCRIPT_FAILS = RULES.declare(
    "script-fails",
    FAIL,
    WARN,
    means="the dry run of `backup_mdm_state.sh` did not end well",
    message="{script} --dry-run --verbose {how}{last}",
    remedy="Read what it says and correct that first.",
    commands=("{script!q} --dry-run --verbose",),
    answers=("backup script returns non-zero exit",),
)
FOREIGN_OWNER = RULES.declare(
    "foreign-owner",
    WARN,
    means="files in the home belong to another user than the home",
    message="{count} not owned by {owner}, who owns the home: {names}",
    remedy="It belongs to another user: find out why, such as MDM started with sudo, and let root give it to "
    "{owner} (chown -h). Check first that no file of it is a hard link to one outside the home: its count"
    " of links, in the second column, is 1 then.",
    commands=("{show}",),
)
UNREADABLE = RULES.declare(
    "unreadable",
    FAIL,
    WARN,
    means="the owner of the home may not use what is in it; a fail for data, registrations, settings",
    message="{owner}, who owns the home, may not use {names}",
    remedy="Give {owner} the permission, unless it is withheld on purpose.",
    answers=(PERMISSION_DENIED,),
)
FOREIGN_UNREADABLE = RULES.reworded(
    UNREADABLE,
    message="{owner}, who owns the home, does not own and may not use {names}",
    remedy=FOREIGN_OWNER.remedy,
)
WRITABLE_BY_OTHERS = RULES.declare(
    "writable-by-others",
    WARN,
    NOTE,
    means="everybody may write; a note for a group, and while a folder above is closed",
    message="{who} may write to {names}{shield}",
    remedy="Let only the owner write there.",
)
PASSWORD_READABLE = RULES.declare(
    "password-readable",
    WARN,
    NOTE,
    means="others may read a file with a password in it; a note while a folder above is closed",
    message="others may read {names}, with a database password in it{shield}",
    remedy="Let only their owner read them; give the password another place, such as ~/.pgpass, if you can.",
)
RULES.retire("special-member", "duplicate-member", "surplus", "wrong-format", "folder-mode")
