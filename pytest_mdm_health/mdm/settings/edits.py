"""One key of `mdm.yaml` set, moved or removed, as text: comments, order, quotes and line ends stay.

Nothing here writes a file: a check finds out whether it can be done, and `mdm-health set-setting` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pytest_mdm_health.mdm.edits import CannotEdit, is_same, value_at
from pytest_mdm_health.mdm.edits.yaml_text import with_value, without
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.settings.problems import nearest_key
from pytest_mdm_health.mdm.settings.schema import BY_NAME, Refused, accepted
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, parse_yaml


def value_of(key: str, text: str) -> object:
    """The value that a text means, in the type that the setting has.

    Raises:
        CannotEdit: MDM has no such setting, or does not take the value.
    """
    if key not in BY_NAME:
        similar = nearest_key(key)
        raise CannotEdit(f"takes no `{key}`, which is no setting{f'; the nearest is `{similar}`' if similar else ''}")
    taken: object = accepted(key, text)
    if isinstance(taken, Refused):
        taken = accepted(key, _parsed(text))
    if isinstance(taken, Refused):
        raise CannotEdit(f"takes {taken.wanted} as `{key}`")
    return list(taken) if isinstance(taken, tuple) else taken


def moved(content: bytes, old: str, new: str) -> bytes:
    """The text in which a key has another name; its value stays.

    Raises:
        CannotEdit: the key is not there, the other is, or MDM does not take the value under that name.
    """
    data = parse_yaml(content, Path("mdm.yaml")).data
    found, value = value_at(data, old.split("."))
    if not found or value_at(data, new.split("."))[0]:
        raise CannotEdit(f"does not have `{old}` alone, to be moved to `{new}`")
    taken = accepted(new, value) if new in BY_NAME else Refused("wrong-type", "no such setting")
    if isinstance(taken, Refused) or not is_same(list(taken) if isinstance(taken, tuple) else taken, value):
        raise CannotEdit(f"has a value under `{old}` that MDM does not take as `{new}`")
    return with_value(without(content, old.split(".")), new.split("."), value)


def removed(content: bytes, key: str) -> bytes:
    """The text without a key.

    Raises:
        CannotEdit: the key is not there, or something else would go with it.
    """
    return without(content, key.split("."))


def can_be_moved(file: Path, old: str, new: str) -> bool:
    """Whether a key of this file can get another name."""
    try:
        moved(read_bytes(file, SIZE_LIMIT), old, new)
    except (CannotEdit, Unreadable):
        return False
    return True


def can_be_removed(file: Path, key: str) -> bool:
    """Whether a key of this file can be removed alone."""
    try:
        removed(read_bytes(file, SIZE_LIMIT), key)
    except (CannotEdit, Unreadable):
        return False
    return True


def can_be_set(file: Path, key: str, text: str) -> bool:
    """Whether a key of this file can get the value that a text means."""
    try:
        with_value(read_bytes(file, SIZE_LIMIT), key.split("."), value_of(key, text))
    except (CannotEdit, Unreadable):
        return False
    return True


def as_word(value: object) -> str:
    """A value as a word on a command line, which `value_of` takes for the same."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(text: str) -> object:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str) and "," in value:
        return [_parsed(item.strip()) for item in value.split(",")]
    return value
