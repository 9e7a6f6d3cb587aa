"""What is required, against what is installed: the metadata of distributions, and files of requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.installed.installation import Distribution

INCLUDES_FOLLOWED = 50
_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"(?P<option>-r|-c|--requirement|--constraint)(?:[ =]\s*|(?=\S))(?P<file>.+)")
_OPTION_OF_ONE = re.compile(r"\s--?[a-z].*$", re.DOTALL)


@dataclass(frozen=True)
class Conflict:
    """A requirement that is not met.

    Attributes:
        by: the normalised name of the distribution that requires it.
        name: the normalised name of what it requires.
        needs: the requirement, without its marker.
        installed: the version that is there; None if there is none.
    """

    by: str
    name: str
    needs: str
    installed: str | None


@dataclass(frozen=True)
class Wanted:
    """One line of a file of requirements.

    Attributes:
        name: normalised.
        needs: the requirement, without its marker.
        specifier: the versions it allows.
        file: absolute path.
        line: counted from 1.
        optional: whether it only holds for what is installed anyway, as constraints do.
    """

    name: str
    needs: str
    specifier: str
    file: str
    line: int
    optional: bool = False


@dataclass(frozen=True)
class Unclear:
    """A line of a file of requirements, or a whole file, that was not compared, and why, as a clause.

    Attributes:
        wrong: whether pip cannot use it either.
    """

    reason: str
    file: str
    line: int | None = None
    wrong: bool = True


def conflicts(distributions: Mapping[str, Distribution], environment: Mapping[str, str]) -> Iterator[Conflict]:
    """Every requirement of an installed distribution that is not met, as `pip check` finds them."""
    for by, distribution in distributions.items():
        for requirement in _applying(distribution, environment):
            name = canonicalize_name(requirement.name)
            installed = distributions[name].version if name in distributions else None
            if installed is None or not allows(str(requirement.specifier), installed):
                yield Conflict(by, name, _text(requirement), installed)


def needed_by(name: str, distributions: Mapping[str, Distribution], environment: Mapping[str, str]) -> frozenset[str]:
    """The normalised names of what a distribution needs, directly or not, and its own."""
    found: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += [canonicalize_name(needed.name) for needed in _applying(distributions.get(each), environment)]
    return frozenset(found)


def direct_requirements(distribution: Distribution | None, environment: Mapping[str, str]) -> dict[str, str]:
    """What a distribution itself requires here: normalised name to requirement."""
    return {canonicalize_name(each.name): _text(each) for each in _applying(distribution, environment)}


def allows(specifier: str, version: str) -> bool:
    """Whether a version specifier allows a version; what cannot be compared is let through."""
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def read_requirements(file: Path, environment: Mapping[str, str]) -> tuple[list[Wanted], list[Unclear]]:
    """What a file of requirements, and those it includes, ask for in this environment, and what is unclear in them."""
    wanted: list[Wanted] = []
    unclear: list[Unclear] = []
    seen: set[Path] = set()
    todo = [(file.absolute(), False)]
    while todo:
        path, optional = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        for found in _entries(path, environment, optional=optional):
            if isinstance(found, Wanted):
                wanted.append(found)
            elif isinstance(found, Unclear):
                unclear.append(found)
            elif len(seen) + len(todo) < INCLUDES_FOLLOWED:
                todo.append(found)
    return wanted, unclear


def _entries(
    path: Path, environment: Mapping[str, str], *, optional: bool
) -> Iterator[Wanted | Unclear | tuple[Path, bool]]:
    """What one file holds; a pair is another file to read and whether it only constrains."""
    try:
        text = read_bytes(path)
    except Unreadable as error:
        yield Unclear(error.reason, str(path))
        return
    for number, line in _logical_lines(_decoded(text)):
        if included := _INCLUDE.match(line):
            yield path.parent / included["file"].strip(), optional or included["option"] in {"-c", "--constraint"}
        elif found := _entry(line, path, number, environment, optional=optional):
            yield found


def _entry(
    line: str, path: Path, number: int, environment: Mapping[str, str], *, optional: bool
) -> Wanted | Unclear | None:
    if line.startswith("-"):
        if line.startswith(("-e", "--editable")):
            return Unclear("is installed from a source tree, so its version is open", str(path), number, wrong=False)
        return None  # where from and how to install
    try:
        requirement = Requirement(_OPTION_OF_ONE.sub("", line).strip())
    except InvalidRequirement:
        if "/" in line.partition(";")[0]:
            return Unclear("names a file or an address", str(path), number, wrong=False)
        return Unclear("is no requirement", str(path), number)
    if requirement.marker and not requirement.marker.evaluate({**environment, "extra": ""}):
        return None
    name = canonicalize_name(requirement.name)
    return Wanted(name, _text(requirement), str(requirement.specifier), str(path), number, optional)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines without comments, those that are continued joined, each with the number of its first."""
    start, parts = 1, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if parts else number
        parts.append(_COMMENT.sub("", line.removesuffix("\\")))
        if not line.endswith("\\"):
            if joined := " ".join(parts).strip():
                yield start, joined
            parts = []
    if joined := " ".join(parts).strip():
        yield start, joined


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _applying(distribution: Distribution | None, environment: Mapping[str, str]) -> Iterator[Requirement]:
    for text in distribution.requires if distribution else ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # an old distribution; pip lets it be, too
            continue
        if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""}):
            yield requirement


def _text(requirement: Requirement) -> str:
    """Without the marker, and without an address, which may hold a password."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
