"""What the installed MDM says about its settings, under our names."""

from __future__ import annotations

from pathlib import Path

from pytest_mdm_health.mdm.installed.installation import Effective, Installation
from pytest_mdm_health.mdm.settings.runtime import Told, told_by


def test_nested_and_flat_names_come_to_the_same() -> None:
    database = {"sqlite": {"journal_mode": "WAL"}, "duckdb_threads": 8, "postgresql": {"password": "***"}}
    values = {"database": database, "feature_engineering": {"generic": {"binning": {"n_bins": [5, 10]}}}, "x": {"y": 1}}
    installation = Installation(python=Path("python"), settings=Effective("mdm.config.get_config", values))  # type: ignore[arg-type] # plain data
    assert told_by(installation) == {
        "database.sqlite.journal_mode": Told("database.sqlite.journal_mode", "WAL"),
        "database.duckdb.threads": Told("database.duckdb_threads", 8),
        "feature_engineering.generic.binning.n_bins": Told("feature_engineering.generic.binning.n_bins", (5, 10)),
    }


def test_who_says_nothing_has_told_nothing() -> None:
    assert told_by(None) == {}
    assert told_by(Installation(python=Path("python"))) == {}
