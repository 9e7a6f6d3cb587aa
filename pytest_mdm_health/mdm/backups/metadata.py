"""Whether a registration, the settings or a custom feature in a backup could take the place of the home's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mdm_health.core.text import join_names
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import SETTINGS_FILE, Home
from pytest_mdm_health.mdm.registrations import Registration, read_registration
from pytest_mdm_health.mdm.registrations.json_copy import differences, moment
from pytest_mdm_health.mdm.settings import read_settings
from pytest_mdm_health.mdm.yaml_file import load_yaml


@dataclass(frozen=True)
class MetadataProblem:
    """Why a file of a backup is not what the home has.

    Attributes:
        text: to follow the file's name in a sentence; names fields, and never quotes a value of the settings.
        unusable: whether MDM could make nothing of it, or something else than the home's, however old it is. Otherwise
            a change of the home's since explains it.
    """

    text: str
    unusable: bool


def registration_problem(copy: Path, own: Registration, home: Home, made: float) -> MetadataProblem | None:
    """What is wrong with a copy of a registration.

    Args:
        copy: the file, in a backup or restored from one.
        own: what the home has.
        home: the home.
        made: when the backup was made, in seconds since 1970.

    Raises:
        Unreadable: it cannot be read.
    """
    if _is_same(copy, own.file):
        return None
    saved = read_registration(copy, replace(home, root=copy.parent, datasets=copy.parent))
    document = saved.document
    if document is not None and not document.usable:
        return MetadataProblem(f"is no registration: {document.problems[0].message}", True)
    if saved.shape == "pointer" and document is not None:  # where it leads to is not what is compared here
        changed = own.document is None or document.data != own.document.data
        return MetadataProblem("leads to another place than the home's", False) if changed else None
    if not saved.usable:
        lacking = join_names(saved.missing or [refusal.field for refusal in saved.refused]) or "everything"
        return MetadataProblem(f"registers no dataset: {lacking} cannot be used", True)
    if own.in_force != "yaml":  # then nothing says that it is the copy that is wrong
        return None
    return next(_registration_differences(saved, own, made), None)


def _registration_differences(saved: Registration, own: Registration, made: float) -> Iterator[MetadataProblem]:
    name, registered = saved.data.get("name"), moment(own.data.get("registered_at"))
    if name != own.data.get("name"):
        yield MetadataProblem(f"registers {name!r}, not {own.data.get('name')!r}", True)
    earlier = moment(saved.data.get("registered_at"))
    if registered and earlier and registered != earlier:
        again = registered.timestamp() > made
        yield MetadataProblem(f"is of {earlier:%Y-%m-%d %H:%M}, the home's of {registered:%Y-%m-%d %H:%M}", not again)
    differing = [field for field in differences(own.data, saved.data) if not _same_place(field, own, saved)]
    if differing:
        yield MetadataProblem(f"differs from the home's in {join_names(differing)}", False)


def _same_place(field: str, own: Registration, saved: Registration) -> bool:
    """Whether it is only the folder of the data that differs, as in a home that was moved."""
    ours, theirs = own.registered_path, saved.registered_path
    return field in {"database.path", "path"} and bool(ours and theirs and Path(ours).name == Path(theirs).name)


def file_problem(copy: Path, own: Path) -> MetadataProblem | None:
    """What is wrong with a copy of the settings, of the feature flags or of a custom feature.

    Raises:
        Unreadable: it cannot be read.
    """
    if _is_same(copy, own):
        return None
    if own.suffix == ".py":
        return _module_problem(copy)
    if own.name == SETTINGS_FILE:
        return _settings_problem(copy, own)
    document = load_yaml(copy)
    if not document.usable or not isinstance(document.data, dict):
        reason = document.problems[0].message if document.problems else "is no mapping"
        return MetadataProblem(f"cannot be used: {reason}", True)
    changed = document.data != load_yaml(own).data
    return MetadataProblem("differs from the home's", False) if changed else None


def _settings_problem(copy: Path, own: Path) -> MetadataProblem | None:
    saved, ours = read_settings(copy.parent, {}), read_settings(own.parent, {})
    fatal = [problem.message for problem in saved.problems if problem.fatal]
    if saved.state != "present" or fatal:
        return MetadataProblem(f"cannot be used as settings: {(*fatal, 'there is nothing in it')[0]}", True)
    if ours.state != "present" or not ours.starts:  # likewise
        return None
    differing = [name for name, value in ours.values.items() if saved.values[name].value != value.value]
    if differing:
        return MetadataProblem(f"differs from the home's in {join_names(differing)}", False)
    same = saved.document is not None and ours.document is not None and saved.document.data == ours.document.data
    return None if same else MetadataProblem("differs from the home's", False)


def _module_problem(copy: Path) -> MetadataProblem:
    try:
        ast.parse(read_bytes(copy))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return MetadataProblem("is not valid Python", True)
    return MetadataProblem("differs from the home's", False)


def _is_same(copy: Path, own: Path) -> bool:
    """Whether both have the same bytes.

    Raises:
        Unreadable: the copy cannot be read.
    """
    content = read_bytes(copy)
    try:
        return content == read_bytes(own)
    except Unreadable:
        return False
