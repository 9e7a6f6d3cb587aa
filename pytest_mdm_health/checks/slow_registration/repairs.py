"""What makes a registration quicker: in words, because a variable that is exported holds for everything after it."""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks.slow_registration.facts import SlowFacts, Timing
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.settings.environment import variable_for

_GUIDES_BATCH = 5000


def without_features() -> Remedy:
    """Generate features another time."""
    return Remedy(
        "For a new registration give `--no-features`, or set "
        f"{variable_for('feature_engineering.enabled')}=false in front of that one command (the guide's "
        "MDM_FEATURES_GENERATE_ON_REGISTER is read by no released MDM). A dataset that is registered stays as it is."
    )


def faster_load(facts: SlowFacts, each: Timing) -> Remedy:
    """Larger batches, another backend, or else a look at where the time goes."""
    profile = f"MDM_HOME_DIR={shlex.quote(facts.home)} python -m cProfile -m mdm.cli.main dataset register …"
    text = f"Profile it: `{profile}` with MDM's interpreter."
    if facts.batch_size < _GUIDES_BATCH:
        return Remedy(f"{larger_batches(_GUIDES_BATCH)} {text}")
    sqlite = any(other.dataset.lower() == each.dataset and other.backend == "sqlite" for other in facts.datasets)
    return to_duckdb() if sqlite else Remedy(text)


def larger_batches(rows: int) -> str:
    """How to take larger batches, as a sentence."""
    return (
        f"Take batches of {rows} rows for the next registration, as far as memory allows (4.2): set "
        f"{variable_for('performance.batch_size')}={rows} in front of that one command."
    )


def to_duckdb() -> Remedy:
    """Another backend."""
    return Remedy(
        "Register its source under a new name on DuckDB, with "
        f"{variable_for('database.default_backend')}=duckdb in front of that one command and the same target, ids and "
        "other options, and compare the two before you give the old one up. MDM refuses datasets that are not on the "
        "default backend, so every later command on the new one needs the variable too; do not change the default for "
        "those that stay on SQLite."
    )


def missing_reader(python: str, package: str) -> Remedy:
    """What adding a package to MDM's interpreter would change, and to add it."""
    text = (
        f"See what installing {package} for MDM's interpreter would change besides, and install it in a release that "
        "leaves pandas, numpy and SQLAlchemy as they are."
    )
    return Remedy(text, (shlex.join((python, "-m", "pip", "install", "--dry-run", package)),))
