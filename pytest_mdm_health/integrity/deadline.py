"""How long tables may be read, and what may go wrong while they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_mdm_health.backends import CannotOpen, QueryFailed
from pytest_mdm_health.core.session import clock, current
from pytest_mdm_health.integrity.shared_session import shared_workbench
from pytest_mdm_health.mdm.files import Unreadable

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.duckdb_session import Workbench
    from pytest_mdm_health.integrity.readers.base import Source

T = TypeVar("T")
READ_FAILURES = (CannotOpen, QueryFailed, Unreadable)


@dataclass(frozen=True)
class Deadline:
    """When reading tables has to end.

    Attributes:
        end: the time, as `time.monotonic` has it.
        seconds: how long it was at the beginning.
    """

    end: float
    seconds: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - clock()

    @property
    def exceeded(self) -> str:
        """What is reported when it has passed."""
        return self._exceeded_at(())

    def allows(self, took: float, times: int) -> bool:
        """Whether so many times the time is left that something took."""
        return self.left > times * took

    @contextmanager
    def workbench(self, *sources: Source) -> Iterator[Workbench]:
        """A workbench that is interrupted when the time is up.

        Raises:
            QueryFailed: no time is left.
        """
        if self.left <= 0:
            raise QueryFailed(self.exceeded)
        with (
            shared_workbench(*sources) as workbench,
            workbench.interrupted_after(self.left, *sources),
        ):
            workbench.deadline = self.end
            try:
                yield workbench
            except QueryFailed as error:
                raise (error if self.left > 0 else QueryFailed(self._exceeded_at(sources))) from error

    def _exceeded_at(self, sources: Sequence[Source]) -> str:
        far = "".join(current().pace.far(source.name) for source in sources[:1])
        return f"that takes longer than {self.seconds:.3g} s{far} (see --mdm-timeout)"


def unless_it_fails(make: Callable[[], T]) -> T | None:
    """What can be done without: None where reading it fails."""
    try:
        return make()
    except READ_FAILURES:
        return None
