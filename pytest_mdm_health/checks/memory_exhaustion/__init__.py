"""MDM runs out of memory, or takes it from everything else.

Symptoms
--------
`MemoryError`; "Unable to allocate"; DuckDB's "Out of Memory Error"; the system hardly answers; a process is gone
without a word because the kernel killed it.

Causes
------
Batches that are too large for wide rows. Parquet, JSON and Excel sources, which MDM reads whole, and twice, whatever
the batch size. Data frames of whole datasets. A DuckDB `memory_limit` above what the machine, the container or the
shell's `ulimit` gives: DuckDB then never begins to use its `temp_directory`. A `temp_directory` without room, or in
memory. Several MDM processes at once.

Diagnosis
---------
See the memory of the MDM processes (`ps -o pid,rss,args`), `ulimit -a`, the control group's limit, swap, and
`dmesg | grep -i "out of memory"`. Estimate one batch: its rows by the bytes of a row, three times. Measure the
largest dataset. Look for `MemoryError` in the log.

Solutions
---------
Batches of a tenth of the available memory: `MDM_PERFORMANCE_BATCH_SIZE`. Pause while more than nine tenths of the
memory are taken. For DuckDB, `memory_limit` (the guide: `2GB`) and a `temp_directory` with room. One process at a time.

Findings
--------
* `memory-low` (warn): more than nine tenths of the memory that MDM may have are taken now.
* `process-memory` (warn): running MDM processes hold nearly all of it.
* `oom-kills` (warn/note): the kernel killed processes for want of memory; a note unless it was MDM or in a control
  group with a limit, and when a registration has succeeded since.
* `batch-too-large` (warn/note): one batch takes more than half, as a note more than a tenth, of what can be had now.
* `dataset-too-large` (warn/note): a dataset does not fit into memory as a whole; a note if it only just does.
* `duckdb-limit` (warn/note): DuckDB may take more than there is; a note while the data at hand does not reach that.
* `duckdb-limit-unusable` (fail): DuckDB refuses the `memory_limit`, so none of its datasets opens.
* `duckdb-threads` (note): more threads than the `memory_limit` is good for.
* `duckdb-spill` (warn/note): what does not fit into memory cannot be put into the `temp_directory`; a note while
  everything fits.
* `ran-out` (warn/note): the log tells of memory that ran out; a note if the same has succeeded since.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.memory_exhaustion import findings
from pytest_mdm_health.checks.memory_exhaustion.facts import MemoryFacts
from pytest_mdm_health.checks.memory_exhaustion.look import gather
from pytest_mdm_health.core.model import Check, Depth, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="memory-exhaustion",
    issue="4.2",
    title="Too little memory for the data at hand",
    per=Kind.HOME,
    tags=("performance", "memory"),
)


def observe(mdm_inventory: Inventory, mdm_options: Options) -> MemoryFacts:
    """Look at the machine, at running processes, and at what the largest datasets need."""
    return gather(mdm_inventory, Depth(mdm_options.depth))


def judge(facts: MemoryFacts, before: MemoryFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """What does not fit, what has not fitted, and what is about to."""
    yield from findings.of_machine(CHECK, facts)
    yield from findings.of_kills(CHECK, facts)
    yield from findings.of_data(CHECK, facts)
    yield from findings.of_duckdb(CHECK, facts)
    yield from findings.of_log(CHECK, facts)
