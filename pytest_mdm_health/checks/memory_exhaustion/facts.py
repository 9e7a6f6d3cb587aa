"""What memory-exhaustion sees: the machine's memory, and what MDM needs of it. Sizes are in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.host.machine import Machine
from pytest_mdm_health.mdm.host.processes import MdmProcess
from pytest_mdm_health.mdm.logs.registrations import MemoryRanOut


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """A running MDM process, and the memory that it uses."""

    process: MdmProcess
    size: int


@dataclass(frozen=True, kw_only=True)
class DatasetSize:
    """One of the largest datasets.

    Attributes:
        row: a row of its largest table while a batch is processed, features included.
        batch_rows: rows of a batch: the batch size, or all there are.
        whole: all of it as data frames.
        how: how the sizes are known: `sampled`, `recorded` by MDM, or estimated from the `file size`.
        read_whole: a source file that MDM reads as a whole, whatever the batch size; empty if there is none.
    """

    dataset: str
    backend: str
    row: int
    batch_rows: int
    whole: int
    how: str
    read_whole: str


@dataclass(frozen=True, kw_only=True)
class DuckDBSettings:
    """DuckDB's settings, where it is used.

    Attributes:
        limit: `memory_limit` as it is written.
        limit_size: the same in bytes; None if DuckDB refuses it.
        limit_set_in: where it is set; empty for MDM's default.
        folder: `temp_directory`.
        folder_set_in: where that is set; empty for MDM's default.
        folder_free: free bytes where it is or would be created.
        folder_problem: why it cannot be written to, to follow its name; empty if it can.
        folder_in_memory: whether its file system is in memory.
    """

    limit: str
    limit_size: int | None
    limit_set_in: str
    threads: int
    folder: str
    folder_set_in: str
    folder_free: int | None
    folder_problem: str
    folder_in_memory: bool


@dataclass(frozen=True, kw_only=True)
class LoggedShortage:
    """A record of the log that reports that memory ran out, and whether a registration succeeded afterwards."""

    record: MemoryRanOut
    succeeded_since: bool


@dataclass(frozen=True, kw_only=True)
class MemoryFacts(Facts):
    """The machine's memory, and what of it MDM needs for the data at hand.

    Attributes:
        mdm_killed_at: when the kernel last killed a program named `mdm`; empty if it did not, as far as known.
        succeeded_since: whether a registration succeeded after that.
        batch_set_in: where the batch size, in rows, is set; empty for MDM's default.
        datasets: the largest ones, largest first.
        shortages: the newest ones, newest last.
        shortage_count: how many there are in all.
    """

    machine: Machine
    mdm_killed_at: str
    succeeded_since: bool
    batch_size: int
    batch_set_in: str
    settings_file: str
    processes: tuple[ProcessMemory, ...]
    datasets: tuple[DatasetSize, ...]
    duckdb: DuckDBSettings | None
    shortages: tuple[LoggedShortage, ...]
    shortage_count: int
