"""The error messages that are known, of MDM, the engines, Python and the system, and what explains each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownError:
    """An error message: one of the guide's table (8.3), one that means the same, or one that the guide leaves out.

    Attributes:
        name: the message as the guide's table has it, or the words that tell it.
        pattern: a regular expression that finds it in a text, ignoring case; it has no word that other messages have.
        cause: what is likely behind it.
        issue: the guide's issue that explains it first.
        also: other issues that may explain it.
        fix: what to do first, for those that the log is searched for.
        finding: the finding of `logged-errors` that reports it; empty for those that the log is not searched for.
    """

    name: str
    pattern: str
    cause: str
    issue: str
    also: tuple[str, ...] = ()
    fix: str = ""
    finding: str = ""

    def is_in(self, text: str) -> bool:
        """Whether the text has this message."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


MESSAGES = (
    KnownError(
        "QueuePool limit exceeded",
        r"QueuePool limit|too many (?:connections|clients)|remaining connection slots",
        "the connection pool, or the server's connections, are used up",
        "3.1",
        fix="a larger pool: `database.sqlalchemy.pool_size`",
        finding="pool-limit",
    ),
    KnownError(
        "database is locked",
        r"database (?:table )?is locked",
        "several processes or threads write to one SQLite file",
        "3.2",
        fix="let one process write at a time; when none has the file open, WAL lets others read meanwhile",
        finding="database-locked",
    ),
    KnownError(
        "OperationalError: no such table",
        r"no such table|relation \S+ does not exist|Table with name \S+ does not exist",
        "the migration of this dataset is not complete",
        "5.1",
        fix="compare the dataset with a backup; finish its migration only once nothing is lost by that",
        finding="no-such-table",
    ),
    KnownError(
        "KeyError: 'backend'",
        r"KeyError: ['\"](?:backend|path|name|created_at|version|database|tables)['\"]",
        "the registration of a dataset is damaged",
        "7.2",
        fix="restore the registration from a backup; rebuild by hand only the fields that no copy has",
        finding="metadata-key",
    ),
    KnownError(
        "MemoryError",
        r"\bMemoryError\b|Out of Memory Error|out of memory|Cannot allocate memory|Unable to allocate|bad_alloc"
        r"|failed to allocate",
        "the batches are too large for the memory there is",
        "4.2",
        fix="a smaller `performance.batch_size`, with a look at the features afterwards",
        finding="out-of-memory",
    ),
    KnownError(
        "TimeoutError: Operation timed out",
        r"TimeoutError(?!: QueuePool)|operation timed out|statement timeout|connection timed out|timeout expired",
        "slow queries, or the network",
        "3.3",
        fix="look for slow statements and missing indexes, then at the network",
        finding="timed-out",
    ),
    KnownError(
        "PermissionError: [Errno 13]",
        r"PermissionError|\bpermission denied\b(?! for (?:table|schema|relation|database|sequence|view|function))",
        "files in the home belong to another user or may not be read",
        "1.1",
        fix="see whose the file is; chown gives it back to the user who runs MDM",
        finding="permission-denied",
    ),
    KnownError(
        "ModuleNotFoundError: mdm.*",
        r"ModuleNotFoundError|No module named|ImportError",
        "MDM or something it needs is not installed, or not in this version",
        "1.2",
        fix="see which module it is, and install MDM with its requirements into an environment of its own",
        finding="module-missing",
    ),
    # Commands
    KnownError("backup_mdm_state.sh", r"backup_mdm_state", "a backup cannot be made", "1.1"),
    KnownError(
        "mdm storage test",
        r"\bmdm (?:config validate|storage test|features test|benchmark)\b",
        "a part of MDM that this command needs is broken",
        "8.1",
    ),
    KnownError(
        "mdm dataset list",
        r"\bmdm dataset list\b",
        "MDM cannot read a registration, or the command itself fails",
        "8.1",
        also=("7.2", "7.1"),
    ),
    KnownError(
        "mdm dataset register",
        r"\bmdm dataset register\b",
        "a registration hangs, or takes long",
        "7.1",
        also=("4.1",),
    ),
    # The system
    KnownError(
        "No space left on device",
        r"No space left|Errno 28\b|disk (?:is )?full|Disk quota exceeded|could not extend file",
        "a disk is full: for the data, a backup or temporary files",
        "1.1",
        also=("4.1", "4.2"),
    ),
    KnownError(
        "Read-only file system",
        r"Read-only file system|Errno 30\b|readonly database|No write permission",
        "a file or its folder may not be written",
        "1.1",
    ),
    KnownError(
        "unexpected end of file",
        r"unexpected end of (?:file|archive)|unexpected EOF|Compressed file ended|not a gzip|in gzip format",
        "an archive breaks off or is none",
        "1.1",
    ),
    KnownError(
        "No such file or directory",
        r"FileNotFoundError|No such file or directory|unable to open database file",
        "a file is not where a registration says, or may not be opened",
        "7.2",
        also=("5.1", "1.1"),
    ),
    KnownError("Too many open files", r"Too many open files|Errno 24\b", "connections are not given back", "3.1"),
    KnownError(
        "oom-kill",
        r"\boom[-_ ]kill|Killed process|^\s*Killed\s*$",
        "the kernel ended a process for want of memory",
        "4.2",
    ),
    # Installing
    KnownError(
        "ResolutionImpossible",
        r"ResolutionImpossible|No matching distribution|version that satisfies|but you have\b|pkg_resources"
        r"|requires a different Python|bad interpreter|mdm: (?:command )?not found|binary incompatibility"
        r"|Can't load plugin",
        "packages do not fit together or are not there",
        "1.2",
    ),
    KnownError(
        "Unable to find a usable engine",
        r"Unable to find a usable engine|Missing optional dependency",
        "what reads this kind of file is not installed",
        "4.1",
        also=("1.2",),
    ),
    # Settings
    KnownError(
        "MDMSettingsError: Failed to load configuration",
        r"MDMSettingsError|Failed to load configuration|\bConfigError\b|Invalid configuration"
        r"|Configuration file not found|validation errors? for \w*(?:Config|Settings)",
        "the settings are refused, or are no YAML",
        "2.1",
    ),
    KnownError(
        "name 'CONFIG' is not defined",
        r"(?:name|import name|attribute) 'CONFIG(?:_TYPE)?'|\bCONFIG\[",
        "code asks the old configuration",
        "2.2",
    ),
    KnownError(
        "PostgreSQL user not configured",
        r"PostgreSQL \w+ not configured|Connection string is required",
        "the settings do not say how to connect",
        "2.1",
        also=("3.3",),
    ),
    # Registrations
    KnownError(
        "uses 'duckdb' backend, but current backend is 'sqlite'",
        r"but current backend is",
        "the default backend is another than the dataset's",
        "7.2",
    ),
    KnownError("KeyError", r"\bKeyError\b(?!: ['\"]Transformer)", "a registration lacks a field", "7.2"),
    KnownError(
        "Failed to load dataset info",
        r"Failed to (?:load|get) dataset (?:info|pointer)|validation errors? for Dataset"
        r"|Database (?:type|path|configuration) is required",
        "a registration cannot be read, or lacks something",
        "7.2",
    ),
    KnownError(
        "Unsupported backend",
        r"Unsupported (?:backend|database)|Unknown backend",
        "a registration or a setting names a backend that MDM does not have",
        "7.2",
        also=("2.1",),
    ),
    KnownError(
        "while parsing a block mapping",
        r"\byaml\.\w|while (?:parsing|scanning) (?:a|an|the) |cannot start any token|could not find expected ':'"
        r"|codec can't decode",
        "a registration or mdm.yaml is no YAML",
        "7.2",
        also=("2.1",),
    ),
    KnownError(
        "Dataset 'shop' not found",
        r"\bdataset (?:directory |config(?:uration)? )?(?:['\"]\S+['\"] )?not found|DatasetNotFound",
        "a dataset is not registered, or MDM cannot read its registration",
        "7.2",
    ),
    KnownError(
        "Dataset 'shop' already exists",
        r"\bdataset \S+ already exists|^\W*already exists|DatasetExists",
        "a registration broke off and left a folder behind",
        "7.1",
        also=("7.2",),
    ),
    KnownError(
        "Registration failed at step",
        r"Registration failed at step|Failed to register dataset",
        "a registration broke off",
        "7.1",
        also=("4.1",),
    ),
    # Data
    KnownError(
        "Table 'train' not found in dataset",
        r"\btable ['\"]?\w+['\"]? not found|has no (?:train|test) table|No (?:main data table|train data) found",
        "a registered table is not there",
        "5.1",
        also=("7.2",),
    ),
    KnownError(
        "database disk image is malformed",
        r"disk image is malformed|malformed database schema|SQLITE_(?:CORRUPT|NOTADB)|is not a database"
        r"|Corrupt database|not a valid DuckDB|stored checksum|replaying WAL|Parquet magic bytes|disk I/O error"
        r"|Input/output error",
        "the file of a dataset is damaged",
        "5.1",
    ),
    KnownError(
        "file with version number",
        r"file with version number|created with (?:a|an) (?:newer|older) version",
        "another version of DuckDB wrote the file",
        "5.1",
        also=("1.2",),
    ),
    KnownError(
        "no such column",
        r"no such column|column \S+ does not exist|Referenced column|(?:duplicate key value|UNIQUE constraint)",
        "a table is not as it was registered",
        "5.1",
    ),
    KnownError(
        "Could not set lock on file",
        r"Could not set lock|Conflicting lock",
        "another process has the DuckDB file open",
        "7.1",
        also=("5.1",),
    ),
    KnownError(
        "TypeError",
        r"\bTypeError\b|Can only use \.(?:str|dt) accessor|could not convert|cannot convert|invalid literal for"
        r"|unsupported operand|invalid input syntax for type|Conversion Error|datatype mismatch|have mixed types"
        r"|does not match format|Unable to parse string",
        "values are of another type than their column should hold",
        "5.2",
    ),
    # Features
    KnownError(
        "FeatureGenerationError",
        r"FeatureGenerationError|Feature generation failed|Failed to generate features|Error generating features"
        r"|\.str accessor|(?:table:?|relation) \S*(?<!custom)_features\b|contains (?:NaN|infinity)"
        r"|No tables specified for feature",
        "features could not be made, or are not all there",
        "6.1",
    ),
    KnownError(
        "Feature not found",
        r"\bFeature (?:\S+ )?not found|Failed to load custom features|(?<!\w)Error in \S+ for \S+(?::|$)"
        r"|Transformer \S+ not registered|BaseDomainFeatures|discover_custom_features",
        "custom features are not loaded, or fail",
        "6.2",
    ),
    # PostgreSQL
    KnownError(
        'database "mdm_shop" does not exist',
        r"database \S+ does not exist",
        "the server has no such database",
        "7.2",
        also=("5.1",),
    ),
    KnownError(
        "Connection refused",
        r"Connection refused|could not connect to server|connection to server at .* failed|closed the connection"
        r"|SSL connection has been closed|Connection reset by peer|Broken pipe|could not translate host name"
        r"|database system is|terminating connection",
        "the server is away, is starting up or shutting down, or broke the connection off",
        "3.3",
    ),
    KnownError(
        "password authentication failed",
        r"password authentication failed|no pg_hba\.conf entry|role \S+ does not exist|no password supplied",
        "the server does not let a user of this home in",
        "3.3",
    ),
    KnownError(
        "deadlock detected",
        r"deadlock detected|due to lock timeout|transaction is aborted",
        "sessions of the server wait for each other's locks",
        "3.3",
    ),
    KnownError(
        "permission denied for table",
        r"permission denied for (?:table|schema|relation|database|sequence|view|function)",
        "the role may not use what is on the server",
        "3.3",
    ),
    KnownError(
        "invalid page in block",
        r"invalid page in|could not read block|page verification failed",
        "data on the server's disk is damaged",
        "3.3",
        also=("5.1",),
    ),
)
"""Every message, in the order in which a text is searched: the guide's table first, then by where they come from."""

KNOWN_ERRORS = tuple(each for each in MESSAGES if each.finding)
"""Those of the guide's table, with their quick fixes; a line of the log belongs to the first that is in it."""


def known_error(text: str) -> KnownError | None:
    """The message of the guide's table that a text shows, if any."""
    return next((error for error in KNOWN_ERRORS if error.is_in(text)), None)


def messages_in(text: str) -> Iterator[KnownError]:
    """Every known message that a text shows."""
    return (message for message in MESSAGES if message.is_in(text))
