"""What is wrong with settings: values that MDM refuses, keys that it does not know, values read unlike written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args, get_origin

from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, SECTIONS, Refused

_SHOWN = 60
_SIMILAR = 0.6
_LARGEST = 2**53
_SWITCH = re.compile("yes|no|on|off", re.IGNORECASE)
_OCTAL = re.compile("[-+]?0[0-7_]+")
_EXPONENT = re.compile(r"[-+]?\d[\d_]*(\.\d*)?[eE]\d+")


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        kind: the default, the file or the environment.
        name: the file or the variable; empty for a default.
        line: in the file, counted from 1.
        column: in the file, counted from 1.
    """

    kind: Literal["default", "file", "environment"]
    name: str = ""
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """Where somebody set it, such as `/home/ml/.mdm/mdm.yaml, line 3`; empty for a default."""
        return f"{self.name}, line {self.line}" if self.line else self.name


@dataclass(frozen=True)
class Value:
    """A setting in force. Its value is not shown, because it may be a password.

    Attributes:
        key: dotted name in the real tree.
        value: as MDM gets it; lists as tuples.
        origin: where it comes from.
        secret: whether it must never be shown.
    """

    key: str
    value: object = field(repr=False)
    origin: Origin
    secret: bool = False


@dataclass(frozen=True)
class SettingsProblem:
    """One thing that is wrong with the settings.

    Attributes:
        code: of a `YamlProblem`, or: not-a-mapping, key-not-text, unknown-key, other-generation, wrong-kind, null,
            wrong-type, out-of-range, not-a-choice, trap.
        key: dotted, as it is written; empty where it is about the whole file.
        message: one clause, what is wrong, without a full stop; shows no secret.
        origin: where.
        suggestion: what to write instead: a key, a value, or an advice; empty if there is none.
        fatal: whether MDM refuses to start with it.
        meant: the value that is written in another form than MDM takes, as a word; empty where that is not sure.
    """

    code: str
    key: str
    message: str
    origin: Origin
    suggestion: str = ""
    fatal: bool = False
    meant: str = ""


def unknown_key(name: str, origin: Origin) -> SettingsProblem:
    """A key of the file that MDM does not know, which it passes over in silence."""
    alias = ALIASES.get(name)
    if alias is None:
        message = f"`{name}` is no setting; MDM ignores it"
        return SettingsProblem("unknown-key", name, message, origin, nearest_key(name))
    if alias.source == "guide":
        message = f"`{name}` is a name that only the guide has; MDM ignores it"
        return SettingsProblem("unknown-key", name, message, origin, alias.key or "")
    message = f"`{name}` is a name from the other configuration system; MDM ignores it"
    return SettingsProblem("other-generation", name, message, origin, alias.key or "")


def nearest_key(name: str) -> str:
    """The key or section that was probably meant; empty if none is near."""
    parent, _, last = name.rpartition(".")
    misplaced = [key for key in BY_NAME if key.rpartition(".")[2] == last]
    closest = [key for key in misplaced if key.startswith(f"{parent}.")] or misplaced
    if len(closest) == 1:
        return closest[0]
    siblings = [key for key in (*BY_NAME, *SECTIONS) if key.rpartition(".")[0] == parent]
    found = difflib.get_close_matches(name, siblings, n=1, cutoff=1 - (1 - _SIMILAR) * len(last) / max(len(name), 1))
    return found[0] if found else (closest[0] if closest else "")


def wrong_section(name: str, value: object, origin: Origin) -> SettingsProblem:
    """A section that holds no mapping."""
    if value is None:
        message = f"the section `{name}` is there and empty, and MDM refuses that"
        return SettingsProblem("null", name, message, origin, "take the line out, or put settings below it", fatal=True)
    message = f"the section `{name}` is {kind_in_words(value)} where MDM takes keys and values"
    inside = sorted(key for key in BY_NAME if key.startswith(f"{name}."))
    return SettingsProblem("wrong-kind", name, message, origin, f"for example {inside[0]}", fatal=True)


def refused(name: str, value: object, why: Refused, origin: Origin, raw: str | None) -> SettingsProblem:
    """A value that MDM refuses.

    Args:
        name: the key.
        value: as MDM has it before it looks at it.
        why: what the model says.
        origin: where the value comes from.
        raw: as written in the file without quotes; None for all else.
    """
    if isinstance(value, Mapping):
        message = f"`{name}` holds further keys where MDM takes {why.wanted}"
        return SettingsProblem("wrong-kind", name, message, origin, fatal=True)
    what = _shown(name, value, raw)
    message = f"`{name}` is {what}; MDM takes {why.wanted}"
    advice = _advice(name, value, origin, raw)
    return SettingsProblem(why.code, name, message, origin, advice, fatal=True, meant=_meant(name, value, raw))


def trap(name: str, value: object, taken: object, origin: Origin, raw: str | None) -> Iterator[SettingsProblem]:
    """A value that MDM takes, as something else than what is written."""
    if isinstance(taken, tuple) or BY_NAME[name].secret:
        return
    if isinstance(value, bool) and BY_NAME[name].type is not bool:
        text = raw if raw is not None else str(value).lower()
        message = f"`{name}` is written as {text}, which counts as {taken}"
        yield SettingsProblem("trap", name, message, origin, "write a number")
    elif raw and isinstance(value, (int, float)) and _reads_unlike(raw, value):
        how = "base 60" if ":" in raw else "octal"
        message = f"`{name}` is written as {raw}, which YAML reads as {how}: {taken}"
        yield SettingsProblem("trap", name, message, origin, "write the number without leading zeros or colons")


def kind_in_words(value: object) -> str:
    """What kind of thing a value is, without showing it."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, bool):
        return "true or false"
    words = {int: "a number", float: "a number", str: "text", list: "a list", tuple: "a list"}
    return words.get(type(value), "a date" if isinstance(value, date) else "something else")


def _reads_unlike(raw: str, value: float) -> bool:
    if ":" in raw:
        return True
    return bool(_OCTAL.fullmatch(raw)) and int(raw.replace("_", "")) != value


def _shown(name: str, value: object, raw: str | None) -> str:
    if BY_NAME[name].secret or value is None or isinstance(value, (list, date)):
        return kind_in_words(value)
    text = (
        str(value).lower() if isinstance(value, bool) else redact(repr(value) if isinstance(value, str) else str(value))
    )
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f"{text} (written as {raw})" if raw and raw != text and not isinstance(value, str) else text


def _advice(name: str, value: object, origin: Origin, raw: str | None) -> str:
    kind = BY_NAME[name].type
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if raw is not None and isinstance(value, bool) and _SWITCH.fullmatch(raw):
        return f'"{raw.upper()}", in quotes' if raw.upper() in choices else f'put {raw} in quotes: "{raw}"'
    if choices and isinstance(value, str):
        return next(iter(_near_choices(value, choices)), "")
    if value is None:
        return "take the line out, or write a value"
    if kind is str or kind == str | None:
        where = "put it in quotes" if origin.kind == "file" else f"write {name} into mdm.yaml, in quotes"
        return where if not isinstance(value, list) else ""
    if raw is not None and isinstance(value, str) and _EXPONENT.fullmatch(raw):
        return f"write {float(raw.replace('_', '')):.0f}; YAML takes the other for text"
    return ""


def _meant(name: str, value: object, raw: str | None) -> str:
    """The value that differs from what is written only in its form: letter case, quotes or the way of a number."""
    kind = BY_NAME[name].type
    if BY_NAME[name].secret or value is None or isinstance(value, (Mapping, list)):
        return ""
    text = value if isinstance(value, str) else raw or ""
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if choice.lower() == text.strip().lower()), "")
    if kind in {str, str | None}:
        return text
    return f"{float(text.replace('_', '')):.0f}" if _EXPONENT.fullmatch(text) and float(text) < _LARGEST else ""


def _near_choices(value: str, choices: tuple[str, ...]) -> list[str]:
    same = [choice for choice in choices if choice.lower() == value.strip().lower()]
    return same or difflib.get_close_matches(value, choices, n=1)
