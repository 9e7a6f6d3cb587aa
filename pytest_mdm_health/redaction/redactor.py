"""Secrets are taken out of a result before anything shows it: by value, by key name, and by what looks like one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mdm_health.core.model import Check, Finding, Remedy, Result, Target
from pytest_mdm_health.core.secrets import HIDDEN, SecretMask, is_secret, redact
from pytest_mdm_health.redaction.encodings import as_word, forms, is_word, pattern
from pytest_mdm_health.redaction.fragments import Fragments, IsPublic, most_of
from pytest_mdm_health.redaction.known import Secret, lines_of, secrets_in_environment, secrets_of
from pytest_mdm_health.redaction.scan import Leaks
from pytest_mdm_health.redaction.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    from pytest_mdm_health.mdm.inventory import Inventory

T = TypeVar("T")
_IDENTITY = {(Finding, "code"), (Result, "blocked_by")}
_CONNECTING = {"host", "port"}
"""Keys beside which a key that is named like a secret is one, and not the name of a column."""

_REMEMBERED = 50_000
"""Texts whose clean form is kept, because most are in more than one result."""

_LONGEST_REMEMBERED = 2_000


class Redactor:
    """Takes known secrets, and what looks like one, out of texts.

    Attributes:
        leaks: finds the same secrets in what was made of such texts all the same.
        for_child: masks the known ones in another process, before what looks like a secret is masked there.
    """

    def __init__(
        self,
        secrets: Iterable[Secret | str],
        is_public: IsPublic = lambda _: False,
        is_public_part: IsPublic = lambda _: False,
        *,
        foreign: bool = False,
    ) -> None:
        """Know these secrets.

        Args:
            secrets: those to take out.
            is_public: whether a text may be shown whatever a secret is.
            is_public_part: whether a fragment of a secret is.
            foreign: whether other programs wrote the texts; in them such a text may be a secret as a whole word.
        """
        given = [each if isinstance(each, Secret) else Secret(each, "one that is known") for each in secrets]
        known = [part for each in given for part in (each, *lines_of(each))]
        every = {each: {form for form in forms(each.value) if form} for each in known if each.value}
        shown = {each: {form for form in found if not is_public(form)} for each, found in every.items()}
        as_words = {form for found in shown.values() for form in found if is_word(form)}
        if foreign:
            as_words |= {each.value for each in known if each.value.strip("* ") and is_public(each.value)}
        anywhere = {form for found in shown.values() for form in found} - as_words
        parts = [pattern(anywhere), *(as_word(text) for text in sorted(as_words, key=len, reverse=True))]
        parts = [part for part in parts if part]
        self._known = re.compile("|".join(parts)) if parts else None
        most = {each: most_of(each.value, is_public_part) if found else frozenset() for each, found in shown.items()}
        wholes = (form for found in shown.values() for form in found)
        self._fragments = Fragments(wholes, (form for found in most.values() for form in found), is_public_part)
        self._remembered: dict[str, str] = {}
        self.leaks = Leaks({each: most[each].union(found) for each, found in shown.items()})
        self.for_child = SecretMask(self._known)

    def text(self, text: str) -> str:
        """The text without secrets."""
        clean = self._remembered.get(text)
        if clean is None:
            hide = self._fragments.hide
            clean = self.leaks.mask(hide(redact(hide(self.known(text)))))
            if len(self._remembered) < _REMEMBERED and len(text) < _LONGEST_REMEMBERED:
                self._remembered[text] = clean
        return clean

    def known(self, text: str) -> str:
        """The text without the secrets that are known; what only looks like one stays."""
        return text if self._known is None else self._known.sub(HIDDEN, text)

    def everywhere(self, value: T) -> T:
        """The value (plain data or a dataclass of it) with every text in it cleaned, shared where nothing changes.

        What a result is about stays as it is: a password may well be `postgres`.
        """
        cleaned: T = _mapped(value, self)
        return cleaned

    def remedy(self, remedy: Remedy) -> Remedy:
        """What to do, without secrets: a command that would have to be masked is left out, because it would do harm."""
        commands = tuple(command for command in remedy.commands if self.text(command) == command)
        left_out = " A command is left out here, because it would show a secret." if commands != remedy.commands else ""
        repairs = tuple(repair for repair in remedy.repairs if repair.command in commands)
        return Remedy(self.text(remedy.text) + left_out, commands, repairs)


def redactor_for(
    inventory: Inventory, environ: Mapping[str, str], outer: Mapping[str, str] = os.environ, *, foreign: bool = False
) -> Redactor:
    """The redactor that knows every secret of a home: settings, registrations, variables.

    Args:
        inventory: what the home holds.
        environ: the variables that MDM reads.
        outer: the environment of this process.
        foreign: whether it is for texts that others wrote, such as a log.
    """
    words = vocabulary_of(inventory)
    return Redactor(secrets_of(inventory, environ, outer), words.__contains__, words.contains_part, foreign=foreign)


def redactor_without_home(outer: Mapping[str, str] = os.environ) -> Redactor:
    """The redactor for what is said before it is known what the home holds."""
    words = Vocabulary((), ())
    return Redactor(secrets_in_environment(outer), words.__contains__, words.contains_part)


def _mapped(value: Any, clean: Redactor) -> Any:  # noqa: ANN401 - any plain data
    if type(value) is str:
        return clean.text(value)
    if isinstance(value, Remedy):
        return clean.remedy(value)
    if isinstance(value, Mapping):
        hidden = {name for name in value if is_secret(str(name))} if value.keys() >= _CONNECTING else ()
        return {_mapped(name, clean): _hidden(each, clean, name in hidden) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(each, clean) for each in value)
    if is_dataclass(value) and not isinstance(value, (type, Check, Target)):
        return _mapped_fields(value, clean)
    return value


def _hidden(value: Any, clean: Redactor, is_hidden: bool) -> Any:  # noqa: ANN401 - any plain data
    return HIDDEN if is_hidden and isinstance(value, str) and value else _mapped(value, clean)


def _mapped_fields(value: Any, clean: Redactor) -> Any:  # noqa: ANN401 - any dataclass of plain data
    changed = {}
    for field in fields(value):
        if field.init and (type(value), field.name) not in _IDENTITY:
            old = getattr(value, field.name)
            new = _mapped(old, clean)
            if new != old:
                changed[field.name] = new
    return replace(value, **changed) if changed else value
