"""What to do where features have to be made again: in words, because each way to do it can cost data."""

from __future__ import annotations

from pytest_mdm_health.core.model import Remedy

_REGISTERING = (
    "Before that, save the dataset's folder and both copies of its registration: `mdm dataset register --force` "
    "deletes the folder with all that is in it and forgets the target, id, time and group columns, the problem type, "
    "tags and description, so its command line has to repeat them. It is safer to register the source under a new "
    "name and to compare the two."
)


def features_again(dataset: str, source: str, *, regenerates: bool) -> Remedy:
    """Restore the features, or make them again without losing what the dataset has besides.

    Args:
        dataset: its name.
        source: the file or folder that it came from; empty if that is nowhere to be found.
        regenerates: whether the installed MDM has a command that makes features again.
    """
    text = "Restore the feature tables from a backup if one has them as they should be. Otherwise "
    if regenerates:
        return Remedy(
            f"{text}save the dataset's folder and both copies of its registration, make the features again with `mdm "
            f"features regenerate {dataset} --force`, and compare data and registration with what was saved."
        )
    origin = f"from its source, {source}" if source else "from its source, which has to be found first"
    return Remedy(f"{text}make the features again by registering the dataset {origin}. {_REGISTERING}")
