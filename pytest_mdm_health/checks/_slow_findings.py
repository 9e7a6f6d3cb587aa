"""What slow-registration concludes, source by source. Pure."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator

from pytest_mdm_health.checks._slow_facts import Sized, SlowFacts, Timing
from pytest_mdm_health.mdm.amounts import duration, size
from pytest_mdm_health.mdm.environment import variable_for
from pytest_mdm_health.mdm.registration_log import FEATURES, LOAD
from pytest_mdm_health.model import JSON, Check, Finding, Remedy, Severity

WARN, NOTE = Severity.WARN, Severity.NOTE
LONG_S, HOUR_S = 60, 3600
SLOWER_THAN_BEFORE, SLOWER_THAN_OTHERS = 3, 10
"""So many times longer for each row is more than chance and the kind of data explain."""

SLOW_ROWS_PER_S = 1000
"""The real homes load ten to a hundred times as many on two slow cores, and generate features for some hundreds."""

MANY_BATCHES, TOO_MANY_BATCHES = 1000, 10_000
LARGE_SQLITE, VERY_LARGE_SQLITE = 1_000_000_000, 10_000_000_000
_COMPARABLE_ROWS = 1000
_GUIDES_BATCH = 5000


def of_durations(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """How long the newest registration of each dataset took, against the earlier ones and the others."""
    newest = {each.dataset: each for each in facts.timings}
    for name, each in newest.items():
        earlier = [other for other in facts.timings if other.dataset == name and other is not each]
        others = [other for other in newest.values() if other is not each]
        against = _against(each, earlier, SLOWER_THAN_BEFORE) if each.seconds >= LONG_S / 2 else None
        if against:
            message = f"{_took(each)}, {against:.0f} times as long for each row as before"
            yield _slow(check, facts, "slower-than-before", WARN, message, each)
        against = _against(each, [other for other in others if _alike(each, other)], SLOWER_THAN_OTHERS)
        if against and each.seconds >= LONG_S:
            message = f"{_took(each)}, {against:.0f} times as long for each row as the others"
            yield _slow(check, facts, "slower-than-others", WARN, message, each)
        if each.seconds >= HOUR_S:
            slow = each.rows is not None and each.rows / each.seconds < SLOW_ROWS_PER_S
            rate = f", {each.rows / each.seconds:.0f} rows a second" if each.rows else ""
            yield _slow(check, facts, "took-hours", WARN if slow else NOTE, f"{_took(each)}{rate}", each)
        elif each.seconds >= LONG_S and each.stages.get(FEATURES, 0.0) > each.seconds / 2:
            message = f"{_took(each)}, more than half of it for features"
            yield _slow(check, facts, "features-take-most", NOTE, message, each)


def _against(each: Timing, others: list[Timing], times: int) -> float | None:
    """How many times longer a row took than with the others, if it is at least so many."""
    known = [other.per_row for other in others if other.per_row]
    if each.per_row is None or not known:
        return None
    ratio = each.per_row / statistics.median(known)
    return ratio if ratio >= times else None


def _alike(each: Timing, other: Timing) -> bool:
    """Whether two datasets are large enough, and were treated alike, so that their rows can be compared."""
    large = min(each.rows or 0, other.rows or 0) >= _COMPARABLE_ROWS
    return large and (each.features == other.features or None in {each.features, other.features})


def _took(each: Timing) -> str:
    rows = f" for {each.rows} rows" if each.rows else ""
    when = f" that ended {each.ended}" if each.ended else ""
    return f"the registration of {each.dataset!r}{when} took {duration(each.seconds)}{rows}"


def _slow(check: Check, facts: SlowFacts, code: str, severity: Severity, message: str, each: Timing) -> Finding:
    stages = {stage: round(seconds, 1) for stage, seconds in each.stages.items()}
    evidence: dict[str, JSON] = {"seconds": round(each.seconds, 1), "rows": each.rows, "stages": dict(stages)}
    features = each.stages.get(FEATURES, 0.0) >= each.stages.get(LOAD, 0.0) and each.features is not False
    remedy = _without_features() if features and facts.features_enabled else _faster_load(facts, each)
    return check.finding(code, severity, message, remedy, evidence=evidence, subject=each.dataset)


def _without_features() -> Remedy:
    text = (
        "Register with `--no-features`, or switch features off for the time being (the guide's "
        "MDM_FEATURES_GENERATE_ON_REGISTER is read by no released MDM), and generate them when the data is in."
    )
    return Remedy(text, (f"export {variable_for('feature_engineering.enabled')}=false",))


def _faster_load(facts: SlowFacts, each: Timing) -> Remedy:
    profile = f"MDM_HOME_DIR={shlex.quote(facts.home)} python -m cProfile -m mdm.cli.main dataset register …"
    text = f"Profile it: `{profile}` with MDM's interpreter."
    if facts.batch_size < _GUIDES_BATCH:
        return Remedy(f"Take larger batches. {text}", (_export("performance.batch_size", str(_GUIDES_BATCH)),))
    sqlite = any(other.dataset == each.dataset and other.backend == "sqlite" for other in facts.datasets)
    return _to_duckdb() if sqlite else Remedy(text)


def of_settings(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """Settings that make a registration of the data at hand long."""
    for each in facts.datasets:
        batches = (each.rows or 0) // facts.batch_size
        if batches > (MANY_BATCHES if facts.batch_set_in else TOO_MANY_BATCHES):
            yield _small_batches(check, facts, each, batches)
        if each.backend == "sqlite" and each.size >= LARGE_SQLITE:
            message = f"{each.dataset!r} is {size(each.size)} in SQLite, which writes and reads row by row"
            severity = WARN if each.size >= VERY_LARGE_SQLITE else NOTE
            yield check.finding("sqlite-for-large-data", severity, message, _to_duckdb(), subject=each.dataset)


def _small_batches(check: Check, facts: SlowFacts, each: Sized, batches: int) -> Finding:
    better = max(10_000, (each.rows or 0) // MANY_BATCHES)
    message = (
        f"{each.dataset!r} with {each.rows} rows is loaded in {batches} batches of {facts.batch_size} "
        f"(batch_size from {facts.batch_set_in or 'MDM'}), and each costs a round of its own"
    )
    text = f"Take larger batches, such as {better} rows, as far as memory allows (4.2)."
    remedy = Remedy(text, (_export("performance.batch_size", str(better)),))
    severity = WARN if batches > TOO_MANY_BATCHES else NOTE
    return check.finding("small-batches", severity, message, remedy, subject=each.dataset)


def _to_duckdb() -> Remedy:
    text = (
        "Register it again on DuckDB. MDM's commands then refuse the datasets that stay on SQLite, so move all of "
        "them, or set the variable only where those on DuckDB are worked with."
    )
    return Remedy(text, (_export("database.default_backend", "duckdb"),))


def _export(key: str, value: str) -> str:
    return f"export {variable_for(key)}={value}"


def of_readers(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """Packages that MDM needs to read the sources at hand."""
    for each in facts.readers:
        needed = f"; {', '.join(map(repr, each.datasets))} cannot be registered again" if each.datasets else ""
        message = f"{facts.python} has no {each.package}, which pandas needs for {each.suffix} files{needed}"
        remedy = Remedy("Install it for MDM's interpreter.", (_install(facts.python, each.package),))
        yield check.finding("reader-missing", WARN if each.datasets else NOTE, message, remedy, subject=each.package)


def _install(python: str, package: str) -> str:
    return shlex.join((python, "-m", "pip", "install", package))


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


def of_trials(check: Check, facts: SlowFacts) -> Iterator[Finding]:
    """What a registration would take now."""
    for each in facts.trials:
        message = (
            f"registering {each.file} again takes about {duration(each.whole_s)}: {each.rows} of about "
            f"{each.total_rows} rows were read in {duration(each.read_s)} and stored in {duration(each.store_s)}"
        )
        message += f"; features add about {duration(each.features_s)}" if each.features_s else ""
        long = each.whole_s >= HOUR_S
        text = "Plan for it, or register a part of the file." if long else "Nothing; MDM itself takes somewhat longer."
        evidence: dict[str, JSON] = {"whole_s": each.whole_s, "rows": each.total_rows}
        severity = WARN if long else NOTE
        yield check.finding("estimate", severity, message, Remedy(text), evidence=evidence, subject=each.file)
