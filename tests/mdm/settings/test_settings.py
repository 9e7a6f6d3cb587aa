"""The settings in force, where they come from, and what is wrong with them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.settings import Origin, Settings, SettingsProblem, read_settings
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, KEYS, Refused, accepted, default_of, flat_name

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(text: str | bytes, **environ: str) -> Settings:
        (tmp_path / "mdm.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(tmp_path, environ)

    return write_and_read


def only_problem(settings: Settings) -> SettingsProblem:
    (problem,) = settings.problems
    return problem


def test_a_real_home_has_no_problems_and_knows_its_origins(each_home: Path) -> None:
    settings = read_settings(each_home, {})
    file = str(each_home / "mdm.yaml")
    assert settings.state == "present"
    assert settings.generation == "nested"
    assert settings.problems == ()
    assert settings.starts
    assert settings["performance.batch_size"] == 5000
    assert settings.values["performance.batch_size"].origin == Origin("file", file, 7, 3)
    assert settings["database.duckdb.memory_limit"] == "2GB"
    assert settings["database.sqlalchemy.pool_size"] == 5
    assert settings.values["database.sqlalchemy.pool_size"].origin == Origin("default")


def test_the_environment_wins_over_the_file(home: Path) -> None:
    settings = read_settings(home, {"MDM_PERFORMANCE_BATCH_SIZE": "700", "MDM_HOME_DIR": str(home), "PATH": "/bin"})
    assert settings["performance.batch_size"] == 700
    assert settings.values["performance.batch_size"].origin == Origin("environment", "MDM_PERFORMANCE_BATCH_SIZE")
    assert settings.variables == {"performance.batch_size": "MDM_PERFORMANCE_BATCH_SIZE"}
    assert settings.ignored_variables == ()


def test_every_default_is_a_value_that_mdm_takes() -> None:
    assert len(BY_NAME) == len(KEYS)
    for key in KEYS:
        assert accepted(key.name, list(key.default) if isinstance(key.default, tuple) else key.default) == key.default


def test_a_key_that_is_not_known_raises(home: Path) -> None:
    with pytest.raises(KeyError):
        read_settings(home, {})["database.sqlite_journal_mode"]


def test_a_missing_file_leaves_the_defaults_in_force(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})
    assert settings.state == "missing"
    assert settings.document is None
    assert settings.problems == ()
    assert all(value.origin == Origin("default") for value in settings.values.values())
    assert settings["database.default_backend"] == "sqlite"


def test_a_broken_link_counts_as_missing_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "mdm.yaml").symlink_to(tmp_path / "gone.yaml")
    settings = read_settings(tmp_path, {})
    assert settings.state == "missing"
    assert settings.starts
    assert only_problem(settings).message == "is a broken symbolic link"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "[]", "''", "0", "no"])
def test_a_file_that_says_nothing_is_empty_and_no_problem(read: Read, text: str) -> None:
    settings = read(text)
    assert settings.state == "empty"
    assert settings.starts
    assert settings.problems == ()


@pytest.mark.parametrize("text", ["just text\n", "- a\n- b\n", "42\n"])
def test_a_file_without_keys_is_unusable(read: Read, text: str) -> None:
    settings = read(text, MDM_LOGGING_LEVEL="DEBUG")
    assert settings.state == "unusable"
    assert only_problem(settings).code == "not-a-mapping"
    assert not settings.starts
    assert settings["logging.level"] == "DEBUG"
    assert settings["database.default_backend"] == "sqlite"


def test_a_fifo_is_unusable_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mdm.yaml")
    settings = read_settings(tmp_path, {})
    assert settings.state == "unusable"
    assert (only_problem(settings).code, only_problem(settings).message) == ("unreadable", "is a FIFO")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("database:\n\tdefault_backend: duckdb\n", "syntax", 2),
        ("logging:\n  level: INFO\n level: DEBUG\n", "syntax", 3),
        (b"logging:\n  file: caf\xe9.log\n", "encoding", 2),
        ("a: " + "[" * 500, "too-deep", 1),
    ],
)
def test_a_file_that_is_no_yaml_is_unusable_and_says_where(read: Read, text: str | bytes, code: str, line: int) -> None:
    settings = read(text)
    problem = only_problem(settings)
    assert settings.state == "unusable"
    assert (problem.code, problem.origin.line, problem.fatal) == (code, line, True)


def test_a_key_that_is_there_twice_is_said_and_does_not_stop_mdm(read: Read) -> None:
    settings = read("logging:\n  level: INFO\n  level: DEBUG\n")
    assert only_problem(settings).code == "duplicate-key"
    assert settings.starts
    assert settings["logging.level"] == "DEBUG"
    assert settings.values["logging.level"].origin.line == 3


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("databse:\n  default_backend: duckdb\n", "databse", "database"),
        ("database:\n  default_backnd: duckdb\n", "database.default_backnd", "database.default_backend"),
        ("database:\n  journal_mode: WAL\n", "database.journal_mode", "database.sqlite.journal_mode"),
        ("connection_timeout: 5\n", "connection_timeout", "database.connection_timeout"),
        ("database:\n  postgresql:\n    pasword: x\n", "database.postgresql.pasword", "database.postgresql.password"),
        ("zebra: {stripes: 5}\n", "zebra", ""),
    ],
)
def test_an_unknown_key_is_ignored_and_leads_to_the_nearest(read: Read, text: str, key: str, nearest: str) -> None:
    settings = read(text)
    problem = only_problem(settings)
    assert (problem.code, problem.key, problem.suggestion, problem.fatal) == ("unknown-key", key, nearest, False)
    assert problem.origin.line == text[: text.index(key.rpartition(".")[2])].count("\n") + 1
    assert all(value.origin.kind == "default" for value in settings.values.values())


def test_every_flat_name_leads_to_its_nested_one(read: Read) -> None:
    for name in BY_NAME:
        flat = flat_name(name)
        if flat != name:
            section, _, key = flat.partition(".")
            problem = only_problem(read(f"{section}:\n  {key}: 1\n"))
            assert (problem.code, problem.suggestion) == ("other-generation", name)


def test_every_other_name_leads_to_a_key_that_there_is() -> None:
    for alias in ALIASES.values():
        assert alias.name not in BY_NAME
        assert alias.key is None or alias.key in BY_NAME


@pytest.mark.parametrize(
    ("text", "generation"),
    [
        ("database:\n  default_backend: duckdb\n", "nested"),
        ("database:\n  sqlite:\n    journal_mode: WAL\n", "nested"),
        ("database:\n  sqlite_journal_mode: WAL\n", "flat"),
        ("database:\n  default_backend: duckdb\n  sqlite_journal_mode: WAL\n", "flat"),
        ("database:\n  sqlite:\n    cache_size: 1\n  sqlite_journal_mode: WAL\n", "mixed"),
        ("x: 1\n", "none"),
    ],
)
def test_the_generation_of_a_file_shows_in_its_names(read: Read, text: str, generation: str) -> None:
    assert read(text).generation == generation


def test_flat_names_set_nothing_in_any_released_version(read: Read) -> None:
    settings = read("database:\n  sqlite_journal_mode: DELETE\n")
    assert settings["database.sqlite.journal_mode"] == "WAL"


def test_names_of_the_guide_are_known_as_such(read: Read) -> None:
    problem = only_problem(read("features:\n  generate_on_register: false\n"))
    assert (problem.code, problem.suggestion) == ("unknown-key", "feature_engineering.enabled")
    assert "guide" in problem.message


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("database:\n  default_backend: mysql\n", "not-a-choice", "database.default_backend"),
        ("performance:\n  batch_size: 50\n", "out-of-range", "performance.batch_size"),
        ("performance:\n  batch_size: many\n", "wrong-type", "performance.batch_size"),
        ("database:\n  postgresql:\n    port: 99999\n", "out-of-range", "database.postgresql.port"),
        ("logging:\n  file: 5\n", "wrong-type", "logging.file"),
        ("logging:\n  level:\n", "null", "logging.level"),
        ("logging:\n", "null", "logging"),
        ("logging: DEBUG\n", "wrong-kind", "logging"),
        ("database:\n  sqlite: [1]\n", "wrong-kind", "database.sqlite"),
        ("logging:\n  level: {a: 1}\n", "wrong-kind", "logging.level"),
        ("feature_engineering:\n  generic:\n    binning:\n      n_bins: [1]\n", "out-of-range", None),
        ("feature_engineering:\n  generic:\n    binning:\n      n_bins: []\n", "out-of-range", None),
        ("cli:\n  page_size: 2.5\n", "wrong-type", "cli.page_size"),
        ("1: x\n", "key-not-text", "1"),
        ("on: x\n", "key-not-text", "on"),
    ],
)
def test_a_refused_value_names_its_place_and_keeps_the_default(
    read: Read, text: str, code: str, key: str | None
) -> None:
    settings = read(text)
    problem = only_problem(settings)
    assert (problem.code, problem.fatal) == (code, True)
    assert key in {None, problem.key}
    assert problem.origin.line == text.count("\n")
    assert settings.state == "present"
    assert all(settings[name] == BY_NAME[name].default for name in BY_NAME)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("logging:\n  level: debug\n", "DEBUG"),
        ("database:\n  default_backend: postgres\n", "postgresql"),
        ("database:\n  sqlite:\n    synchronous: OFF\n", '"OFF", in quotes'),
        ("database:\n  postgresql:\n    user: on\n", 'put on in quotes: "on"'),
        ("logging:\n  file: 5\n", "put it in quotes"),
        ("logging:\n  max_bytes: 10e6\n", "write 10000000; YAML takes the other for text"),
    ],
)
def test_a_refused_value_comes_with_advice_that_works(read: Read, text: str, suggestion: str) -> None:
    assert only_problem(read(text)).suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("database:\n  sqlite:\n    cache_size: 012\n", 10),
        ("database:\n  connection_timeout: 1:30\n", 90),
        ("cli:\n  page_size: yes\n", 1),
        ("validation:\n  before_features:\n    max_missing_ratio: on\n", 1.0),
    ],
)
def test_a_value_read_unlike_written_is_a_trap(read: Read, text: str, taken: object) -> None:
    settings = read(text)
    problem = only_problem(settings)
    assert (problem.code, problem.fatal, problem.origin.line) == ("trap", False, text.count("\n"))
    assert settings[problem.key] == taken


@pytest.mark.parametrize(
    "text",
    [
        "database:\n  sqlalchemy:\n    echo: on\n",
        "database:\n  sqlite:\n    synchronous: 'OFF'\n    cache_size: 0x10\n    mmap_size: 1_000\n",
        "database:\n  connection_timeout: 07\n",
        "logging:\n  max_bytes: 1.0e+7\n",
        "logging:\n  max_bytes: '5'\n",
        "database:\n  postgresql:\n    user: ~\n    password: '012'\n",
        "export:\n  compression: none\n",
    ],
)
def test_a_value_that_means_what_is_written_is_no_trap(read: Read, text: str) -> None:
    assert read(text).problems == ()


def test_part_of_a_section_can_change_the_defaults_of_the_rest(read: Read) -> None:
    assert read("")["validation.after_features.check_duplicates"] is False
    settings = read("validation:\n  after_features:\n    min_rows: 5\n")
    assert settings["validation.after_features.check_duplicates"] is True
    assert default_of("validation.after_features.signal_detection", section_given=True) is False


@pytest.mark.parametrize(
    ("variable", "value", "code", "key"),
    [
        ("MDM_LOGGING_LEVEL", "debug", "not-a-choice", "logging.level"),
        ("MDM_DATABASE", "foo", "wrong-kind", "database"),
        ("MDM_DATABASE_SQLITE", "wal", "wrong-kind", "database.sqlite"),
        ("MDM_EXPORT_COMPRESSION_LEVEL", "9", "wrong-kind", "export.compression"),
        ("MDM_PERFORMANCE_BATCH_SIZE", "5", "out-of-range", "performance.batch_size"),
        ("MDM_PATHS_DATASETS_PATH", "2024", "wrong-type", "paths.datasets_path"),
        ("MDM_FEATURE_ENGINEERING_GENERIC_BINNING_N_BINS", "5", "wrong-type", None),
    ],
)
def test_a_variable_that_mdm_refuses_is_named(
    read: Read, variable: str, value: str, code: str, key: str | None
) -> None:
    settings = read("logging:\n  max_bytes: 5\n", **{variable: value})
    problem = only_problem(settings)
    assert (problem.code, problem.fatal) == (code, True)
    assert problem.origin == Origin("environment", variable)
    assert key in {None, problem.key}
    assert settings.ignored_variables == ()


def test_a_variable_that_sets_nothing_is_listed(read: Read) -> None:
    settings = read("", MDM_DATABASE_SQLALCHEMY_POOL_SIZE="30", MDM_FEATURE_USE_NEW_BACKEND="true")
    (ignored,) = settings.ignored_variables
    assert (ignored.name, ignored.key, ignored.instead) == (
        "MDM_DATABASE_SQLALCHEMY_POOL_SIZE",
        "database.sqlalchemy.pool_size",
        None,
    )
    assert settings["database.sqlalchemy.pool_size"] == 5


def test_true_in_a_variable_counts_as_one_where_a_number_belongs(read: Read) -> None:
    settings = read("", MDM_DATABASE_CONNECTION_TIMEOUT="true")
    assert only_problem(settings).code == "trap"
    assert settings["database.connection_timeout"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "database:\n  postgresql:\n    password: hunter2\n",
        "database:\n  postgresql:\n    password: [hunter2]\n",
        "database:\n  postgresql:\n    pasword: hunter2\n",
        "database:\n  postgresql_password: hunter2\n",
        "database:\n  postgresql: hunter2\n",
        "database: postgresql://me:hunter2@host/db\n",
        "database:\n  default_backend: postgresql://me:hunter2@host/db\n",
        "database:\n  postgresql:\n    password: *hunter2\n",
    ],
)
def test_no_password_is_shown(read: Read, text: str) -> None:
    assert "hunter2" not in repr(read(text))


def test_a_password_of_digits_is_refused_without_showing_it(read: Read) -> None:
    settings = read("", MDM_DATABASE_POSTGRESQL_PASSWORD="90210")
    assert only_problem(settings).suggestion == "write database.postgresql.password into mdm.yaml, in quotes"
    assert "90210" not in repr(settings)


def test_a_password_is_there_for_those_who_connect(read: Read) -> None:
    settings = read("database:\n  postgresql:\n    password: hunter2\n")
    assert settings["database.postgresql.password"] == "hunter2"
    assert settings.values["database.postgresql.password"].secret
    assert "hunter2" not in repr(settings.values)


def test_settings_go_through_pickle(home: Path) -> None:
    settings = read_settings(home, {"MDM_LOGGING_LEVEL": "DEBUG"})
    content = pickle.dumps(settings)
    assert pickle.loads(content) == settings  # noqa: S301 - made in the line above
    assert len(content) < 20_000


def test_reading_settings_changes_nothing(each_home: Path, tree: Callable[[Path], object]) -> None:
    before = tree(each_home)
    read_settings(each_home, {})
    assert tree(each_home) == before


words = st.sampled_from([*BY_NAME, *ALIASES, "database", "logging.level.x", "", "x"])
values = st.sampled_from(["1", "on", "", "a,b", "DEBUG", "012", "{a: 1}", "[5]", "~", "2024-01-01", "'x'", "1e5"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.dictionaries(words, values, max_size=4), environ=st.dictionaries(words, values, max_size=4))
def test_no_file_and_no_environment_make_it_raise(read: Read, file: dict[str, str], environ: dict[str, str]) -> None:
    text = "".join(f"{key.partition('.')[0]}: {{{key.partition('.')[2]}: {value}}}\n" for key, value in file.items())
    found = read(text, **{"MDM_" + name.upper().replace(".", "_"): value for name, value in environ.items()})
    assert set(found.values) == set(BY_NAME)
    for name, value in found.values.items():
        plain = list(value.value) if isinstance(value.value, tuple) else value.value
        assert not isinstance(accepted(name, plain), Refused)
