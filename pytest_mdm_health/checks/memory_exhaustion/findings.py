"""What memory-exhaustion concludes, source by source. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_mdm_health.checks.memory_exhaustion.facts import DuckDB, Measured, MemoryFacts
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted, size
from pytest_mdm_health.core.text import times as often
from pytest_mdm_health.mdm.host.memory_limit import UNLIMITED
from pytest_mdm_health.mdm.settings.environment import variable_for

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
COPIES = 3
"""How often a batch is in memory at once while it is read, converted and given features."""

SHARE_OF_A_BATCH = 0.1
"""The guide: a batch should take a tenth of the memory there is."""

TOO_FULL = 0.9
"""The guide: above this share of memory, work should pause."""

LEAST_BATCH = 100
_SMALLER_BATCHES = (
    "With fewer rows in a batch than a dataset has, features may differ from batch to batch, and MDM then registers "
    "the dataset without any and says so in the log only: look for its feature tables afterwards."
)
_AROUND = 5
_PER_THREAD = 125_000_000
"""What DuckDB wants for each thread at least."""


def of_machine(check: Check, facts: MemoryFacts) -> Iterator[Finding]:
    """How much memory is left now, and who has it."""
    room = facts.room
    held = sum(each.size for each in facts.processes)
    if room.free < (1 - TOO_FULL) * room.most:
        swap = f"; {size(room.swap - room.swap_free)} of {size(room.swap)} swap are in use" if room.swap else ""
        message = f"{size(room.free)} are free of {size(room.most)} that MDM can have ({room.bound_by}){swap}"
        remedy = Remedy(
            "End what is not needed, or wait, before MDM does anything large.", ("ps aux --sort=-rss | head",)
        )
        yield check.finding("memory-low", WARN, message, remedy)
    if held > TOO_FULL * room.most:
        pids = ",".join(str(each.pid) for each in facts.processes)
        largest = max(facts.processes, key=lambda each: each.size)
        what = f"`mdm {largest.command}` (PID {largest.pid}) with {size(largest.size)}"
        message = f"running MDM processes hold {size(held)} of {size(room.most)}, the largest being {what}"
        text = "End the ones that are not needed; run the others one after the other, with smaller batches."
        remedy = Remedy(text, (f"ps -o pid,rss,etime,args -p {pids}",))
        yield check.finding("process-memory", WARN, message, remedy)


def of_kills(check: Check, facts: MemoryFacts) -> Iterator[Finding]:
    """Who was killed for want of memory."""
    room = facts.room
    advice = "Give MDM less to hold at once (`performance.batch_size`, DuckDB's `memory_limit`), or the machine more."
    remedy = Remedy(advice, ("dmesg -T | grep -i 'out of memory'",))
    if room.killed_mdm:
        message = f"the kernel killed `mdm` for want of memory at {room.killed_mdm}"
        message += "; a registration has succeeded since" if room.succeeded_since else ""
        yield check.finding("oom-kills", NOTE if room.succeeded_since else WARN, message, remedy)
    elif room.group_kills:
        killed = counted(room.group_kills, "process", "processes")
        message = f"in this control group, limited to {size(room.most)}, the kernel killed {killed}"
        yield check.finding("oom-kills", WARN, f"{message} for want of memory", remedy)
    elif room.kills:
        named = f": {', '.join(room.killed)}" if room.killed else ""
        message = (
            f"since it started, this machine killed "
            f"{counted(room.kills, 'process', 'processes')} for want of memory, none called mdm{named}"
        )
        yield check.finding("oom-kills", NOTE, message, remedy)


def of_data(check: Check, facts: MemoryFacts) -> Iterator[Finding]:
    """Whether a batch, and the whole, of the largest datasets fit."""
    for each in facts.datasets:
        batch = each.batch_rows * each.row * COPIES
        if batch > SHARE_OF_A_BATCH * facts.room.free:
            yield _batch_too_large(check, facts, each, batch)
        need = each.whole * (2 if each.read_whole else 1)
        if need > facts.room.free / 2:
            yield _dataset_too_large(check, facts, each, need)


def _batch_too_large(check: Check, facts: MemoryFacts, each: Measured, batch: int) -> Finding:
    better = max(LEAST_BATCH, _rounded(SHARE_OF_A_BATCH * facts.room.free / (each.row * COPIES)))
    set_in = facts.batch_set_in or "MDM's default"
    message = (
        f"a batch of {each.dataset!r} takes about {size(batch)} ({each.batch_rows} rows of {size(each.row)}, "
        f"{COPIES} copies; batch_size {facts.batch_size} is from {set_in}), of {size(facts.room.free)} "
        f"that MDM can have now ({facts.room.bound_by})"
    )
    variable = variable_for("performance.batch_size")
    text = f"Take batches of a tenth of the memory there is: {better} rows, as {variable} or `performance.batch_size`. "
    remedy = Remedy(text + _SMALLER_BATCHES)
    severity = WARN if batch > facts.room.free / 2 else NOTE
    evidence: dict[str, JSON] = {
        "batch_bytes": batch,
        "free_bytes": facts.room.free,
        "row_bytes": each.row,
        "how": each.how,
    }
    return check.finding("batch-too-large", severity, message, remedy, evidence=evidence, subject=each.dataset)


def _dataset_too_large(check: Check, facts: MemoryFacts, each: Measured, need: int) -> Finding:
    roughly = "" if each.how == "sampled" else ", guessed from its file" if each.how == "file size" else ", as recorded"
    message = f"{each.dataset!r} takes about {size(each.whole)} as data frames{roughly}"
    if each.read_whole:
        message += f" and MDM reads {each.read_whole} whole, twice, to register it"
    fits = need <= facts.room.most
    message += f"; MDM can have {size(facts.room.most)} ({facts.room.bound_by}), {size(facts.room.free)} of it now"
    text = (
        "Load single columns or parts of it (a query, `limit=`) rather than all; on DuckDB, let the engine work on it."
    )
    if each.read_whole:
        text += " Register it from CSV, which MDM reads in batches."
    evidence: dict[str, JSON] = {"need_bytes": need, "most_bytes": facts.room.most, "how": each.how}
    return check.finding(
        "dataset-too-large", NOTE if fits else WARN, message, Remedy(text), evidence=evidence, subject=each.dataset
    )


def of_duckdb(check: Check, facts: MemoryFacts) -> Iterator[Finding]:
    """Whether DuckDB's settings fit the machine and the data."""
    duckdb = facts.duckdb
    if duckdb is None:
        return
    place = Location(facts.settings_file)
    if duckdb.limit_size is None:
        message = f"DuckDB refuses memory_limit {duckdb.limit!r}, from {duckdb.set_in}: no DuckDB dataset can be opened"
        yield check.finding("duckdb-limit-unusable", FAIL, message, _limited(facts), location=place)
        return
    largest = max((each.whole for each in facts.datasets if each.backend == "duckdb"), default=0)
    yield from _too_high(check, facts, duckdb, largest)
    yield from _cannot_spill(check, facts, duckdb, largest)
    if duckdb.limit_size / duckdb.threads < _PER_THREAD:
        message = f"{duckdb.threads} threads share {duckdb.limit}, less than {size(_PER_THREAD)} for each"
        remedy = Remedy("Set `database.duckdb.threads` lower, or `database.duckdb.memory_limit` higher.")
        yield check.finding("duckdb-threads", NOTE, message, remedy, location=place)


def _too_high(check: Check, facts: MemoryFacts, duckdb: DuckDB, largest: int) -> Iterator[Finding]:
    limit = duckdb.limit_size or 0
    reached = largest > 0.8 * facts.room.most
    if limit > facts.room.most and (reached or duckdb.set_in):
        allowed = "no limit at all" if limit == UNLIMITED else f"{duckdb.limit} (from {duckdb.set_in or 'MDM'})"
        message = f"DuckDB is allowed {allowed}, and MDM can have {size(facts.room.most)} ({facts.room.bound_by})"
        message += f"; the largest dataset, {size(largest)}, {'can reach that' if reached else 'does not reach that'}"
        severity = WARN if reached else NOTE
        yield check.finding("duckdb-limit", severity, message, _limited(facts), location=Location(facts.settings_file))


def _cannot_spill(check: Check, facts: MemoryFacts, duckdb: DuckDB, largest: int) -> Iterator[Finding]:
    spills = largest > min(duckdb.limit_size or 0, facts.room.most)
    why = duckdb.folder_trouble
    if not why and spills and duckdb.folder_free is not None and duckdb.folder_free < largest:
        why = f"has {size(duckdb.folder_free)} free, and the largest dataset takes {size(largest)}"
    if not why and spills and duckdb.folder_in_memory:
        why = "lies in memory itself, so writing there frees none"
    if why and (spills or duckdb.folder_set_in):
        message = f"the folder where DuckDB puts what does not fit into memory, {duckdb.folder!r}, {why}"
        text = "Set `database.duckdb.temp_directory` to a folder on a disk with room."
        severity = WARN if spills else NOTE
        place = Location(facts.settings_file)
        yield check.finding("duckdb-spill", severity, message, Remedy(text), location=place)


def of_log(check: Check, facts: MemoryFacts) -> Iterator[Finding]:
    """Where memory ran out before."""
    if not facts.ran_out:
        return
    last = facts.ran_out[-1]
    over = f" while {last.dataset!r} was registered" if last.dataset else ""
    since = "; it has succeeded since" if last.succeeded_since else ""
    times = f"{often(facts.ran_out_count)}, last at {last.time or 'an unknown time'}"
    message = f"memory ran out {times}{over}{since}: {last.message}"
    severity = NOTE if all(each.succeeded_since for each in facts.ran_out) else WARN
    smaller = max(LEAST_BATCH, facts.batch_size // 4)
    text = (
        f"See what the log says around it, then repeat what failed with smaller batches ({smaller} rows, as "
        "`performance.batch_size`); on DuckDB also with a memory_limit that fits this machine. "
    )
    look = (
        ()
        if last.line is None
        else (f"sed -n {max(1, last.line - _AROUND)},{last.line + _AROUND}p {shlex.quote(last.file)}",)
    )
    remedy = Remedy(text + _SMALLER_BATCHES, look)
    yield check.finding("ran-out", severity, message, remedy, location=Location(last.file, last.line))


def _limited(facts: MemoryFacts) -> Remedy:
    half = facts.room.most / 2
    fitting = f"{int(half / 1e9)}GB" if half >= 2e9 else f"{max(1, int(half / 1e6))}MB"  # noqa: PLR2004 - two digits
    text = (
        f"Set `database.duckdb.memory_limit: {fitting}` in mdm.yaml, half of what there is, and "
        "`database.duckdb.temp_directory` to a folder with room. No variable can set them."
    )
    return Remedy(text)


def _rounded(number: float) -> int:
    """Down to one digit and zeros, as a person would set it."""
    whole = int(number)
    zeros = int("1".ljust(len(str(whole)), "0"))
    return whole // zeros * zeros
