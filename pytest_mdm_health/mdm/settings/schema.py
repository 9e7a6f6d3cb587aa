"""MDM's settings: every key with its kind, its range and its default, and the other names it goes by.

The tree is the same in 0.1.0, 0.2.0 and 1.0.6. The second configuration of 0.2.0, which 1.0.6 still carries without
using it, has flatter names for the same things; the guide has shorter ones.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

Cardinal = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
FromTwo = Annotated[int, Field(ge=2)]
FromHundred = Annotated[int, Field(ge=100)]
Recycle = Annotated[int, Field(ge=-1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
FromOne = Annotated[float, Field(ge=1.0)]
Bins = Annotated[list[FromTwo], Field(min_length=1)]
Backend = Literal["sqlite", "duckdb", "postgresql"]
JournalMode = Literal["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"]
Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]
TempStore = Literal["DEFAULT", "FILE", "MEMORY"]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


@dataclass(frozen=True)
class Key:
    """One setting.

    Attributes:
        name: dotted, as in the real tree.
        type: what MDM's model takes, with its range.
        default: the value in force where nothing is said.
        older: the default of 0.1.0 where that was another one, else None.
        secret: never to be shown.
    """

    name: str
    type: Any
    default: object
    older: object = None
    secret: bool = False


@dataclass(frozen=True)
class Alias:
    """A name that MDM 0.1.0 and 1.0.6 do not know, though another MDM or the guide does.

    Attributes:
        name: dotted.
        key: the setting that means the same, or nearly; None if there is none.
        source: `flat` for the second configuration of 0.2.0, `guide` for the guide's short names.
    """

    name: str
    key: str | None
    source: Literal["flat", "guide"]


KEYS = (
    Key("paths.datasets_path", str, "datasets/"),
    Key("paths.configs_path", str, "config/datasets/"),
    Key("paths.logs_path", str, "logs/"),
    Key("paths.custom_features_path", str, "config/custom_features/"),
    Key("database.default_backend", Backend, "sqlite"),
    Key("database.connection_timeout", Positive, 30),
    Key("database.sqlalchemy.echo", bool, False),
    Key("database.sqlalchemy.pool_size", Positive, 5),
    Key("database.sqlalchemy.max_overflow", Cardinal, 10),
    Key("database.sqlalchemy.pool_timeout", Positive, 30),
    Key("database.sqlalchemy.pool_recycle", Recycle, 3600),
    Key("database.sqlite.journal_mode", JournalMode, "WAL"),
    Key("database.sqlite.synchronous", Synchronous, "NORMAL"),
    Key("database.sqlite.cache_size", int, -64000),
    Key("database.sqlite.temp_store", TempStore, "MEMORY"),
    Key("database.sqlite.mmap_size", Cardinal, 268435456),
    Key("database.duckdb.memory_limit", str, "8GB"),
    Key("database.duckdb.threads", Positive, 4),
    Key("database.duckdb.temp_directory", str, "/tmp"),  # noqa: S108 - MDM's default, not ours
    Key("database.duckdb.access_mode", Literal["READ_WRITE", "READ_ONLY"], "READ_WRITE"),
    Key("database.postgresql.host", str, "localhost"),
    Key("database.postgresql.port", Port, 5432),
    Key("database.postgresql.user", str | None, None),
    Key("database.postgresql.password", str | None, None, secret=True),
    Key("database.postgresql.database_prefix", str, "mdm_"),
    Key("database.postgresql.sslmode", SslMode, "prefer"),
    Key("database.postgresql.pool_size", Positive, 10),
    Key("performance.batch_size", FromHundred, 10000),
    Key("performance.max_concurrent_operations", Positive, 5),
    Key("logging.level", Level, "INFO"),
    Key("logging.file", str, "mdm.log"),
    Key("logging.max_bytes", Positive, 10485760),
    Key("logging.backup_count", Cardinal, 5),
    Key("logging.format", Literal["json", "console"], "console", older="json"),
    Key("feature_engineering.enabled", bool, True),
    Key("feature_engineering.generic.temporal.enabled", bool, True),
    Key("feature_engineering.generic.temporal.include_cyclical", bool, True),
    Key("feature_engineering.generic.temporal.include_lag", bool, False),
    Key("feature_engineering.generic.categorical.enabled", bool, True),
    Key("feature_engineering.generic.categorical.max_cardinality", FromTwo, 50),
    Key("feature_engineering.generic.categorical.min_frequency", Ratio, 0.01),
    Key("feature_engineering.generic.statistical.enabled", bool, True),
    Key("feature_engineering.generic.statistical.include_log", bool, True),
    Key("feature_engineering.generic.statistical.include_zscore", bool, True),
    Key("feature_engineering.generic.statistical.outlier_threshold", FromOne, 3.0),
    Key("feature_engineering.generic.text.enabled", bool, True),
    Key("feature_engineering.generic.text.min_text_length", Positive, 20),
    Key("feature_engineering.generic.binning.enabled", bool, True),
    Key("feature_engineering.generic.binning.n_bins", Bins, (5, 10)),
    Key("feature_engineering.type_detection.categorical_threshold", FromTwo, 20),
    Key("feature_engineering.type_detection.text_min_avg_length", Positive, 50),
    Key("feature_engineering.type_detection.detect_datetime", bool, True),
    Key("export.default_format", Literal["csv", "parquet", "json"], "csv"),
    Key("export.compression", Literal["none", "zip", "gzip", "snappy", "lz4"], "zip"),
    Key("export.include_metadata", bool, True),
    Key("validation.before_features.check_duplicates", bool, True),
    Key("validation.before_features.drop_duplicates", bool, True),
    Key("validation.before_features.signal_detection", bool, False),
    Key("validation.before_features.max_missing_ratio", Ratio, 0.99),
    Key("validation.before_features.min_rows", Positive, 10),
    # These defaults hold only where the whole section is left out: see `default_of`.
    Key("validation.after_features.check_duplicates", bool, False),
    Key("validation.after_features.drop_duplicates", bool, False),
    Key("validation.after_features.signal_detection", bool, True),
    Key("validation.after_features.max_missing_ratio", Ratio, 0.99),
    Key("validation.after_features.min_rows", Positive, 10),
    Key("cli.default_output_format", Literal["rich", "json", "csv", "table"], "rich"),
    Key("cli.page_size", Positive, 20),
    Key("cli.confirm_destructive", bool, True),
    Key("cli.show_progress", bool, True),
    Key("development.debug_mode", bool, False),
    Key("development.profile_operations", bool, False),
    Key("development.explain_queries", bool, False),
)

BY_NAME = {key.name: key for key in KEYS}
SECTIONS = frozenset(name[:end] for name in BY_NAME for end, letter in enumerate(name) if letter == ".")

_AFTER, _BEFORE = "validation.after_features", "validation.before_features"

_SHORTENED = (
    ("database.sqlalchemy.", "database.sqlalchemy_"),
    ("database.sqlite.", "database.sqlite_"),
    ("database.duckdb.", "database.duckdb_"),
    ("database.postgresql.", "database.postgresql_"),
    ("feature_engineering.type_detection.", "feature_engineering."),
    ("feature_engineering.generic.temporal.", "feature_engineering.temporal_"),
    ("feature_engineering.generic.categorical.", "feature_engineering.categorical_"),
    ("feature_engineering.generic.statistical.", "feature_engineering.statistical_"),
    ("feature_engineering.generic.text.", "feature_engineering.text_"),
    ("feature_engineering.generic.binning.", "feature_engineering.binning_"),
    ("validation.before_features.", "validation.before_"),
    ("validation.after_features.", "validation.after_"),
)


def flat_name(name: str) -> str:
    """What the second configuration of 0.2.0 calls this setting; most names are the same there."""
    for nested, flat in _SHORTENED:
        if name.startswith(nested):
            return flat + name.removeprefix(nested)
    return name


_FLAT_ONLY = {
    "default_backend": "database.default_backend",
    "batch_size": "performance.batch_size",
    "chunk_size": "performance.batch_size",
    "max_workers": "performance.max_concurrent_operations",
    "performance.chunk_size": "performance.batch_size",
    "performance.max_workers": "performance.max_concurrent_operations",
    "paths.cache_path": None,
    "home_dir": None,
    "data_dir": "paths.datasets_path",
    "enable_auto_detect": None,
    "enable_validation": "validation.before_features.check_duplicates",
}
_GUIDE_ONLY = {
    "database.pool_size": "database.sqlalchemy.pool_size",
    "database.max_overflow": "database.sqlalchemy.max_overflow",
    "features.generate_on_register": "feature_engineering.enabled",
    "features.skip_on_error": None,
    "features.skip_list": None,
    "features.debug": "logging.level",
    "debug_config": None,
    "force_new_config": None,
}

ALIASES = {
    **{flat_name(name): Alias(flat_name(name), name, "flat") for name in BY_NAME if flat_name(name) != name},
    **{name: Alias(name, key, "flat") for name, key in _FLAT_ONLY.items()},
    **{name: Alias(name, key, "guide") for name, key in _GUIDE_ONLY.items()},
}
"""The names that set nothing, by themselves."""


def default_of(name: str, *, section_given: bool) -> object:
    """The value in force where nothing sets this key.

    Args:
        name: a key of the real tree.
        section_given: whether anything else in its section is set, which in one section changes the defaults.
    """
    if section_given and name.startswith(_AFTER):
        name = _BEFORE + name.removeprefix(_AFTER)
    return BY_NAME[name].default


@dataclass(frozen=True)
class Refused:
    """Why MDM does not take a value.

    Attributes:
        code: `null`, `wrong-type`, `out-of-range` or `not-a-choice`.
        wanted: what it takes, to follow "MDM takes".
    """

    code: str
    wanted: str


def accepted(name: str, value: object) -> object | Refused:
    """The value as MDM gets it, converted as its model converts, lists as tuples; or why it is refused."""
    key = BY_NAME[name]
    try:
        taken = _adapter(name).validate_python(value)
    except ValidationError as error:
        kind = error.errors(include_url=False, include_input=False)[0]["type"]
        return Refused("null" if value is None else _code(kind), _wanted(key.type))
    return tuple(taken) if isinstance(taken, list) else taken


@functools.cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(BY_NAME[name].type, config=ConfigDict(hide_input_in_errors=True))


def _code(kind: str) -> str:
    if kind in {"greater_than_equal", "less_than_equal", "too_short"}:
        return "out-of-range"
    return "not-a-choice" if kind == "literal_error" else "wrong-type"


def _wanted(kind: Any) -> str:  # noqa: ANN401 - a type expression
    plain = {bool: "true or false", int: "a whole number", str: "text", str | None: "text or nothing"}
    if kind in plain:
        return plain[kind]
    if get_origin(kind) is Literal:
        *most, last = get_args(kind)
        return f"{', '.join(most)} or {last}"
    base, rules = get_args(kind)[0], get_args(kind)[1].metadata
    if get_origin(base) is list:
        return "a list of whole numbers from 2 up, with at least one"
    bounds = [f"{getattr(rule, 'ge', None) or getattr(rule, 'le', 0):g}" for rule in rules]
    noun = "a whole number" if base is int else "a number"
    return f"{noun} from {' to '.join(bounds)}" + (" up" if len(bounds) == 1 else "")
