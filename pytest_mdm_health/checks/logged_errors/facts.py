"""What logged-errors sees in the log: its errors in groups, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts, Location


@dataclass(frozen=True)
class ErrorGroup:
    """Records of the log that report the same error.

    Attributes:
        code: the code of the finding that reports them.
        level: the worst level they were logged with.
        logger: who logged the last one.
        count: how many there are.
        open: how many of them no success followed.
        first: the time of the first, in ISO 8601; None if no record has a time.
        last: the time of the last, likewise.
        example: the message of the last one, shortened, without secrets or values of data.
        error: the last line of its traceback, if it has one.
        datasets: the datasets that MDM was working on.
        at: where the last one is.
    """

    code: str
    level: str
    logger: str
    count: int
    open: int
    first: str | None
    last: str | None
    example: str
    error: str | None
    datasets: tuple[str, ...]
    at: Location


@dataclass(frozen=True, kw_only=True)
class LogFacts(Facts):
    """What the log reports.

    Attributes:
        errors: the open ones first, then the most frequent.
        unreadable: what could not be read, each as a sentence without a full stop.
    """

    errors: tuple[ErrorGroup, ...]
    unreadable: tuple[str, ...]
