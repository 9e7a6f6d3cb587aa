"""What the installed MDM says about its settings, under the names that we use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings.schema import BY_NAME, flat_name


@dataclass(frozen=True)
class Told:
    """A setting as the installed MDM has it.

    Attributes:
        name: what it calls the setting.
        value: lists as tuples.
    """

    name: str
    value: object


def told_by(installation: Installation | None) -> Mapping[str, Told]:
    """What MDM says is in force, by the name in the nested tree; without secrets, and empty if it did not say."""
    values = installation.settings.values if installation is not None else None
    by_its_names = dict(_flattened(values or {}))
    told = {}
    for key in BY_NAME.values():
        name = next((each for each in (key.name, flat_name(key.name)) if each in by_its_names), None)
        if name is not None and not key.secret:
            told[key.name] = Told(name, by_its_names[name])
    return told


def _flattened(values: Mapping[str, JSON], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", tuple(value) if isinstance(value, list) else value
