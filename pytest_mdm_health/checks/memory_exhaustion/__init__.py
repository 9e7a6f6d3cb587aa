"""MDM runs out of memory, or leaves none for other programs.

Symptoms
--------
`MemoryError`; "Unable to allocate"; DuckDB's "Out of Memory Error"; the system hardly responds; a process
disappears without a message because the kernel killed it.

Causes
------
Batches that are too large for wide rows. Parquet, JSON and Excel sources, which MDM reads whole, and twice, whatever
the batch size. Data frames of whole datasets. A DuckDB `memory_limit` above what the machine, the container or the
shell's `ulimit` allows: DuckDB then never starts to use its `temp_directory`. A `temp_directory` without enough free
space, or in memory. Several MDM processes at once.

Diagnosis
---------
Examine the memory of the MDM processes (`ps -o pid,rss,args`), `ulimit -a`, the control group's limit, swap, and
`dmesg | grep -i "out of memory"`. Estimate one batch: three times its rows multiplied by the bytes of a row. Measure
the largest dataset. Search the log for `MemoryError`.

Solutions
---------
Batches of a tenth of the available memory: `MDM_PERFORMANCE_BATCH_SIZE`. Pause while more than nine tenths of the
memory are in use. For DuckDB, `memory_limit` (the guide: `2GB`) and a `temp_directory` with enough free space. One
process at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.memory_exhaustion import conditions
from pytest_mdm_health.checks.memory_exhaustion.collect import collect
from pytest_mdm_health.checks.memory_exhaustion.facts import MemoryFacts
from pytest_mdm_health.checks.memory_exhaustion.findings import CHECK, RULES
from pytest_mdm_health.core.model import Depth, Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(mdm_inventory: Inventory, mdm_options: Options) -> MemoryFacts:
    """Examine the machine, running processes, and what the largest datasets need."""
    return collect(mdm_inventory, Depth(mdm_options.depth))


def judge(facts: MemoryFacts) -> Iterator[Finding]:
    """What does not fit into memory now, what did not fit before, and what may not fit next."""
    yield from conditions.check_free_memory(facts)
    yield from conditions.check_killed_processes(facts)
    yield from conditions.check_datasets(facts)
    yield from conditions.check_duckdb(facts)
    yield from conditions.check_log(facts)
