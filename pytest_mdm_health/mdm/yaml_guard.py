"""Limits on a YAML text, held while its events stream by and before anything is built from them.

A few hundred bytes of YAML can crash the C loader (nesting), take seconds (merges) or stand for millions of values
(aliases), so nothing is composed before the events have been counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 60
"""Levels of nesting; MDM's own files have five, and its loader ends in a RecursionError at a few hundred."""

MAX_NODES = 100_000
"""Keys and values, each alias counted with all that it stands for."""

MAX_PLAIN = 1_000
"""Characters of an unquoted value that is no text: a number or date this long means nothing to MDM."""

_NO_TEXT = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_resolver: Any = yaml.resolver.Resolver()


class LimitExceeded(Exception):
    """A YAML text that must not be built.

    Attributes:
        code: which limit, as in `YamlProblem`.
        message: what is wrong, a sentence without a full stop.
        line: counted from 1.
        column: counted from 1.
    """

    def __init__(self, code: str, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column = code, message, line, column


@dataclass
class _Walk:
    """What has been seen of the stream.

    Attributes:
        total: nodes so far, aliases counted with what they stand for.
        open: of each collection whose end has not come yet, its anchor and the total when it began.
        sizes: nodes below each anchor.
    """

    total: int = 0
    open: list[tuple[str | None, int]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    documents: int = 0


def guard(events: Iterator[yaml.Event]) -> None:
    """Read all events; nothing is kept but counts.

    Raises:
        LimitExceeded: the text is not safe to build.
        yaml.YAMLError: the text is not YAML.
    """
    walk = _Walk()
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            _start_document(walk, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            _open(walk, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            _close(walk)
        elif isinstance(event, yaml.AliasEvent):
            _count(walk, _size_of_alias(walk, event), event)
        elif isinstance(event, yaml.ScalarEvent):
            _scalar(walk, event)


def _start_document(walk: _Walk, event: yaml.Event) -> None:
    walk.documents += 1
    if walk.documents > 1:
        raise _exceeded("multiple-documents", "a second document starts here; MDM takes one only", event)


def _open(walk: _Walk, event: yaml.CollectionStartEvent) -> None:
    if len(walk.open) >= MAX_DEPTH:
        raise _exceeded("too-deep", f"is nested more than {MAX_DEPTH} levels deep", event)
    if event.anchor is not None:
        walk.sizes.pop(event.anchor, None)
    walk.open.append((event.anchor, walk.total))
    _count(walk, 1, event)


def _close(walk: _Walk) -> None:
    anchor, before = walk.open.pop()
    if anchor is not None:
        walk.sizes[anchor] = walk.total - before


def _scalar(walk: _Walk, event: yaml.ScalarEvent) -> None:
    if event.anchor is not None:
        walk.sizes[event.anchor] = 1
    if event.implicit[0]:
        _check_length(event)
    _count(walk, 1, event)


def _check_length(event: yaml.ScalarEvent) -> None:
    if len(event.value) > MAX_PLAIN and _resolver.resolve(yaml.ScalarNode, event.value, (True, False)) in _NO_TEXT:
        raise _exceeded("absurd-value", f"a number of {len(event.value)} characters", event)


def _size_of_alias(walk: _Walk, event: yaml.AliasEvent) -> int:
    if event.anchor in walk.sizes:
        return walk.sizes[event.anchor]
    if any(anchor == event.anchor for anchor, _ in walk.open):
        raise _exceeded("recursive", "a value contains itself through an alias", event)
    return 1  # an alias for nothing, which composing will refuse


def _count(walk: _Walk, nodes: int, event: yaml.Event) -> None:
    walk.total += nodes
    if walk.total <= MAX_NODES:
        return
    if not walk.sizes:
        raise _exceeded("too-many-nodes", f"has more than {MAX_NODES} keys and values", event)
    raise _exceeded("alias-bomb", f"aliases make more than {MAX_NODES} keys and values of it", event)


def _exceeded(code: str, message: str, event: yaml.Event) -> LimitExceeded:
    mark = event.start_mark
    return LimitExceeded(code, message, mark.line + 1, mark.column + 1) if mark else LimitExceeded(code, message)
