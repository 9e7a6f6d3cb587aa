"""What each `MDM_*` variable does to MDM's settings, and what the ones that do nothing were meant to do.

MDM lower-cases the name after `MDM_`, splits it at every `_`, joins ten groups of words again, and puts the value at
that path of the settings. So a variable for a key of several words that is not among the ten makes a key that nothing
reads, and one that names a whole section replaces it. 0.1.0 joins the ten only where they belong, 1.0.6 anywhere; for
the keys there are, that comes to the same.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME

PREFIX = "MDM_"
NO_SETTINGS = frozenset({"MDM_HOME_DIR"})
"""Variables that MDM reads for something else."""

FLAGS = (
    "use_new_backend",
    "use_new_registrar",
    "use_new_features",
    "enable_compatibility_warnings",
    "enable_performance_tracking",
    "enable_comparison_tests",
    "enable_memory_profiling",
    "auto_fallback",
    "rollout_percentage",
)
"""The switches of 0.2.0, each also a variable `MDM_FEATURE_<SWITCH>`."""

FLAG_PREFIX = "MDM_FEATURE_"
_FLAG_VARIABLES = frozenset(f"{FLAG_PREFIX}{flag.upper()}" for flag in FLAGS)
_JOINED = (
    ("feature", "engineering"),
    ("default", "backend"),
    ("batch", "size"),
    ("connection", "timeout"),
    ("show", "progress"),
    ("datasets", "path"),
    ("configs", "path"),
    ("logs", "path"),
    ("custom", "features", "path"),
    ("n", "bins"),
)
_SIMILAR = 0.8

Path = tuple[str, ...]


@dataclass(frozen=True)
class Landing:
    """Where the value of one variable ended up.

    Attributes:
        variable: its name.
        path: the place in the settings; need not be one that MDM knows.
        value: as MDM converts it.
    """

    variable: str
    path: Path
    value: object = field(repr=False)

    @property
    def name(self) -> str:
        """The place, dotted."""
        return ".".join(self.path)


@dataclass(frozen=True)
class IgnoredVariable:
    """A variable that sets nothing.

    Attributes:
        name: of the variable.
        key: the setting that it was probably meant for.
        instead: the variable that does set this key; None if none can, and the key belongs into `mdm.yaml`.
        exact: false if the key is only the one with the most similar name.
        known: whether another MDM or the guide has this variable.
    """

    name: str
    key: str | None
    instead: str | None
    exact: bool
    known: bool


def path_of(variable: str) -> Path:
    """The path in the settings that this variable names, as 1.0.6 reads it."""
    parts = variable.removeprefix(PREFIX).lower().split("_")
    for words in _JOINED:
        at = 0
        while at <= len(parts) - len(words):
            if tuple(parts[at : at + len(words)]) == words:
                parts[at : at + len(words)] = ["_".join(words)]
            at += 1
    return tuple(parts)


def variable_for(key: str) -> str | None:
    """The variable that sets this key; None if no variable can."""
    candidate = PREFIX + key.replace(".", "_").upper()
    return candidate if path_of(candidate) == tuple(key.split(".")) else None


def apply_variables(tree: dict[Any, Any], environ: Mapping[str, str]) -> list[Landing]:
    """Put the variables into the settings, in the environment's order, exactly as MDM does.

    Args:
        tree: the settings so far; changed in place.
        environ: the environment.
    """
    names = [name for name in environ if name.startswith(PREFIX)]
    return [_put(tree, name, path_of(name), converted(environ[name])) for name in names]


def _put(tree: dict[Any, Any], variable: str, path: Path, value: object) -> Landing:
    current, reached = tree, list[str]()
    for part in path[:-1]:
        if not isinstance(current.setdefault(part, {}), dict):
            break  # a plain value is in the way; MDM then writes beside it
        current = current[part]
        reached.append(part)
    current[path[-1]] = value
    return Landing(variable, (*reached, path[-1]), value)


def converted(text: str) -> object:
    """The value that MDM makes of a variable's text: true or false, a list at commas, a number, or text."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if "," in text:
        return [_number_or_text(item.strip()) for item in text.split(",")]
    return _number_or_text(text)


def _number_or_text(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def sets_a_flag(variable: str) -> bool:
    """Whether this is a variable for one of the switches of 0.2.0."""
    return variable in _FLAG_VARIABLES


def explain(variable: str) -> IgnoredVariable:
    """What a variable that sets nothing was meant for, and what would do that."""
    meant = _normal(variable)
    names = _meanings()
    exact = meant in names
    near = [meant] if exact else difflib.get_close_matches(meant, names, n=1, cutoff=_SIMILAR)
    key = names[near[0]] if near else None
    return IgnoredVariable(variable, key, variable_for(key) if key else None, exact, known=exact)


@functools.cache
def _meanings() -> dict[str, str | None]:
    aliases = {_normal(name.replace(".", "_")): alias.key for name, alias in ALIASES.items()}
    return aliases | {_normal(name.replace(".", "_")): name for name in BY_NAME}


def _normal(name: str) -> str:
    words = name.removeprefix(PREFIX).lower().split("_")
    return "_".join(word for word in words if word)
