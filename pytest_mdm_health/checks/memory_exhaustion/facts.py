"""What memory-exhaustion keeps of what it saw. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts


@dataclass(frozen=True, kw_only=True)
class Room:
    """The memory of this machine.

    Attributes:
        most: what one process can have at most, and `bound_by` what.
        free: what it can have now.
        group_kills: processes killed for want of memory in a control group that has a limit, 0 without one.
        kills: the same on the whole machine since it started; None if not known.
        killed: the programs among them that the kernel's log names, newest last; None if it cannot be read.
        killed_mdm: when the last one called `mdm` was killed, and whether a registration has succeeded since.
    """

    ram: int
    most: int
    bound_by: str
    free: int
    swap: int
    swap_free: int
    group_kills: int
    kills: int | None
    killed: tuple[str, ...] | None
    killed_mdm: str
    succeeded_since: bool


@dataclass(frozen=True, kw_only=True)
class Process:
    """A running MDM process: its command without arguments, and the memory it holds."""

    pid: int
    command: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One of the largest datasets.

    Attributes:
        rows: of its largest table.
        row: bytes of one of its rows while a batch is worked on, features included.
        batch_rows: rows of a batch: the batch size, or all there are.
        whole: all of it as data frames.
        how: `sampled`, `recorded` by MDM, or guessed from the `file size`.
        read_whole: a source file that MDM reads as a whole, whatever the batch size; empty if there is none.
    """

    dataset: str
    backend: str
    rows: int
    row: int
    batch_rows: int
    whole: int
    how: str
    read_whole: str


@dataclass(frozen=True, kw_only=True)
class DuckDB:
    """DuckDB's settings, where it is used.

    Attributes:
        limit: `memory_limit` as it is written; `limit_size` in bytes, None if DuckDB refuses it.
        set_in: where it is set; empty for MDM's default. The same for the folder.
        folder: `temp_directory`.
        folder_free: free bytes where it lies or would be made.
        folder_trouble: why nothing can be written there; empty if it can.
        folder_in_memory: whether it lies in memory itself.
    """

    limit: str
    limit_size: int | None
    set_in: str
    threads: int
    folder: str
    folder_set_in: str
    folder_free: int | None
    folder_trouble: str
    folder_in_memory: bool


@dataclass(frozen=True, kw_only=True)
class RanOut:
    """A record of the log that tells of memory running out, and whether a registration has succeeded since."""

    time: str
    message: str
    dataset: str
    file: str
    line: int | None
    succeeded_since: bool


@dataclass(frozen=True, kw_only=True)
class MemoryFacts(Facts):
    """The machine's memory, and what of it MDM needs for the data at hand.

    Attributes:
        batch_size: in rows, and where it is set; empty for MDM's default.
        datasets: the largest ones, largest first.
        ran_out: the newest records, newest last, and how many there are in all.
    """

    room: Room
    batch_size: int
    batch_set_in: str
    settings_file: str
    processes: tuple[Process, ...]
    datasets: tuple[Measured, ...]
    duckdb: DuckDB | None
    ran_out: tuple[RanOut, ...]
    ran_out_count: int
