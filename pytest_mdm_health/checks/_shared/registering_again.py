"""What is said of registering a dataset again: in words only, because MDM gives up too much for it to be pasted."""

from __future__ import annotations


def under_a_new_name(source: str = "") -> str:
    """How a dataset is made from its source once more without losing what there is; to follow a subject, no stop.

    MDM refuses a name that is taken; told to overwrite, it first removes the folder of the dataset, and keeps nothing
    of the old registration.
    """
    origin = f" from {source}" if source else " from its source"
    return (
        f"register it{origin} under a new name, naming the target, the identifiers, the problem type and the time and "
        "group columns as they are registered now, and compare the two before the new one is used (--force under the "
        "old name would first remove the folder of the dataset and all that its registration says)"
    )
