"""Two digests compared: equal, different, or not comparable; and what a backend could not keep told from damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_mdm_health.integrity.digest.canonical import Form, form_of
from pytest_mdm_health.integrity.digest.tables import Buckets, ColumnForm, TableDigest
from pytest_mdm_health.integrity.table_comparison import Retyped

Verdict = Literal["equal", "differs", "incomparable"]
LOSSES = {
    "n": "NaN became NULL",
    "z": "-0.0 became 0.0",
    "d": "digits of decimals beyond the 15th were lost",
}
"""The letter in the canonical form of values that some backends cannot store, and what happened to such a value."""

CANNOT_KEEP: Mapping[str, frozenset[str]] = {"sqlite": frozenset("nzd"), "csv": frozenset("n")}
"""By backend, the values that it cannot keep; all others keep all."""

_MANY = 2


@dataclass(frozen=True)
class Loss:
    """Values that the backend cannot keep.

    Attributes:
        code: the letter in `LOSSES`.
        values: how many.
    """

    column: str
    code: str
    values: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is different between a table before and after.

    Attributes:
        verdict: about the rows, in the columns that both have; a column that is gone is a difference too.
        reason: why it is so, for a person.
        differing: buckets that differ, of `buckets`.
        fine: whether a difference in what some backends cannot keep counts.
        losses: what a backend could not keep: no damage.
        missing_columns: columns that are gone; then rows as such cannot be compared by digests.
        added_columns: columns that are new, and were left out.
        altered_columns: columns whose values, each column taken by itself, are not the same; None if not known.
        patterns: names of what the difference looks like; see `patterns`.
    """

    verdict: Verdict
    reason: str
    rows_before: int
    rows_after: int
    differing: tuple[int, ...] = ()
    buckets: int = 0
    fine: bool = True
    losses: tuple[Loss, ...] = ()
    retyped: tuple[Retyped, ...] = ()
    missing_columns: tuple[str, ...] = ()
    added_columns: tuple[str, ...] = ()
    altered_columns: tuple[str, ...] | None = None
    patterns: tuple[str, ...] = ()


def compare_digests(before: TableDigest, after: TableDigest) -> Comparison:
    """What two digests say; the second is best made with `like=before`."""
    old, new = ({each.name: each for each in digest.columns} for digest in (before, after))
    missing = tuple(name for name in old if name not in new)
    added = (*(name for name in new if name not in old), *(name for name in after.others if name not in old))
    was, now = ({column.name: column.type for column in digest.columns} for digest in (before, after))
    retyped = retyped_columns(was, now, (before.engine, after.engine))
    reason = _incomparable(before, after, old, new)
    verdict, differing, buckets, losses = _verdict(before, after, comparable=not reason and not missing)
    extra = tuple(name for name in new if name not in old)
    if reason or (extra and not missing):
        verdict, differing, losses = "incomparable", (), ()
    return Comparison(
        verdict=verdict,
        reason=reason or _reason(verdict, before, after, missing, extra),
        rows_before=before.rows,
        rows_after=after.rows,
        differing=differing,
        buckets=buckets,
        fine=not losses,
        losses=losses,
        retyped=retyped,
        missing_columns=missing,
        added_columns=added,
        altered_columns=_altered(before, after),
        patterns=_patterns(before, after, old, retyped, differs=bool(differing)),
    )


def _incomparable(
    before: TableDigest, after: TableDigest, old: Mapping[str, ColumnForm], new: Mapping[str, ColumnForm]
) -> str:
    if before.vector != after.vector:
        return "the digests were made with different hash functions, so they say nothing about each other"
    for name in old:
        if name in new and old[name].form.domain != new[name].form.domain:
            return f"column {name} was read as {old[name].form.value} before and as {new[name].form.value} now"
    return ""


def _verdict(
    before: TableDigest, after: TableDigest, *, comparable: bool
) -> tuple[Verdict, tuple[int, ...], int, tuple[Loss, ...]]:
    if not comparable:
        return "differs", (), 0, ()
    size = min(len(before.buckets.counts), len(after.buckets.counts))
    one, other = before.buckets.folded(size), after.buckets.folded(size)
    losses = tuple(_losses(before, after)) if one.fine != other.fine else ()
    differing = _differing(one, other, fine=not losses)
    return ("differs" if differing else "equal"), differing, size, losses


def _differing(one: Buckets, other: Buckets, *, fine: bool) -> tuple[int, ...]:
    pairs = zip(one.counts, one.sums, one.fine, other.counts, other.sums, other.fine, strict=True)
    return tuple(
        index
        for index, (count, total, more, count2, total2, more2) in enumerate(pairs)
        if count != count2 or total != total2 or (fine and more != more2)
    )


def _losses(before: TableDigest, after: TableDigest) -> list[Loss]:
    """What one side's backend could not keep, if that explains all that is different in such values."""
    for lossy, whole in ((after, before), (before, after)):
        lost = CANNOT_KEEP.get(lossy.engine, frozenset())
        if lost and not _counts(lossy, lost) and _rest(lossy, lost) == _rest(whole, lost):
            return [Loss(name, code, count) for (name, code), count in sorted(_counts(whole, lost).items())]
    return []


def _counts(digest: TableDigest, codes: frozenset[str]) -> dict[tuple[str, str], int]:
    found = ((name, code, count) for name, counts in digest.fine.items() for code, count in counts.items())
    return {(name, code): count for name, code, count in found if code in codes}


def _rest(digest: TableDigest, codes: frozenset[str]) -> dict[tuple[str, str], int]:
    return _counts(digest, frozenset(LOSSES) - codes)


def _reason(
    verdict: Verdict, before: TableDigest, after: TableDigest, missing: tuple[str, ...], extra: tuple[str, ...]
) -> str:
    if missing:
        return f"columns are gone: {', '.join(missing)}"
    if extra:
        return f"the later digest has columns that the earlier one has not: {', '.join(extra)}"
    if verdict == "equal":
        return "every row is there as often as before, with the same values"
    if before.rows != after.rows:
        return f"the number of rows was {before.rows} and is {after.rows}"
    return "there are as many rows as before, and not the same ones"


def _altered(before: TableDigest, after: TableDigest) -> tuple[str, ...] | None:
    if before.sums is None or after.sums is None or before.vector != after.vector:
        return None
    excused = bool(_losses(before, after))
    both = [name for name in before.sums if name in after.sums]
    fine = {name: (before.fine.get(name, {}), after.fine.get(name, {})) for name in both}
    return tuple(
        name
        for name in both
        if _own(before.sums[name], not any(fine[name])) != _own(after.sums[name], not any(fine[name]))
        or (fine[name][0] != fine[name][1] and not excused)
    )


def _own(sums: tuple[int, int], counted: bool) -> tuple[int, int]:
    return sums if counted else (sums[0], 0)


def retyped_columns(
    before: Mapping[str, str], after: Mapping[str, str], engines: tuple[str, str]
) -> tuple[Retyped, ...]:
    """The columns that are declared with another type, given the declared types by name; CSV declares none."""
    if "csv" in engines:
        return ()
    found = []
    for name in before:
        if name in after:
            was, now = form_of(before[name], engines[0]), form_of(after[name], engines[1])
            if was is not None and now is not None and (code := _change(was, now)):
                found.append(Retyped(name, before[name], after[name], code))
    return tuple(found)


_CHANGES = {
    (Form.BOOLEAN, Form.INTEGER): "boolean-as-number",
    (Form.TIME, Form.TEXT): "time-as-text",
    (Form.INSTANT, Form.TEXT): "time-as-text",
    (Form.INSTANT, Form.TIME): "zone-dropped",
    (Form.INTEGER, Form.FLOAT): "integer-as-float",
    (Form.DECIMAL, Form.FLOAT): "decimal-as-float",
}


def _change(was: Form, now: Form) -> str:
    if was is now or {was, now} == {Form.FLOAT, Form.FLOAT32}:
        return ""
    return _CHANGES.get((was, now), "as-text" if now is Form.TEXT else "other")


def _patterns(
    before: TableDigest,
    after: TableDigest,
    old: Mapping[str, ColumnForm],
    retyped: tuple[Retyped, ...],
    *,
    differs: bool,
) -> tuple[str, ...]:
    found = []
    texts = [each for each in retyped if each.code in {"as-text", "time-as-text"}]
    if len(texts) >= _MANY and len(texts) == sum(each.form is not Form.TEXT for each in old.values()):
        found.append("everything-as-text")
    if differs and before.rows and after.rows > before.rows and not after.rows % before.rows:
        times, size = after.rows // before.rows, min(len(before.buckets.counts), len(after.buckets.counts))
        if _times(before.buckets.folded(size), times) == after.buckets.folded(size):
            found.append("rows-doubled" if times == _MANY else "rows-repeated")
    return tuple(found)


def _times(buckets: Buckets, times: int) -> Buckets:
    return Buckets(
        tuple(count * times for count in buckets.counts),
        *(tuple(total * times % 2**64 for total in totals) for totals in (buckets.sums, buckets.fine)),
    )
