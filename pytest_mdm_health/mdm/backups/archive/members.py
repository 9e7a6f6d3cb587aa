"""What an archive says it holds, noted down without believing it: its names could be chosen by anybody."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from pytest_mdm_health.core.pace import Step
from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.core.text import shortened

MemberKind = Literal["file", "folder", "link", "hard link", "FIFO", "device", "other"]
Form = Literal["tar", "tar.gz", "zip", "tar.bz2", "tar.xz", "tar.zst"]
ProblemCode = Literal[
    "unknown-format",
    "unknown-form",
    "encrypted",
    "truncated",
    "damaged",
    "escape",
    "link-out",
    "bomb",
]
CHUNK = 1024 * 1024
"""Bytes that are read at a time."""

PROBLEMS = 50
"""How many problems of one archive are noted."""

CLOSED: frozenset[ProblemCode] = frozenset({"encrypted", "unknown-form"})
"""Problems that leave it open what an archive, or a member of it, holds."""

BROKEN: frozenset[ProblemCode] = frozenset({"unknown-format", "truncated", "damaged", "escape", "bomb"})
"""Problems with which an archive would not restore, or would do harm."""

HARMFUL: frozenset[ProblemCode] = frozenset({"escape", "bomb"})
"""Problems for which it must not be unpacked."""

_LONGEST_NAME = 4096
_DRIVE = re.compile(r"[a-zA-Z]:")


@dataclass(frozen=True)
class Limits:
    """Where reading stops, because no home looks like that.

    Attributes:
        members: how many an archive may have.
        ratio: how many times its own size an archive may unpack to...
        unpacked: ...once that is more than so many bytes.
    """

    members: int = 200_000
    ratio: int = 200
    unpacked: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Member:
    """Something in an archive or in a folder.

    Attributes:
        name: its path below the archive's root, without `.` and doubled slashes.
        kind: what it is.
        size: bytes of its content.
        modified: when it was last changed, in seconds since 1970; None where the format does not say it.
        target: where a link leads, as written.
        written: its path as it stands in the archive, by which programs know it.
        identity: device and inode of a file in a folder that has further names (hard links).
        mode: the permission bits; None where the format does not say them.
    """

    name: str
    kind: MemberKind
    size: int = 0
    modified: float | None = None
    target: str = ""
    written: str = field(default="", compare=False)
    identity: tuple[int, int] | None = field(default=None, compare=False)
    mode: int | None = field(default=None, compare=False)


Entry = tuple[Member, Iterator[bytes] | None]
"""A member as its archive has it, and its content in pieces; None if it has none that is read."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong with an archive.

    Attributes:
        code: one word.
        message: for a person, to follow the archive's name in a sentence.
        member: which member it is about, as it can be printed; empty if none in particular.
    """

    code: ProblemCode
    message: str
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading an archive brought.

    Attributes:
        form: what it is by its first bytes; None if it is no archive.
        members: by their names.
        unpacked: bytes that came out.
        problems: what is wrong with it.
        listed: whether all members are known.
        complete: whether every byte of it was read, and so its check sums hold.
        gaps: what could not be read, each with its reason, to follow the archive's name in a sentence.
    """

    form: Form | None
    members: dict[str, Member]
    unpacked: int = 0
    problems: tuple[Problem, ...] = ()
    listed: bool = False
    complete: bool = False
    gaps: tuple[str, ...] = ()


class Stopped(Exception):
    """Reading was given up; the text says why.

    Attributes:
        problem: set if the archive is to blame.
    """

    def __init__(self, why: str, problem: Problem | None = None) -> None:
        super().__init__(why)
        self.problem = problem


class Ledger:
    """What was found in one archive so far.

    Attributes:
        members: by their names.
        problems: at most `PROBLEMS` of them.
        unpacked: bytes that came out.
        ended: whether the end of the list of members was seen.
        closed: whether something in it is encrypted or of a form that is not read here.
        name: the archive, for a person.
        size: how many bytes there are to come to.
        position: how many of them were read; None where nothing is.
    """

    def __init__(self, size: int, until: float, limits: Limits, name: str = "") -> None:
        """Start with nothing found.

        Args:
            size: bytes of the archive.
            until: when to stop, by the clock of the session.
            limits: where to stop.
            name: of the archive.
        """
        self.name, self.size = name, size
        self.position: Callable[[], int] | None = None
        self.members: dict[str, Member] = {}
        self.problems: list[Problem] = []
        self.unpacked = 0
        self.ended = self.closed = False
        self._until, self._limits = until, limits
        self._most = max(limits.unpacked, limits.ratio * size)
        self._seen = 0
        self._links_out: set[str] = set()

    def add(self, member: Member) -> Member | None:
        """Note a member down, which has the name that is written in the archive.

        Returns:
            The member with its proper name; None if that lies outside or is the root itself.

        Raises:
            Stopped: there are too many.
        """
        self._seen += 1
        if self._seen > self._limits.members:
            raise self._bomb(f"has more than {self._limits.members} members")
        written = member.name
        name = inside(written) if len(written) <= _LONGEST_NAME else None
        if name is None:
            self.note("escape", "has a name that leads out of the folder it is unpacked in", written)
            return None
        if not name:
            return None
        member = replace(member, name=name, written=written)
        self._judge(member)
        self.members[name] = member
        return member

    def spend(self, count: int) -> None:
        """Count bytes that came out of the archive.

        Raises:
            Stopped: they are too many, or the time is up.
        """
        self.unpacked += count
        if self.unpacked > self._most:
            raise self._bomb(f"unpacks to more than {self._most} bytes, out of all proportion to its size")
        self.check_time()

    def check_time(self) -> None:
        """Say how far it came, and stop when the time is up.

        Raises:
            Stopped: it is.
        """
        if self.position is not None:
            progress(self.name, self.position(), self.size)
        if clock() > self._until:
            raise Stopped("the time was up")

    @property
    def far(self) -> str:
        """How far it came, to follow a reason; empty if that is not known."""
        return "" if self.position is None else f" after {Step(self.name, self.position(), self.size).far}"

    def note(self, code: ProblemCode, message: str, member: str = "") -> None:
        """Note a problem down."""
        self.closed = self.closed or code in CLOSED
        if len(self.problems) < PROBLEMS:
            self.problems.append(Problem(code=code, message=message, member=shortened(member)))

    def reading(self, form: Form | None, *gaps: str, listed: bool = False, complete: bool = False) -> Reading:
        """What was found; see `Reading`."""
        return Reading(
            form=form,
            members=self.members,
            unpacked=self.unpacked,
            problems=tuple(self._conclusions()),
            listed=listed,
            complete=complete,
            gaps=gaps,
        )

    def _conclusions(self) -> Iterator[Problem]:
        """The problems, but for links that lead to what the archive has itself, under its place on that machine."""
        there = {path for name in self.members for path in (name, *_folders(name))} if self._links_out else set()
        inside = {shortened(name) for name in self._links_out if self.members[name].target.strip("/") in there}
        yield from (problem for problem in self.problems if problem.code != "link-out" or problem.member not in inside)

    def _judge(self, member: Member) -> None:
        name = member.name
        if self._links_out and (link := self._link_above(name)):
            self.note("escape", f"would be written through the link {shortened(link)}, which leads out", name)
        if member.kind == "hard link":
            self._judge_hard_link(member)
        elif member.kind == "link" and not leads_inside(name, member.target):
            self._links_out.add(name)
            self.note("link-out", f"is a link to {shortened(member.target)}, and what is there is not in it", name)

    def _judge_hard_link(self, member: Member) -> None:
        target = inside(member.target)
        if target is None:
            self.note("escape", f"is a hard link to {shortened(member.target)}, outside", member.name)
        elif target not in self.members:
            self.note("damaged", f"is a hard link to {shortened(member.target)}, which is not in it", member.name)

    def _link_above(self, name: str) -> str:
        return next((above for above in _folders(name) if above in self._links_out), "")

    def _bomb(self, message: str) -> Stopped:
        return Stopped(message, Problem(code="bomb", message=message))


def inside(name: str) -> str | None:
    """A name as a path below the root, empty for the root itself; None if it leads out or is no path."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or _DRIVE.match(name):
        return None
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _folders(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def leads_inside(name: str, target: str) -> bool:
    """Whether a symbolic link of this name, followed as it is written, stays below the root."""
    if not target or target.startswith("/"):
        return False
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return reached != ".." and not reached.startswith("../")
