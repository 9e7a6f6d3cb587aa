"""What it means that features are not those of the baseline.

Features are made of the data and can be made again, so nothing of the user's is lost with them: what something explains
is a note, what nothing explains a warning, and so is whatever a person made or MDM cannot have changed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mdm_health.checks.feature_generation_failure.changes import (
    TableChange,
    changes,
    is_planned,
    reasons,
    registered_again,
)
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, ValuesSince
from pytest_mdm_health.checks.feature_generation_failure.findings import NOTE, WARN, anew, listed
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted

_TRAIN_AGAIN = Remedy("Train models on the features that there are now, or make those they need by custom features.")


def of_changes(check: Check, facts: FeatureFacts, before: FeatureFacts) -> Iterator[Finding]:
    """Table by table what is gone, what came, and what has other values."""
    values = {each.table: each for each in facts.values}
    for change in changes(before, facts):
        if change.now is None:
            yield _lost_table(check, facts, change)
        elif change.was is None:
            named = f"{change.now.name} came, with {counted(len(change.now.features), 'feature')}"
            yield _came(check, change.now.name, named, change.now.features)
        else:
            why = reasons(before, facts, change)
            yield from _of_columns(check, facts, change, why)
            if change.now.name in values and not (change.now.miscounted and values[change.now.name].rows):
                yield from _of_values(check, facts, before, values[change.now.name], why)


def _lost_table(check: Check, facts: FeatureFacts, change: TableChange) -> Finding:
    name = change.was.name if change.was is not None else ""
    planned = is_planned(facts, name)
    message = f"{name} is gone and not registered any more: the dataset has lost these features"
    return check.finding(
        "lost-features",
        NOTE if planned else WARN,
        message + (", as planned" if planned else ""),
        Remedy("Nothing has to be done.") if planned else anew(facts),
        evidence={"columns": [*change.was.features] if change.was is not None else []},
        subject=f"table {name}",
    )


def _of_columns(check: Check, facts: FeatureFacts, change: TableChange, why: Sequence[str]) -> Iterator[Finding]:
    table = change.now.name if change.now is not None else ""
    because = f"; {', and '.join(why)}" if why else "; nothing explains it"
    if change.lost:
        logged = _logged(facts, change)
        message = f"{table} has lost {_counted(change.lost)}{because}{logged}"
        remedy = _TRAIN_AGAIN if why else anew(facts)
        severity = NOTE if why else WARN
        yield _finding(check, "lost-features", severity, message, remedy, change.lost, f"table {table}")
    if change.lost_custom:
        message = f"{table} has lost {_counted(change.lost_custom)}, which MDM does not make by itself"
        text = "See what has become of the dataset's custom features (`custom-features-not-loading`). "
        remedy = Remedy(text + anew(facts).text)
        yield _finding(check, "lost-features", WARN, message, remedy, change.lost_custom, f"custom features of {table}")
    if change.planned:
        message = f"{table} has lost {_counted(change.planned)}, as planned"
        remedy = Remedy("Nothing has to be done.")
        yield _finding(check, "lost-features", NOTE, message, remedy, change.planned, f"planned for {table}")
    if change.new:
        message = f"{table} has {_counted(change.new)} that it did not have{because if why else ''}"
        yield _came(check, table, message, change.new)
    if change.retyped:
        message = f"{listed(change.retyped)} were numbers in {table} and are none now"
        yield _finding(check, "altered-features", WARN, message, anew(facts), change.retyped, f"types in {table}")


def _of_values(
    check: Check, facts: FeatureFacts, before: FeatureFacts, found: ValuesSince, why: Sequence[str]
) -> Iterator[Finding]:
    """Other values are to be expected where features were made again."""
    if registered_again(before, facts):
        why = (*why, "the dataset was registered again")
    if found.rows is not None:
        was, now = found.rows
        what = f"{found.table} had {counted(was, 'row')} and has {now}"
    elif found.altered:
        what = f"{found.table} has other values in {_counted(found.altered)}"
    elif found.copied:
        what = f"{found.table} has other values in what it took from the data: {listed(found.copied)}"
    elif found.rearranged:
        what = f"{found.table} has the same values in each column, and not in the same rows"
    else:
        return
    columns = (*found.altered, *found.copied)
    if _are_meant_to_change(facts, found):
        why = (*why, "which is planned")
    message = what + (f"; {', and '.join(why)}" if why else ", although nothing says that it was made again")
    remedy = _TRAIN_AGAIN if why else anew(facts)
    yield _finding(
        check, "altered-features", NOTE if why else WARN, message, remedy, columns, f"values in {found.table}"
    )


def _are_meant_to_change(facts: FeatureFacts, found: ValuesSince) -> bool:
    """Whether all the columns are planned to: its own under its name, what it took from the data under any."""
    if facts.plan is None or not (found.altered or found.copied):
        return False
    anywhere = {column for columns in facts.plan.values.values() for column in columns}
    return {*found.altered} <= {*facts.plan.table(found.table).values} and {*found.copied} <= anywhere


def _came(check: Check, table: str, message: str, columns: Sequence[str]) -> Finding:
    remedy = Remedy("Nothing has to be done; models that were trained without them do not know them.")
    return _finding(check, "new-features", NOTE, message, remedy, columns, f"table {table}")


def _finding(
    check: Check, code: str, severity: Severity, message: str, remedy: Remedy, columns: Sequence[str], subject: str
) -> Finding:
    evidence: dict[str, JSON] = {"columns": [*columns]}
    return check.finding(code, severity, message, remedy, evidence=evidence, subject=subject)


def _counted(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'feature')} ({listed(names)})"


def _logged(facts: FeatureFacts, change: TableChange) -> str:
    """The columns of lost features about which MDM logged an error when it made the others."""
    copied = change.was.copied if change.was is not None else ()
    made_of = [column for column in copied if any(name.startswith(f"{column}_") for name in change.lost)]
    blamed = [column for column in made_of if any(f"'{column}'" in each.message for each in facts.errors)]
    return f"; MDM logged an error about {listed(blamed)}" if blamed else ""
