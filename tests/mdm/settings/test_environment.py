"""What each variable does to MDM's settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.settings.environment import (
    apply_variables,
    converted,
    explain,
    path_of,
    sets_a_flag,
    variable_for,
)
from pytest_mdm_health.mdm.settings.schema import BY_NAME

SETTABLE = {
    "MDM_PATHS_DATASETS_PATH": "paths.datasets_path",
    "MDM_PATHS_CUSTOM_FEATURES_PATH": "paths.custom_features_path",
    "MDM_DATABASE_DEFAULT_BACKEND": "database.default_backend",
    "MDM_DATABASE_CONNECTION_TIMEOUT": "database.connection_timeout",
    "MDM_DATABASE_SQLALCHEMY_ECHO": "database.sqlalchemy.echo",
    "MDM_DATABASE_POSTGRESQL_HOST": "database.postgresql.host",
    "MDM_PERFORMANCE_BATCH_SIZE": "performance.batch_size",
    "MDM_LOGGING_LEVEL": "logging.level",
    "MDM_LOGGING_FILE": "logging.file",
    "MDM_FEATURE_ENGINEERING_ENABLED": "feature_engineering.enabled",
    "MDM_FEATURE_ENGINEERING_GENERIC_BINNING_N_BINS": "feature_engineering.generic.binning.n_bins",
    "MDM_CLI_SHOW_PROGRESS": "cli.show_progress",
}


@pytest.mark.parametrize(("variable", "key"), SETTABLE.items())
def test_a_variable_that_works_names_its_key(variable: str, key: str) -> None:
    assert ".".join(path_of(variable)) == key
    assert variable_for(key) == variable


@pytest.mark.parametrize(
    "key",
    [
        "database.sqlalchemy.pool_size",
        "database.sqlite.journal_mode",
        "database.postgresql.pool_size",
        "logging.max_bytes",
        "export.default_format",
        "performance.max_concurrent_operations",
        "validation.before_features.min_rows",
    ],
)
def test_a_key_of_other_words_has_no_variable(key: str) -> None:
    assert variable_for(key) is None


def path_in_the_old_version(variable: str) -> tuple[str, ...]:
    """How 0.1.0 splits a name: the groups of words only where they belong."""
    parts = variable.removeprefix("MDM_").lower().split("_")
    if parts[:2] == ["feature", "engineering"]:
        parts = ["feature_engineering", *parts[2:]]
    pairs = {"default backend", "batch size", "connection timeout", "show progress"}
    pairs |= {"datasets path", "configs path", "logs path"}
    if " ".join(parts[1:3]) in pairs:
        parts = [parts[0], "_".join(parts[1:3]), *parts[3:]]
    elif parts[1:4] == ["custom", "features", "path"]:
        parts = [parts[0], "custom_features_path", *parts[4:]]
    elif parts[-2:] == ["n", "bins"]:
        parts = [*parts[:-2], "n_bins"]
    return tuple(parts)


@pytest.mark.parametrize("key", BY_NAME)
def test_the_old_and_the_new_version_set_the_same_keys(key: str) -> None:
    variable = "MDM_" + key.replace(".", "_").upper()
    assert (path_in_the_old_version(variable) == tuple(key.split("."))) == (variable_for(key) is not None)


def test_only_letters_after_the_prefix_may_be_lower_case() -> None:
    assert path_of("MDM_logging_Level") == ("logging", "level")
    tree: dict[str, object] = {}
    assert apply_variables(tree, {"mdm_logging_level": "DEBUG", "HOME": "/root"}) == []
    assert tree == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("5", 5),
        (" 5 ", 5),
        ("1_000", 1000),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("5, 10", [5, 10]),
        ("1,true,x", [1, "true", "x"]),
        ("on", "on"),
        ("", ""),
        ("012", 12),
        ("postgresql://u:p@host/db", "postgresql://u:p@host/db"),
    ],
)
def test_a_value_is_converted_as_mdm_converts_it(text: str, value: object) -> None:
    assert converted(text) == value
    assert type(converted(text)) is type(value)


@given(st.text(max_size=30))
def test_any_text_converts_to_something_and_no_number_is_lost(text: str) -> None:
    value = converted(text)
    assert isinstance(value, (bool, int, float, str, list))
    if isinstance(value, str):
        assert value == text


def test_a_variable_for_a_section_replaces_all_of_it() -> None:
    tree: dict[str, object] = {"database": {"default_backend": "duckdb"}}
    (landing,) = apply_variables(tree, {"MDM_DATABASE": "foo"})
    assert tree == {"database": "foo"}
    assert landing.name == "database"


def test_a_plain_value_in_the_way_makes_mdm_write_beside_it() -> None:
    tree: dict[str, object] = {"logging": {"file": "a.log"}}
    (landing,) = apply_variables(tree, {"MDM_LOGGING_FILE_LEVEL": "DEBUG"})
    assert tree == {"logging": {"file": "a.log", "level": "DEBUG"}}
    assert landing.name == "logging.level"


def test_two_underscores_reach_no_key() -> None:
    tree: dict[str, object] = {}
    apply_variables(tree, {"MDM_DATABASE__DEFAULT_BACKEND": "duckdb"})
    assert tree == {"database": {"": {"default_backend": "duckdb"}}}


def test_a_landing_does_not_show_its_value() -> None:
    (landing,) = apply_variables({}, {"MDM_DATABASE_POSTGRESQL_PASSWORD": "hunter2"})
    assert landing.value == "hunter2"
    assert "hunter2" not in repr(landing)


@pytest.mark.parametrize(
    ("variable", "key", "instead"),
    [
        ("MDM_DATABASE_SQLALCHEMY_POOL_SIZE", "database.sqlalchemy.pool_size", None),
        ("MDM_DATABASE_POOL_SIZE", "database.sqlalchemy.pool_size", None),
        ("MDM_DATABASE_MAX_OVERFLOW", "database.sqlalchemy.max_overflow", None),
        ("MDM_DATABASE__DEFAULT_BACKEND", "database.default_backend", "MDM_DATABASE_DEFAULT_BACKEND"),
        ("MDM_DATABASE_SQLITE_JOURNAL_MODE", "database.sqlite.journal_mode", None),
        ("MDM_FEATURES_GENERATE_ON_REGISTER", "feature_engineering.enabled", "MDM_FEATURE_ENGINEERING_ENABLED"),
        ("MDM_PERFORMANCE_MAX_WORKERS", "performance.max_concurrent_operations", None),
        ("MDM_FEATURES_DEBUG", "logging.level", "MDM_LOGGING_LEVEL"),
        ("MDM_FEATURES_SKIP_LIST", None, None),
        ("MDM_FORCE_NEW_CONFIG", None, None),
        ("MDM_DEBUG_CONFIG", None, None),
    ],
)
def test_a_variable_of_another_mdm_or_the_guide_is_known(variable: str, key: str | None, instead: str | None) -> None:
    explained = explain(variable)
    assert (explained.key, explained.instead) == (key, instead)
    assert explained.known
    assert explained.exact


def test_a_misspelt_variable_leads_to_the_most_similar_key() -> None:
    explained = explain("MDM_DATABSE_DEFAULT_BACKEND")
    assert (explained.key, explained.instead) == ("database.default_backend", "MDM_DATABASE_DEFAULT_BACKEND")
    assert not explained.exact
    assert not explained.known


def test_a_variable_of_some_other_program_leads_nowhere() -> None:
    explained = explain("MDM_SERVER_URL")
    assert (explained.key, explained.instead, explained.known) == (None, None, False)


def test_the_switches_of_the_migration_are_no_settings() -> None:
    assert sets_a_flag("MDM_FEATURE_USE_NEW_BACKEND")
    assert not sets_a_flag("MDM_FEATURE_USE_NEW_CONFIG")
    assert not sets_a_flag("MDM_FEATURE_ENGINEERING_ENABLED")
