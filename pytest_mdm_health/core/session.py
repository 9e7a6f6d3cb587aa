"""What a process keeps while it examines a home: open databases, interpreters, what was read of logs and of the system.

One object holds it all, so that it can be given up at once. The sandbox's child has one for its whole life; whoever
calls checks in a process of their own opens one with `with Session():`, or shares the one that the process has then.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from pytest_mdm_health.core.pace import BYTES, Pace, Step

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Self

    Parameters = ParamSpec("Parameters")

Part = TypeVar("Part")
Answer = TypeVar("Answer")


@runtime_checkable
class _Closing(Protocol):
    def close(self) -> object: ...


class Session:
    """The state of one process while it examines a home.

    Attributes:
        pace: how its work moves on.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self._parts: dict[object, object] = {}
        self._outer: Session | None = None

    def part(self, kind: type[Part]) -> Part:
        """The one object of this class, made when it is first asked for; its `close` is called at the end."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        return cast("Part", self._parts[kind])

    def cache_of(self, function: Callable[..., Answer], maxsize: int) -> Callable[..., Answer]:
        """The function with the answers that it gave last."""
        if function not in self._parts:
            self._parts[function] = functools.lru_cache(maxsize)(function)
        return cast("Callable[..., Answer]", self._parts[function])

    def close(self) -> None:
        """Close what is open, the newest first, and forget everything."""
        while self._parts:
            _, part = self._parts.popitem()
            if isinstance(part, _Closing):
                part.close()

    def __enter__(self) -> Self:
        self._outer, _process.session = _process.session, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outer is not None:
            _process.session = self._outer
        self.close()


class _Process:
    """Which session this process uses at present."""

    def __init__(self) -> None:
        self.session = Session()


_process = _Process()


def current() -> Session:
    """The session of this process."""
    return _process.session


def clock() -> float:
    """Seconds by the clock that time limits go by, which stands still while work moves on; see `Pace`."""
    return current().pace.clock()


def progress(what: str, done: int, total: int, unit: str = BYTES, *, exact: bool = True) -> None:
    """Say how far something has come of which it is known how much there is; see `Step`."""
    current().pace.reached(Step(what, done, total, unit, exact))


def end_session() -> None:
    """Close all that this process has open for the home."""
    _process.session.close()


def kept_for_session(maxsize: int) -> Callable[[Callable[Parameters, Answer]], Callable[Parameters, Answer]]:
    """Keep the last answers of a function until the session ends; its arguments have to be hashable."""

    def keep(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
        @functools.wraps(function)
        def ask(*arguments: Any, **named: Any) -> Answer:  # noqa: ANN401 - as the function declares them
            return current().cache_of(function, maxsize)(*arguments, **named)

        return cast("Callable[Parameters, Answer]", ask)

    return keep
