"""What slow-registration concludes from settings, readers, room and trials. Pure.

What took long is told by `_slow_durations`; of a dataset that is warned of there, the same is not warned of here again.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

from pytest_mdm_health.checks.slow_registration.facts import Sized, SlowFacts
from pytest_mdm_health.checks.slow_registration.repairs import larger_batches, missing_reader, to_duckdb
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted, duration, size

WARN, NOTE = Severity.WARN, Severity.NOTE
HOUR_S = 3600
MANY_BATCHES, TOO_MANY_BATCHES = 1000, 10_000
LARGE_SQLITE, VERY_LARGE_SQLITE = 1_000_000_000, 10_000_000_000


def of_settings(check: Check, facts: SlowFacts, warned: Collection[str]) -> Iterator[Finding]:
    """Settings that make a registration of the data at hand long; `warned` are datasets that were told of already."""
    many = MANY_BATCHES if facts.batch_set_in else TOO_MANY_BATCHES
    cut = [each for each in facts.datasets if (each.rows or 0) // facts.batch_size > many]
    if cut:
        yield _small_batches(check, facts, cut, warned)
    for each in facts.datasets:
        if each.backend == "sqlite" and each.size >= LARGE_SQLITE:
            message = f"{each.dataset!r} is {size(each.size)} in SQLite, which writes and reads row by row"
            told = each.size < VERY_LARGE_SQLITE or each.dataset.lower() in warned
            severity = NOTE if told else WARN
            yield check.finding("sqlite-for-large-data", severity, message, to_duckdb(), subject=each.dataset)


def _small_batches(check: Check, facts: SlowFacts, cut: list[Sized], warned: Collection[str]) -> Finding:
    """One setting, and the dataset that suffers most by it."""
    most = max(cut, key=lambda each: each.rows or 0)
    batches, better = (most.rows or 0) // facts.batch_size, max(10_000, (most.rows or 0) // MANY_BATCHES)
    more = f", {counted(len(cut) - 1, 'other dataset')} in thousands too" if len(cut) > 1 else ""
    message = (
        f"{most.dataset!r} with {most.rows} rows is loaded in {batches} batches of {facts.batch_size} "
        f"(batch_size from {facts.batch_set_in or 'MDM'}), and each costs a round of its own{more}"
    )
    remedy = Remedy(larger_batches(better))
    told = any(each.dataset.lower() in warned for each in cut)
    severity = WARN if batches > TOO_MANY_BATCHES and not told else NOTE
    evidence: dict[str, JSON] = {each.dataset: each.rows for each in cut}
    return check.finding("small-batches", severity, message, remedy, evidence=evidence, subject=most.dataset)


def of_readers(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """Packages that MDM needs to read the sources at hand."""
    for each in facts.readers:
        needed = f"; {', '.join(map(repr, each.datasets))} cannot be registered again" if each.datasets else ""
        message = f"{facts.python} has no {each.package}, which pandas needs for {each.suffix} files{needed}"
        remedy = missing_reader(facts.python, each.package)
        yield check.finding("reader-missing", WARN if each.datasets else NOTE, message, remedy, subject=each.package)


def of_space(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """Room for what a registration writes."""
    for each in facts.spaces:
        if each.free < each.needed:
            message = (
                f"{each.folder} has {size(each.free)} free for {each.use}; "
                f"a registration like that of {each.dataset!r} may need {size(each.needed)}"
            )
            text = "Make room there" + (", or point TMPDIR elsewhere." if each.use == "temporary files" else ".")
            remedy = Remedy(text, (f"df -h -- {shlex.quote(each.folder)}",))
            yield check.finding("no-room", WARN, message, remedy, subject=each.use)


def of_trials(check: Check, facts: SlowFacts, warned: Collection[str]) -> Iterator[Finding]:
    """What a registration would take now; `warned` are datasets whose last one was told of already."""
    for each in facts.trials:
        message = (
            f"registering {each.file} again takes about {duration(each.whole_s)}: {each.rows} of about "
            f"{counted(each.total_rows, 'row')} were read in {duration(each.read_s)} "
            f"and stored in {duration(each.store_s)}"
        )
        message += f"; features add about {duration(each.features_s)}" if each.features_s else ""
        long = each.whole_s >= HOUR_S
        text = "Plan for it, or register a part of the file." if long else "Nothing; MDM itself takes somewhat longer."
        evidence: dict[str, JSON] = {"whole_s": each.whole_s, "rows": each.total_rows}
        severity = WARN if long and each.dataset.lower() not in warned else NOTE
        yield check.finding("estimate", severity, message, Remedy(text), evidence=evidence, subject=each.file)
