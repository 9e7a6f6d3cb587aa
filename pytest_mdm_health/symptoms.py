"""From what a person sees to the issue of the guide that explains it: error messages first, then words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mdm_health.guide import AREAS, SYMPTOMS


@dataclass(frozen=True)
class KnownError:
    """An error message of the guide's table (8.3) or one that means the same.

    Attributes:
        name: the message as the guide's table has it.
        pattern: a regular expression that finds it in a text, ignoring case.
        cause: what is likely behind it.
        fix: what to do first.
        issue: the guide's issue that explains it.
        finding: the finding of `logged-errors` that reports it.
    """

    name: str
    pattern: str
    cause: str
    fix: str
    issue: str
    finding: str

    def is_in(self, text: str) -> bool:
        """Whether the text has this message."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


KNOWN_ERRORS = (
    KnownError(
        "QueuePool limit exceeded",
        r"QueuePool limit|too many (?:connections|clients)|remaining connection slots",
        "the connection pool, or the server's connections, are used up",
        "a larger pool: `database.sqlalchemy.pool_size`",
        "3.1",
        "pool-limit",
    ),
    KnownError(
        "database is locked",
        r"database (?:table )?is locked",
        "several processes or threads write to one SQLite file",
        "switch the file to WAL: PRAGMA journal_mode=WAL",
        "3.2",
        "database-locked",
    ),
    KnownError(
        "OperationalError: no such table",
        r"no such table|relation \S+ does not exist|Table with name \S+ does not exist",
        "the migration of this dataset is not complete",
        "run the migration of the dataset again",
        "5.1",
        "no-such-table",
    ),
    KnownError(
        "KeyError: 'backend'",
        r"KeyError: ['\"](?:backend|path|name|created_at|version|database|tables)['\"]",
        "the registration of a dataset is damaged",
        "rebuild the registration",
        "7.2",
        "metadata-key",
    ),
    KnownError(
        "MemoryError",
        r"\bMemoryError\b|Out of Memory Error|out of memory|Cannot allocate memory",
        "the batches are too large for the memory there is",
        "a smaller `performance.batch_size`",
        "4.2",
        "out-of-memory",
    ),
    KnownError(
        "TimeoutError: Operation timed out",
        r"TimeoutError(?!: QueuePool)|operation timed out|statement timeout|connection timed out",
        "slow queries, or the network",
        "look for slow statements and missing indexes, then at the network",
        "3.3",
        "timed-out",
    ),
    KnownError(
        "PermissionError: [Errno 13]",
        r"PermissionError|\bpermission denied\b",
        "files in the home belong to another user or may not be read",
        "give the home back to whom runs MDM: chown",
        "1.1",
        "permission-denied",
    ),
    KnownError(
        "ModuleNotFoundError: mdm.*",
        r"ModuleNotFoundError|No module named|ImportError",
        "MDM or something it needs is not installed, or not in this version",
        "install MDM again with its requirements",
        "1.2",
        "module-missing",
    ),
)
"""The guide's table of messages, with their quick fixes; a line belongs to the first that is in it."""


def known_error(text: str) -> KnownError | None:
    """The known error that a text shows, if any."""
    return next(_errors_in(text), None)


def _errors_in(text: str) -> Iterator[KnownError]:
    return (error for error in KNOWN_ERRORS if error.is_in(text))


@dataclass(frozen=True)
class Explanation:
    """An issue of the guide (or a whole section) that may explain what somebody saw, and why it is named."""

    issue: str
    why: str


class UnknownSymptom(LookupError):
    """A text that no issue explains; the message has the nearest symptoms."""


ENOUGH = 0.5
"""The share of a symptom's words that a text must have to mean it."""

_EMPTY_WORDS = re.compile(
    r"(?:an?|the|of|or|and|in|on|to|is|are|was|be|by|with|for|from|at|as|its?|not?|do|does|than|after|before|my|i|we|our"
    r"|this|that|there|very|all|any|have|has|had|when|while|but|problem|error)"
)


def explanations(text: str) -> tuple[Explanation, ...]:
    """The issues that explain an error message or a few words, the likeliest first.

    Raises:
        UnknownSymptom: nothing does.
    """
    errors = [Explanation(error.issue, f"the message {error.name!r}: {error.cause}") for error in _errors_in(text)]
    if errors:
        return tuple(errors)
    scores = sorted(((_likeness(text, symptom.text), symptom) for symptom in SYMPTOMS), key=lambda pair: -pair[0])
    seen = [Explanation(each.issue, f"the guide's symptom {each.text!r}") for score, each in scores if score >= ENOUGH]
    areas = [
        Explanation(section, f"the guide's quick diagnosis of a {area}")
        for area, section in AREAS.items()
        if _likeness(text, area) == 1
    ]
    if not seen and not areas:
        nearest = "; ".join(f"{symptom.text!r} ({symptom.issue})" for _, symptom in scores[:3])
        raise UnknownSymptom(f"--mdm-symptom: nothing explains {text!r}; the nearest symptoms are {nearest}")
    return tuple(dict.fromkeys([*seen, *areas]))


def _likeness(text: str, symptom: str) -> float:
    """The share of the symptom's words that the text has."""
    wanted = _stems(symptom)
    return len(wanted & _stems(text)) / len(wanted)


def _stems(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9_.]+", text.lower())
    return frozenset(
        re.sub(r"(?:ing|ed|es|s|ly)$", "", word.strip(".")) for word in words if not _EMPTY_WORDS.fullmatch(word)
    )
