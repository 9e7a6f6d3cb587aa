"""How features are generated again: in words, because every way of doing it can cost data."""

from __future__ import annotations

from pytest_mdm_health.core.findings import Steps

RESTORE_OR_REGENERATE = Steps("Restore the feature tables from a backup that has the correct ones. Otherwise {how}.")
"""The remedy where features are missing or wrong; `how` is what `how_to_regenerate` says."""


def how_to_regenerate(dataset: str, source: str, *, by_command: bool) -> str:
    """How to generate features again without losing what else the dataset has, as a clause without a full stop.

    Args:
        dataset: its name.
        source: the file or folder that it was registered from; empty if that was not found.
        by_command: whether the installed MDM has a command that generates features.
    """
    if by_command:
        return (
            "save the dataset's folder and both copies of its registration, generate the features again with "
            f"`mdm features regenerate {dataset} --force`, and compare data and registration with what was saved"
        )
    origin = f"from its source, {source}" if source else "from its source, which has to be found first"
    return (
        f"generate the features again by registering the dataset {origin}. Before that, save the dataset's folder and "
        "both copies of its registration: `mdm dataset register --force` deletes the folder with everything in it and "
        "discards the target, id, time and group columns, the problem type, tags and description, so its command line "
        "has to repeat them. It is safer to register the source under a new name and to compare the two"
    )
