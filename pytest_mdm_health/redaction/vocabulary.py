"""What is in every report and cannot be distinguished from a secret that is the same: the product's own words."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import resources

from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import connection_of
from pytest_mdm_health.redaction.encodings import as_word, is_word

_SEEMING = re.compile(r"[*\s]*")
_NAMING = ("name", "display_name", "target_column", "id_columns", "time_column", "group_column")


class Vocabulary:
    """Texts that may be shown whatever a secret is.

    Attributes:
        names: those that only count as a whole, such as the name of a table.
        texts: those of which every part counts, such as a path.
    """

    def __init__(self, names: Iterable[str], texts: Iterable[str]) -> None:
        self._names = frozenset(names)
        kept = tuple(texts)
        self._texts = "\n".join(kept)
        self._paths = tuple(text for text in kept if os.sep in text)

    def __contains__(self, text: str) -> bool:
        if text in self._names or _SEEMING.fullmatch(text) is not None:
            return True
        if is_word(text):
            return re.search(as_word(text), f"{self._texts}\n{_own_words()}") is not None
        return text in self._texts or text in _own_words()

    def contains_part(self, part: str) -> bool:
        """Whether a part of a secret is also part of a name, or the beginning of a path that every report has."""
        return part in self or any(part in name for name in self._names) or part.startswith(self._paths)


def vocabulary_of(inventory: Inventory) -> Vocabulary:
    """The vocabulary of a report on this home: names of what it is about, the machine, and the product's own words."""
    machine = (platform.platform(), platform.node(), platform.python_version(), sys.executable, sys.prefix)
    return Vocabulary(_names(inventory), (str(inventory.home.root), *machine))


def _names(inventory: Inventory) -> Iterator[str]:
    settings = inventory.settings
    yield HIDDEN
    yield from (str(settings[f"database.postgresql.{key}"]) for key in ("user", "host", "port"))
    for dataset in inventory.datasets:
        yield dataset.name
        connection = connection_of(dataset, settings)
        if connection is not None:
            yield from (connection.user or "", connection.host, connection.database, str(connection.port))
            yield connection.server
        if dataset.registration is not None:
            yield from (*dataset.registration.tables.values(), *dataset.registration.feature_tables.values())
            yield from _texts([dataset.registration.data.get(key) for key in _NAMING])


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)


@functools.cache
def _own_words() -> str:
    """The words of this product and of what pytest writes reports with, as `scripts/vocabulary.py` lists them."""
    return (resources.files("pytest_mdm_health.redaction") / "words.txt").read_text(encoding="utf-8")
