"""Every secret that is known of a home, with the place where it is kept: files, variables, connections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.core.secrets import NAMES, assigned_in, is_password, is_secret, passwords_in, secrets_in
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.servers import connection_of
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.environment import converted
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, YamlDocument

LIBPQ = "PGPASSWORD"
LONG = 8
"""Characters of another program's variable from which it is taken for a secret of ours to keep."""

_FOLDERS = re.compile(r"(?:OLD)?PWD|.*_(?:FILE|PATH|DIR)")
"""Variables that only sound like secrets."""

_FRAME = re.compile(r"-{5}(?:BEGIN|END) [A-Z ]+-{5}")
"""The first and last line of a key, which everybody knows."""

_LINE = re.compile(
    rf"^[\s{{,-]*['\"]?[\w.-]*(?:{NAMES})[\w.-]*['\"]?\s*[:=]\s*(?:[!&]\S*\s+)?(?P<value>\S.*?)[\s,}}]*$",
    re.IGNORECASE | re.MULTILINE,
)


_CONNECTS = re.compile(r"database\.|[^.]+$")


@dataclass(frozen=True)
class Secret:
    """A secret and where it is kept. Never shows its value.

    Attributes:
        place: a file or a variable, as a person knows it.
    """

    value: str = field(repr=False)
    place: str


def secrets_of(
    inventory: Inventory, environ: Mapping[str, str], outer: Mapping[str, str] = os.environ
) -> tuple[Secret, ...]:
    """Every secret of a home, each once.

    Args:
        inventory: what the home holds.
        environ: the variables that MDM reads.
        outer: the environment of this process, which has those of other programs too.
    """
    found: dict[str, str] = {}
    for secret in _all(inventory, environ, outer):
        if secret.value.strip():
            found.setdefault(secret.value, secret.place)
    return tuple(Secret(value, place) for value, place in found.items())


def lines_of(secret: Secret) -> Iterator[Secret]:
    """The lines of a secret that has several, because a log is read line by line; not those that may be anything."""
    lines = [line.strip() for line in secret.value.splitlines()]
    if len(lines) > 1:
        long = (line for line in lines if len(line) >= LONG and not _FRAME.fullmatch(line))
        yield from (Secret(line, secret.place) for line in dict.fromkeys(long) if line != secret.value)


def secrets_in_environment(outer: Mapping[str, str]) -> Iterator[Secret]:
    """The secrets in this process's variables: MDM's and libpq's, and what is named like one and long enough."""
    for name, text in outer.items():
        place = f"the variable {name}"
        if name.startswith("MDM_"):
            yield from (Secret(value, place) for value in _of_variable(name, text))
        elif name == LIBPQ or (is_secret(name) and len(text) >= LONG and not _FOLDERS.fullmatch(name)):
            yield Secret(text, place)
        else:
            yield from (Secret(value, place) for value in passwords_in(text))


def _all(inventory: Inventory, environ: Mapping[str, str], outer: Mapping[str, str]) -> Iterator[Secret]:
    yield from _of_settings(inventory.settings)
    for dataset in inventory.datasets:
        if dataset.registration is not None:
            yield from _of_registration(dataset.registration)
        yield from _of_text(dataset.overlooked)
        yield from _of_connection(dataset, inventory.settings)
    yield from secrets_in_environment({**outer, **environ})
    yield from _of_text([inventory.home.backup / "mdm.yaml"])


def _of_settings(settings: Settings) -> Iterator[Secret]:
    for each in settings.values.values():
        if is_secret(each.key) and each.value is not None and not isinstance(each.value, bool):
            origin = each.origin
            place = f"the variable {origin.name}" if origin.kind == "environment" else origin.name
            yield Secret(str(each.value), place)
    yield from _of_document(settings.document, of_settings=True)


def _of_registration(registration: Registration) -> Iterator[Secret]:
    """Those of all copies, whichever is in force."""
    for document in (registration.document, registration.pointed):
        yield from _of_document(document)
    json_copy = registration.json_copy
    if json_copy is not None:
        yield from (Secret(value, str(json_copy.path)) for value in secrets_in(json_copy.data))
        yield from _of_text([json_copy.path] if json_copy.problem else [])
    yield from (Secret(value, str(registration.file)) for value in secrets_in(registration.data))


def _of_document(document: YamlDocument | None, *, of_settings: bool = False) -> Iterator[Secret]:
    """Those of a YAML file, as meant and as written; of one that cannot be read, whatever looks like one."""
    if document is None:
        return
    values = [*secrets_in(document.data, of_settings=of_settings)]
    written = ((key, raw) for key, raw in document.raw.items() if of_settings or _CONNECTS.match(key))
    values += (raw for key, raw in written if is_password(key) and raw[:1].isdigit())  # such as 0123, which is 83
    yield from (Secret(value, str(document.path)) for value in values)
    yield from _of_text([] if document.usable else [document.path])


def _of_connection(dataset: Dataset, settings: Settings) -> Iterator[Secret]:
    connection = connection_of(dataset, settings)
    if connection is not None and connection.password:
        yield Secret(connection.password, f"the registration of {dataset.name}")


def _of_text(files: Iterable[Path]) -> Iterator[Secret]:
    """What looks like a secret in files that are no YAML or JSON, or that MDM overlooks."""
    for file in files:
        try:
            text = read_bytes(file, SIZE_LIMIT).decode("utf-8", "replace")
        except Unreadable:
            continue
        values = [value for match in _LINE.finditer(text) for value in (match["value"], match["value"].strip("'\""))]
        values += (value for line in text.splitlines() for value in (*passwords_in(line), *assigned_in(line)))
        yield from (Secret(value, str(file)) for value in values)


def _of_variable(name: str, text: str) -> Iterator[str]:
    """The secrets in a variable of MDM's, as it is and as MDM takes it: numbers, and lists at commas."""
    yield from passwords_in(text)
    yield from assigned_in(text)
    if is_secret(name):
        yield text
        taken = converted(text)
        yield from (str(each) for each in (taken if isinstance(taken, list) else [taken]) if type(each) is not bool)
