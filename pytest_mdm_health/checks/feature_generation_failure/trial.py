"""Running the installed generator on a few rows of a dataset."""

from __future__ import annotations

from pathlib import Path

from pytest_mdm_health.backends import Database
from pytest_mdm_health.checks._shared.sample_rows import sample_task
from pytest_mdm_health.checks.feature_generation_failure.facts import GeneratorTrial
from pytest_mdm_health.core.secrets import without_values
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.trial import CannotTry, abilities, attempt
from pytest_mdm_health.mdm.installed.trial_answers import Trial
from pytest_mdm_health.mdm.inventory import Dataset


def try_generator(
    dataset: Dataset, database: Database, table: str, installation: Installation | None, root: Path, timeout_s: float
) -> GeneratorTrial:
    """Run the generator on the first rows of a table.

    Raises:
        CannotTry: there is no generator that could be run, and why.
        QueryFailed: the rows cannot be read.
    """
    if installation is None or not installation.is_ml_data_manager:
        raise CannotTry("there is no MDM (see --mdm-python)")
    found = abilities(installation.python, root, timeout_s)
    if not found.generator:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.failures.items())
        raise CannotTry(f"MDM's generator cannot be imported ({reasons})" if reasons else "this MDM has no generator")
    task = sample_task(dataset, database, table)
    known = {*task["columns"], dataset.name}
    result = attempt(installation.python, root, {**task, "do": "generate"}, timeout_s)
    return GeneratorTrial(
        table=table,
        rows=len(task["rows"]),
        features=len(result.names("features")),
        raised=how_it_ended(result, known),
        errors=tuple(dict.fromkeys(without_values(str(each), known) for each in result.told.get("logged", ()))),
    )


def how_it_ended(result: Trial, known: set[str]) -> str:
    """The exception that something ended with, or how it ended otherwise; empty if it came to its end."""
    if result.raised is not None:
        return result.raised.text(known)
    return f"it {result.how}" if result.how else ""
