"""What makes a registration quicker."""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks._slow_facts import SlowFacts, Timing
from pytest_mdm_health.mdm.environment import variable_for
from pytest_mdm_health.model import Remedy

_GUIDES_BATCH = 5000


def without_features() -> Remedy:
    """Generate features another time."""
    text = (
        "Register with `--no-features`, or switch features off for the time being (the guide's "
        "MDM_FEATURES_GENERATE_ON_REGISTER is read by no released MDM), and generate them when the data is in."
    )
    return Remedy(text, (f"export {variable_for('feature_engineering.enabled')}=false",))


def faster_load(facts: SlowFacts, each: Timing) -> Remedy:
    """Larger batches, another backend, or else a look at where the time goes."""
    profile = f"MDM_HOME_DIR={shlex.quote(facts.home)} python -m cProfile -m mdm.cli.main dataset register …"
    text = f"Profile it: `{profile}` with MDM's interpreter."
    if facts.batch_size < _GUIDES_BATCH:
        return Remedy(f"Take larger batches. {text}", (larger_batches(_GUIDES_BATCH),))
    sqlite = any(other.dataset.lower() == each.dataset and other.backend == "sqlite" for other in facts.datasets)
    return to_duckdb() if sqlite else Remedy(text)


def larger_batches(rows: int) -> str:
    """The command that sets the number of rows of a batch."""
    return _export("performance.batch_size", str(rows))


def to_duckdb() -> Remedy:
    """Another backend."""
    text = (
        "Register it again on DuckDB. MDM's commands then refuse the datasets that stay on SQLite, so move all of "
        "them, or set the variable only where those on DuckDB are worked with."
    )
    return Remedy(text, (_export("database.default_backend", "duckdb"),))


def install(python: str, package: str) -> str:
    """The command that adds a package to an interpreter."""
    return shlex.join((python, "-m", "pip", "install", package))


def _export(key: str, value: str) -> str:
    return f"export {variable_for(key)}={value}"
