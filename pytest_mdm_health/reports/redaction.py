"""Secrets are taken out of a result before anything shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

from pytest_mdm_health.mdm.engines import ENGINES
from pytest_mdm_health.mdm.secrets import HIDDEN, is_secret, redact, secrets_in
from pytest_mdm_health.mdm.servers import connection_of
from pytest_mdm_health.model import Check, Finding, Remedy, Result, Target

if TYPE_CHECKING:
    from pytest_mdm_health.mdm.inventory import Inventory
    from pytest_mdm_health.mdm.registrations import Registration

T = TypeVar("T")
_IDENTITY = {(Finding, "code"), (Result, "blocked_by")}
_SHORT = 4
"""Characters of a secret below which it is taken for one only as a word of its own."""


class Redactor:
    """Takes known secrets, and what looks like one, out of texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        variants = {
            variant for secret in secrets if secret for variant in (secret, quote(secret, safe=""), unquote(secret))
        }
        alternatives = "|".join(_pattern(variant) for variant in sorted(variants, key=len, reverse=True))
        self._known = re.compile(alternatives) if alternatives else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return redact(text if self._known is None else self._known.sub(HIDDEN, text))

    def everywhere(self, value: T) -> T:
        """The value (plain data or a dataclass of it) with every text in it cleaned, shared where nothing changes.

        What a result is about stays as it is: somebody's password may well be `postgres`.
        """
        cleaned: T = _mapped(value, self)
        return cleaned

    def remedy(self, remedy: Remedy) -> Remedy:
        """What to do, without secrets: a command that would have to be masked is left out, because it would do harm."""
        commands = tuple(command for command in remedy.commands if self.text(command) == command)
        left_out = " A command is left out here, because it would show a secret." if commands != remedy.commands else ""
        return Remedy(self.text(remedy.text) + left_out, commands)


def redactor_for(inventory: Inventory, environ: Mapping[str, str]) -> Redactor:
    """The redactor that knows every secret of a home: settings, registrations, variables."""
    secrets = {*_secrets(inventory), *(value for name, value in environ.items() if is_secret(name))}
    return Redactor(secrets - set(_public(inventory)))


def _secrets(inventory: Inventory) -> Iterable[str]:
    for value in inventory.settings.values.values():
        if is_secret(value.key) and isinstance(value.value, str):
            yield value.value
    for dataset in inventory.datasets:
        if dataset.registration is not None:
            yield from _secrets_of(dataset.registration)
        connection = connection_of(dataset, inventory.settings)
        if connection is not None and connection.password:
            yield connection.password


def _public(inventory: Inventory) -> Iterable[str]:
    """Names that have to be told, even where somebody took one of them for a password."""
    settings = inventory.settings
    yield from ("mdm", "pytest", *ENGINES, *(part.strip(".") for part in inventory.home.root.parts))
    yield from (dataset.name for dataset in inventory.datasets)
    yield from (str(settings[f"database.postgresql.{key}"]) for key in ("user", "host"))
    for dataset in inventory.datasets:
        connection = connection_of(dataset, settings)
        if connection is not None:
            yield from (connection.user or "", connection.host, connection.database)


def _secrets_of(registration: Registration) -> Iterable[str]:
    """Those of all copies, whichever is in force."""
    documents = (registration.document, registration.pointed, registration.twin)
    for data in (registration.data, *(document.data for document in documents if document is not None)):
        yield from secrets_in(data)


def _pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"


def _mapped(value: Any, clean: Redactor) -> Any:  # noqa: ANN401 - any plain data
    if type(value) is str:
        return clean.text(value)
    if isinstance(value, Remedy):
        return clean.remedy(value)
    if isinstance(value, Mapping):
        return {name: _mapped(each, clean) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(each, clean) for each in value)
    if is_dataclass(value) and not isinstance(value, (type, Check, Target)):
        return _mapped_fields(value, clean)
    return value


def _mapped_fields(value: Any, clean: Redactor) -> Any:  # noqa: ANN401 - any dataclass of plain data
    changed = {}
    for field in fields(value):
        if (type(value), field.name) not in _IDENTITY:
            old = getattr(value, field.name)
            new = _mapped(old, clean)
            if new != old:
                changed[field.name] = new
    return replace(value, **changed) if changed else value
