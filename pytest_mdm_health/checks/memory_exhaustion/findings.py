"""What memory-exhaustion can find, with its sentences."""

from __future__ import annotations

from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
CHECK = Check(
    id="memory-exhaustion",
    issue="4.2",
    title="Too little memory for the data at hand",
    per=Kind.HOME,
    reads=("log",),
    tags=("performance", "memory"),
)
RULES = Rules(CHECK)

REDUCE_MEMORY = Steps(
    "Reduce what MDM holds in memory at once (`performance.batch_size`, DuckDB's `memory_limit`), or add memory to the "
    "machine.",
    commands=("dmesg -T | grep -i 'out of memory'",),
)
SET_MEMORY_LIMIT = Steps(
    "Set `database.duckdb.memory_limit: {fitting}` in mdm.yaml, half of what MDM can have, and "
    "`database.duckdb.temp_directory` to a folder with enough free space. No environment variable can set them."
)
CHECK_FEATURES = (
    "With batches smaller than a dataset, features may differ from batch to batch; MDM then registers the dataset "
    "without features and reports that only in the log, so check its feature tables afterwards."
)

MEMORY_LOW = RULES.declare(
    "memory-low",
    WARN,
    means="more than nine tenths of the memory that MDM may have are in use now",
    message="only {free:size} of the {most:size} that MDM can have ({bound_by}) is free{swap}",
    remedy="Stop programs that are not needed, or wait, before MDM does anything large.",
    commands=("ps aux --sort=-rss | head",),
    answers=("system becomes unresponsive",),
)
PROCESS_MEMORY = RULES.declare(
    "process-memory",
    WARN,
    means="running MDM processes use nearly all of it",
    message="running MDM processes use {used:size} of {most:size}; the largest is `mdm {command}` (PID {pid}) with "
    "{largest:size}",
    remedy="Stop the ones that are not needed; run the others one after another, with smaller batches.",
    commands=("ps -o pid,rss,etime,args -p {pids}",),
    answers=("high memory during registration", "system becomes unresponsive"),
)
MDM_KILLED = RULES.declare(
    "oom-kills",
    WARN,
    NOTE,
    means="the kernel killed processes because memory ran out; a note unless it was MDM or in a control group with a "
    "limit, and when a registration succeeded afterwards",
    message="the kernel killed `mdm` because memory ran out, at {time}{outcome}",
    remedy=REDUCE_MEMORY,
    answers=("killed by OOM killer",),
)
GROUP_KILLED = RULES.reworded(
    MDM_KILLED,
    WARN,
    message="the kernel killed {processes} in this control group, which is limited to {most:size}, because memory ran "
    "out",
    remedy=REDUCE_MEMORY,
)
OTHERS_KILLED = RULES.reworded(
    MDM_KILLED,
    NOTE,
    message="the kernel killed {processes} on this machine since it started because memory ran out, none of them named "
    "mdm{names}",
    remedy=REDUCE_MEMORY,
)
BATCH_TOO_LARGE = RULES.declare(
    "batch-too-large",
    WARN,
    NOTE,
    means="one batch needs more than half, as a note more than a tenth, of the memory that is available now",
    message="a batch of {dataset!r} needs about {batch:size} ({rows:rows} of {row:size}, {copies} copies; batch_size "
    "{batch_size} is from {set_in}); MDM can have {free:size} now ({bound_by})",
    remedy="Use batches of a tenth of the available memory: {better} rows, as MDM_PERFORMANCE_BATCH_SIZE or "
    f"`performance.batch_size`. {CHECK_FEATURES}",
    answers=("high memory during registration",),
)
DATASET_TOO_LARGE = RULES.declare(
    "dataset-too-large",
    WARN,
    NOTE,
    means="a dataset does not fit into memory as a whole; a note if it only just does",
    message="{dataset!r} needs about {whole:size} as data frames{source}; MDM can have {most:size} ({bound_by}), "
    "{free:size} of it now",
    remedy="Load single columns or parts of it (a query, `limit=`) instead of all; on DuckDB, run queries in the "
    "engine.",
)
SOURCE_TOO_LARGE = RULES.reworded(
    DATASET_TOO_LARGE,
    message="{dataset!r} needs about {whole:size} as data frames{source}, and MDM reads {file} whole, twice, to "
    "register it; MDM can have {most:size} ({bound_by}), {free:size} of it now",
    remedy="Load single columns or parts of it (a query, `limit=`) instead of all; on DuckDB, run queries in the "
    "engine. Register it from CSV, which MDM reads in batches.",
)
DUCKDB_LIMIT = RULES.declare(
    "duckdb-limit",
    WARN,
    NOTE,
    means="DuckDB may use more memory than there is; a note while the data does not need that",
    message="DuckDB may use {allowed}, but MDM can have {most:size} ({bound_by}); the largest dataset, {largest:size}, "
    "{reach} that",
    remedy=SET_MEMORY_LIMIT,
)
DUCKDB_LIMIT_UNUSABLE = RULES.declare(
    "duckdb-limit-unusable",
    FAIL,
    means="DuckDB refuses the `memory_limit`, so none of its datasets can be opened",
    message="DuckDB refuses memory_limit {limit!r}, from {set_in}: no DuckDB dataset can be opened",
    remedy=SET_MEMORY_LIMIT,
)
DUCKDB_THREADS = RULES.declare(
    "duckdb-threads",
    NOTE,
    means="more threads than the `memory_limit` suffices for",
    message="{threads} threads share {limit}, less than {least:size} for each",
    remedy="Set `database.duckdb.threads` lower, or `database.duckdb.memory_limit` higher.",
)
DUCKDB_SPILL = RULES.declare(
    "duckdb-spill",
    WARN,
    NOTE,
    means="what does not fit into memory cannot be written to the `temp_directory`; a note while everything fits",
    message="DuckDB's temp_directory for data that does not fit into memory, {folder!r}, {why}",
    remedy="Set `database.duckdb.temp_directory` to a folder on a disk with enough free space.",
)
RAN_OUT = RULES.declare(
    "ran-out",
    WARN,
    NOTE,
    means="the log reports that memory ran out; a note if the same operation succeeded afterwards",
    message="memory ran out {count:times}, last at {time}{operation}{outcome}: {error}",
    remedy="Read the log around it, then repeat what failed with smaller batches ({smaller} rows, as "
    "`performance.batch_size`); on DuckDB, also with a memory_limit that fits this machine. "
    f"{CHECK_FEATURES}",
    commands=("{show_record}",),
    answers=("MemoryError",),
)
