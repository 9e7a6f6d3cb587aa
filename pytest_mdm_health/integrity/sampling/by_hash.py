"""The same rows of a large table each time: those whose key hashes below a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.backends import QueryFailed
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.digest.hashing import Plan, whole_hashes
from pytest_mdm_health.integrity.digest.tables import BadDigest, ColumnForm, plan_for, vector_of
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Reader, Source
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for
from pytest_mdm_health.integrity.table_comparison import RowCounts

STANDARD_ROWS = 1_000_000
"""Tables of up to so many rows are compared completely at depth `standard`."""

SAMPLED = 2000
"""About how many rows of a larger one are compared."""

_ALL = 2**64


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows, as hashes.

    Attributes:
        vector: as `TableDigest.vector`.
        key: the columns of the key.
        columns: all columns that were hashed, sorted by name.
        limit: rows belong to the sample if their key's hash is less.
        rows: the hash of the key and the hash of the row, sorted; a key may be there more than once.
        how: by what they were read, as `Reader.how`; not kept.
    """

    vector: str
    key: tuple[str, ...]
    columns: tuple[ColumnForm, ...]
    limit: int
    rows: tuple[tuple[int, int], ...]
    how: str = field(default="", compare=False)

    def to_plain(self) -> dict[str, Any]:
        """As data that JSON can hold."""
        return {
            "vector": self.vector,
            "key": list(self.key),
            "columns": [[each.name, each.type, each.form.value, each.written] for each in self.columns],
            "limit": f"{self.limit:x}",
            "rows": [f"{key:016x}{row:016x}" for key, row in self.rows],
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Sample:
        """The sample that `to_plain` made this of.

        Raises:
            BadDigest: it is none.
        """
        try:
            return Sample(
                vector=str(plain["vector"]),
                key=tuple(map(str, plain["key"])),
                columns=tuple(ColumnForm(name, type_, Form(form), as_) for name, type_, form, as_ in plain["columns"]),
                limit=int(plain["limit"], 16),
                rows=tuple((int(each[:16], 16), int(each[16:], 16)) for each in plain["rows"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadDigest("this is not a sample of a table") from error


def sample_table(source: Source, key: Sequence[str], rows: int = 0, *, like: Sample | None = None) -> Sample:
    """A sample of a table.

    Args:
        source: where it is.
        key: columns that identify a row.
        rows: about how many the table has, from which the limit follows; with `like` it is not used.
        like: another sample: the same key, columns and limit are used.

    Raises:
        CannotOpen: it cannot be opened.
        QueryFailed: there is no such table or key, or it cannot be read.
        Unreadable: the file cannot be read, or is no table.
    """
    with workbench_for(source) as workbench:
        return sampled(workbench, source, key, rows, like=like)


def sampled(
    workbench: Workbench, source: Source, key: Sequence[str], rows: int = 0, *, like: Sample | None = None
) -> Sample:
    """As `sample_table`, in a workbench that there is."""
    limit = like.limit if like else min(_ALL - 1, _ALL * SAMPLED // max(rows, 1))
    return workbench.carefully(lambda: _sampled(workbench, source, tuple(key), limit, like))


def _sampled(workbench: Workbench, source: Source, key: tuple[str, ...], limit: int, like: Sample | None) -> Sample:
    with opened(source, workbench) as reader:
        plan = plan_for(workbench, reader, like)
        wanted = like.key if like else key
        lacking = [each for each in wanted if each not in plan.names]
        if lacking or not wanted:
            raise QueryFailed(f"no such column: {', '.join(lacking)}" if lacking else "there is no key")
        types = {each.name: each.type for each in reader.columns}
        columns = (ColumnForm(each, types[each], plan.forms[each], plan.written.get(each, "")) for each in plan.names)
        return Sample(
            vector=vector_of(workbench),
            key=wanted,
            columns=tuple(columns),
            limit=limit,
            rows=tuple(sorted(_chosen(workbench, reader, plan, wanted, limit))),
            how=reader.how,
        )


def _chosen(
    workbench: Workbench, reader: Reader, plan: Plan, key: Sequence[str], limit: int
) -> Iterator[tuple[int, int]]:
    for batch in reader.batches(plan.names):
        hashed = whole_hashes(plan, reader, batch, key)
        sql = f"SELECT k, hash(h, coalesce(f, 0)) FROM ({hashed}) WHERE k < {limit}"  # noqa: S608 - made here
        yield from ((int(one), int(other)) for one, other in workbench.run(sql))


def compare_samples(before: Sample, after: Sample) -> RowCounts | None:
    """How the rows of a sample have changed; the second is made with `like=before`. None: they cannot be compared."""
    same = (before.vector, before.key, before.limit) == (after.vector, after.key, after.limit)
    if not same or {each.name for each in before.columns} != {each.name for each in after.columns}:
        return None
    gone, come = Counter(before.rows) - Counter(after.rows), Counter(after.rows) - Counter(before.rows)
    lost: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for side, rows in ((lost, gone), (found, come)):
        for (key, _), count in rows.items():
            side[key] += count
    altered = sum((lost & found).values())
    return RowCounts(
        of=len(before.rows),
        missing=sum(lost.values()) - altered,
        added=sum(found.values()) - altered,
        altered=altered,
    )
