"""The conditions of memory-exhaustion, source by source. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks._shared.log_excerpt import show_record
from pytest_mdm_health.checks.memory_exhaustion.facts import DatasetSize, DuckDBSettings, MemoryFacts
from pytest_mdm_health.checks.memory_exhaustion.findings import (
    BATCH_TOO_LARGE,
    DATASET_TOO_LARGE,
    DUCKDB_LIMIT,
    DUCKDB_LIMIT_UNUSABLE,
    DUCKDB_SPILL,
    DUCKDB_THREADS,
    GROUP_KILLED,
    MDM_KILLED,
    MEMORY_LOW,
    NOTE,
    OTHERS_KILLED,
    PROCESS_MEMORY,
    RAN_OUT,
    SOURCE_TOO_LARGE,
    WARN,
)
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import counted, moment, size
from pytest_mdm_health.mdm.host.memory_limit import UNLIMITED

COPIES = 3
"""How many copies of a batch are in memory at once while it is read, converted and given features."""

BATCH_SHARE = 0.1
"""The guide: a batch should take a tenth of the available memory."""

TOO_FULL = 0.9
"""The guide: above this share of memory, work should pause."""

SMALLEST_BATCH = 100
BYTES_PER_THREAD = 125_000_000
"""What DuckDB needs for each thread at least."""

LEAST_IN_GB = 2_000_000_000
"""Smaller limits are proposed in MB, which loses less when rounded."""


def check_free_memory(facts: MemoryFacts) -> Iterator[Finding]:
    """How much memory is free now, and what MDM's processes use."""
    machine = facts.machine
    if machine.free < (1 - TOO_FULL) * machine.most:
        swap = ""
        if machine.swap:
            swap = f"; {size(machine.swap - machine.swap_free)} of {size(machine.swap)} swap is in use"
        yield MEMORY_LOW(free=machine.free, most=machine.most, bound_by=machine.bound_by, swap=swap)
    used = sum(running.size for running in facts.processes)
    if used > TOO_FULL * machine.most:
        largest = max(facts.processes, key=lambda running: running.size)
        yield PROCESS_MEMORY(
            used=used,
            most=machine.most,
            command=largest.process.command,
            pid=largest.process.pid,
            largest=largest.size,
            pids=",".join(str(running.process.pid) for running in facts.processes),
        )


def check_killed_processes(facts: MemoryFacts) -> Iterator[Finding]:
    """What the kernel killed because memory ran out: MDM, else in this control group, else anything."""
    machine = facts.machine
    group_kills = (machine.group.kills or 0) if machine.group.limit is not None else 0
    if facts.mdm_killed_at:
        outcome = "; a registration succeeded afterwards" if facts.succeeded_since else ""
        yield MDM_KILLED(NOTE if outcome else WARN, time=facts.mdm_killed_at, outcome=outcome)
    elif group_kills:
        yield GROUP_KILLED(processes=counted(group_kills, "process", "processes"), most=machine.most)
    elif machine.kills:
        names = ", ".join(killed.name for killed in machine.killed or ())
        processes = counted(machine.kills, "process", "processes")
        yield OTHERS_KILLED(processes=processes, names=f": {names}" if names else "")


def check_datasets(facts: MemoryFacts) -> Iterator[Finding]:
    """Whether a batch of the largest datasets fits into memory, and all of them."""
    free = facts.machine.free
    for dataset in facts.datasets:
        batch = dataset.batch_rows * dataset.row * COPIES
        if batch > BATCH_SHARE * free:
            yield _batch_too_large(facts, dataset, batch)
        needed = 2 * dataset.whole if dataset.read_whole else dataset.whole
        if needed > free / 2:
            yield _dataset_too_large(facts, dataset, needed)


def _batch_too_large(facts: MemoryFacts, dataset: DatasetSize, batch: int) -> Finding:
    free = facts.machine.free
    fitting = _round_down(BATCH_SHARE * free / (dataset.row * COPIES))
    evidence: dict[str, JSON] = {
        "batch_bytes": batch,
        "free_bytes": free,
        "row_bytes": dataset.row,
        "how": dataset.how,
    }
    return BATCH_TOO_LARGE(
        WARN if batch > free / 2 else NOTE,
        subject=dataset.dataset,
        evidence=evidence,
        dataset=dataset.dataset,
        batch=batch,
        rows=dataset.batch_rows,
        row=dataset.row,
        copies=COPIES,
        batch_size=facts.batch_size,
        set_in=facts.batch_set_in or "MDM's default",
        free=free,
        bound_by=facts.machine.bound_by,
        better=max(SMALLEST_BATCH, fitting),
    )


def _dataset_too_large(facts: MemoryFacts, dataset: DatasetSize, needed: int) -> Finding:
    machine = facts.machine
    rule = SOURCE_TOO_LARGE if dataset.read_whole else DATASET_TOO_LARGE
    return rule(
        NOTE if needed <= machine.most else WARN,
        subject=dataset.dataset,
        evidence={"need_bytes": needed, "most_bytes": machine.most, "how": dataset.how},
        dataset=dataset.dataset,
        whole=dataset.whole,
        source=_SOURCES[dataset.how],
        file=dataset.read_whole,
        most=machine.most,
        bound_by=machine.bound_by,
        free=machine.free,
    )


_SOURCES = {
    "sampled": "",
    "recorded": ", as MDM recorded",
    "file size": ", estimated from its file size",
}
"""How the size of a dataset is known, in words."""


def check_duckdb(facts: MemoryFacts) -> Iterator[Finding]:
    """Whether DuckDB's settings fit the machine and the data."""
    duckdb = facts.duckdb
    if duckdb is None:
        return
    file = facts.settings_file
    if duckdb.limit_size is None:
        fitting = _fitting_limit(facts)
        yield DUCKDB_LIMIT_UNUSABLE(at=file, limit=duckdb.limit, set_in=duckdb.limit_set_in, fitting=fitting)
        return
    largest = max((dataset.whole for dataset in facts.datasets if dataset.backend == "duckdb"), default=0)
    yield from _check_limit(facts, duckdb, duckdb.limit_size, largest)
    spills = largest > min(duckdb.limit_size, facts.machine.most)
    problem = _spill_problem(duckdb, largest, spills=spills)
    if problem and (spills or duckdb.folder_set_in):
        yield DUCKDB_SPILL(WARN if spills else NOTE, at=file, folder=duckdb.folder, why=problem)
    if duckdb.limit_size / duckdb.threads < BYTES_PER_THREAD:
        yield DUCKDB_THREADS(at=file, threads=duckdb.threads, limit=duckdb.limit, least=BYTES_PER_THREAD)


def _check_limit(facts: MemoryFacts, duckdb: DuckDBSettings, limit: int, largest: int) -> Iterator[Finding]:
    machine = facts.machine
    needed = largest > 0.8 * machine.most
    if limit <= machine.most or not (needed or duckdb.limit_set_in):
        return
    allowed = "unlimited memory" if limit == UNLIMITED else f"{duckdb.limit} (from {duckdb.limit_set_in or 'MDM'})"
    yield DUCKDB_LIMIT(
        WARN if needed else NOTE,
        at=facts.settings_file,
        allowed=allowed,
        most=machine.most,
        bound_by=machine.bound_by,
        largest=largest,
        reach="can reach" if needed else "does not reach",
        fitting=_fitting_limit(facts),
    )


def _spill_problem(duckdb: DuckDBSettings, largest: int, *, spills: bool) -> str:
    """Why data that does not fit into memory cannot be written to the folder, to follow its name; empty if it can."""
    if duckdb.folder_problem:
        return duckdb.folder_problem
    if spills and duckdb.folder_free is not None and duckdb.folder_free < largest:
        return f"has {size(duckdb.folder_free)} free, but the largest dataset needs {size(largest)}"
    if spills and duckdb.folder_in_memory:
        return "is in memory itself, so writing to it frees none"
    return ""


def check_log(facts: MemoryFacts) -> Iterator[Finding]:
    """Whether memory ran out before."""
    if not facts.shortages:
        return
    last = facts.shortages[-1]
    record = last.record
    succeeded = all(shortage.succeeded_since for shortage in facts.shortages)
    yield RAN_OUT(
        NOTE if succeeded else WARN,
        at=record.place,
        count=facts.shortage_count,
        time=moment(record.time) if record.time else "an unknown time",
        operation=f" while {record.dataset!r} was registered" if record.dataset else "",
        outcome="; a registration succeeded afterwards" if last.succeeded_since else "",
        error=record.message,
        smaller=max(SMALLEST_BATCH, facts.batch_size // 4),
        show_record=show_record(record.place),
    )


def _fitting_limit(facts: MemoryFacts) -> str:
    """Half of the memory that MDM can have, as DuckDB takes it."""
    half = facts.machine.most / 2
    if half >= LEAST_IN_GB:
        return f"{int(half / 1e9)}GB"
    return f"{max(1, int(half / 1e6))}MB"


def _round_down(number: float) -> int:
    """Down to one digit and zeros, as a person would set it."""
    whole = int(number)
    unit = int("1".ljust(len(str(whole)), "0"))
    return whole // unit * unit
