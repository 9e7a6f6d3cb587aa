"""The settings that are meant to have changed, and whether they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mdm_health.checks.config_not_loading.meaning import meaning
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.secrets import HIDDEN, redact
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.runtime import Told
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, Refused, accepted

BACKEND = "database.default_backend"


@dataclass(frozen=True)
class Planned:
    """A setting that is meant to have a certain value.

    Attributes:
        key: dotted, in the nested tree; as in the plan if there is no such setting.
        value: as text, secrets hidden.
        done: whether it has that value.
        wrong: why it can have none; empty if it can.
        implied: whether the plan does not name it, and something else in it takes it.
    """

    key: str
    value: str
    done: bool
    wrong: str = ""
    implied: bool = False


def planned(expected: Expected, settings: Settings, told: Mapping[str, Told]) -> Iterator[Planned]:
    """What is planned for the settings, by the file first, then what datasets on another backend take."""
    for name, value in expected.settings.items():
        alias = ALIASES.get(name)
        yield _planned(alias.key if alias is not None and alias.key else name, value, settings, told)
    backends = {each.backend for each in expected.datasets.values() if each.backend}
    if BACKEND not in expected.settings and settings[BACKEND] in backends:
        yield Planned(BACKEND, str(settings[BACKEND]), done=True, implied=True)


def _planned(key: str, value: object, settings: Settings, told: Mapping[str, Told]) -> Planned:
    if key not in BY_NAME:
        return Planned(key, redact(f"{key}: {value}").removeprefix(f"{key}: "), done=False, wrong="MDM has none")
    wanted = accepted(key, value)
    shown = HIDDEN if BY_NAME[key].secret else shown_value(value)
    if isinstance(wanted, Refused):
        return Planned(key, shown, done=False, wrong=f"MDM takes {wanted.wanted}")
    now = told[key].value if key in told else settings[key]
    root = str(settings.file.parent)
    return Planned(key, shown, done=meaning(root, key, now) == meaning(root, key, wanted))


def shown_value(value: object) -> str:
    """A value as a person is shown it, lists with commas."""
    return redact(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
