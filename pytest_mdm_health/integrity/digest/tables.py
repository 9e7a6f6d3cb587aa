"""The digest of a table: what is in it, whatever the order of its rows and the engine that keeps it.

Every row is hashed in its canonical form and falls into one of 4,096 buckets by its hash; a bucket keeps how many rows
fell into it and the sum of their hashes. So two tables can be compared when one of them is long gone.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pytest_mdm_health.backends import Column
from pytest_mdm_health.integrity.digest.canonical import Form, written_like
from pytest_mdm_health.integrity.digest.hashing import (
    BUCKETS,
    FINE,
    ROWS,
    SUMS,
    Hashes,
    Plan,
    column_sums,
    fill,
    fine_counts,
    fold,
)
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Reader, Source
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for

CANONICAL_VERSION = 3
"""Changes with whatever changes the canonical form of any value."""

_ROWS_PER_BUCKET = 32
_SAMPLED = 100
_VECTOR = (
    "SELECT hash(1::DOUBLE), hash(-2.5::DOUBLE, NULL::DOUBLE), hash(''), hash('a'), hash(NULL::VARCHAR), "
    "hash('Zürich, eine lange Zeile Text'), hash(TIMESTAMP '1969-07-20 20:17:40.5'), hash(from_hex('00ff')), "
    "hash('x', 3::DOUBLE, NULL::TIMESTAMP, 'yy'), hash(hash(7::DOUBLE), 'a=n'), hash((-8)::BIGINT)"
)


class BadDigest(ValueError):
    """Plain data that is no digest."""


@dataclass(frozen=True)
class ColumnForm:
    """A column as it was digested.

    Attributes:
        type: as the table declares it.
        form: what its values were read as.
        written: how dates are written in it, if it holds them as text.
    """

    name: str
    type: str
    form: Form
    written: str = ""


@dataclass(frozen=True)
class Buckets:
    """Counts and sums by bucket; the number of buckets is a power of two.

    Attributes:
        counts: rows.
        sums: of the rows' hashes, modulo 2^64.
        fine: the same of what some backends cannot keep.
    """

    counts: tuple[int, ...]
    sums: tuple[int, ...]
    fine: tuple[int, ...]

    def folded(self, size: int) -> Buckets:
        """The same in fewer buckets."""
        return Buckets(*(_folded(each, size) for each in (self.counts, self.sums, self.fine)))


def _folded(numbers: Sequence[int], size: int) -> tuple[int, ...]:
    return tuple(sum(numbers[start::size]) % 2**64 for start in range(size))


@dataclass(frozen=True, kw_only=True)
class TableDigest:
    """What was in a table.

    Attributes:
        vector: tells the hash function; digests with different ones cannot be compared.
        engine: where it was read from: `sqlite`, `duckdb`, `postgresql`, `parquet` or `csv`.
        how: by what; see `Reader.how`.
        columns: the columns digested, in the order of the table.
        others: columns of the table that were left out, because what it is compared with does not have them.
        rows: how many rows there are.
        fine: for columns that have such, how many values some backends cannot keep: `n` NaN, `z` -0.0, `d` decimals.
        sums: for each column by itself the sum of its values' hashes and the number of values, if that was asked for.
    """

    vector: str
    engine: str
    how: str
    columns: tuple[ColumnForm, ...]
    rows: int
    buckets: Buckets
    others: tuple[str, ...] = ()
    fine: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sums: Mapping[str, tuple[int, int]] | None = None

    def to_plain(self) -> dict[str, Any]:
        """As data that JSON can hold; small tables take few buckets."""
        size = 1
        while size < min(BUCKETS, self.rows // _ROWS_PER_BUCKET):
            size *= 2
        return {
            "vector": self.vector,
            "engine": self.engine,
            "how": self.how,
            "columns": [[each.name, each.type, each.form.value, each.written] for each in self.columns],
            "others": list(self.others),
            "rows": self.rows,
            "buckets": _packed(self.buckets.folded(min(size, len(self.buckets.counts)))),
            "fine": {name: dict(counts) for name, counts in sorted(self.fine.items())},
            "sums": None if self.sums is None else {name: list(pair) for name, pair in sorted(self.sums.items())},
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> TableDigest:
        """The digest that `to_plain` made this of.

        Raises:
            BadDigest: it is none.
        """
        try:
            sums = plain["sums"]
            digest = TableDigest(
                vector=str(plain["vector"]),
                engine=str(plain["engine"]),
                how=str(plain["how"]),
                columns=tuple(ColumnForm(name, type_, Form(form), as_) for name, type_, form, as_ in plain["columns"]),
                others=tuple(map(str, plain["others"])),
                rows=int(plain["rows"]),
                buckets=_unpacked(plain["buckets"]),
                fine={name: {kind: int(count) for kind, count in each.items()} for name, each in plain["fine"].items()},
                sums=None if sums is None else {name: (int(a), int(b)) for name, (a, b) in sums.items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, struct.error, zlib.error) as error:
            raise BadDigest("this is not the digest of a table") from error
        if sum(digest.buckets.counts) != digest.rows:
            raise BadDigest("the digest does not count as many rows as it says")
        return digest


def _packed(buckets: Buckets) -> str:
    size = len(buckets.counts)
    raw = struct.pack(f"<I{3 * size}Q", size, *buckets.counts, *buckets.sums, *buckets.fine)
    return zlib.compress(raw, 9).hex()  # base64 may look like a password, and be masked as one


def _unpacked(packed: str) -> Buckets:
    inflate = zlib.decompressobj()
    raw = inflate.decompress(_bytes_of(packed), 4 + 3 * 8 * BUCKETS)
    (size,) = struct.unpack_from("<I", raw)
    if size not in {2**power for power in range(13)} or inflate.unconsumed_tail:
        raise BadDigest("its buckets are not as many as they should be")
    numbers = struct.unpack(f"<{3 * size}Q", raw[4:])
    return Buckets(numbers[:size], numbers[size : 2 * size], numbers[2 * size :])


def _bytes_of(packed: str) -> bytes:
    """What is written in hex; in older baselines it may be in base64, which for these bytes is never hex."""
    try:
        return base64.b64decode(packed, validate=True) if packed.startswith("e") else bytes.fromhex(packed)
    except (ValueError, AttributeError) as error:
        raise BadDigest("its buckets are not readable") from error


def vector_of(workbench: Workbench) -> str:
    """What identifies the hash function: fixed values, hashed."""
    values = workbench.run(_VECTOR)[0]
    packed = b"".join(int(value).to_bytes(8, "little") for value in values)
    return f"{CANONICAL_VERSION}-{zlib.crc32(packed):08x}{zlib.adler32(packed):08x}"


def digest_table(source: Source, *, like: TableDigest | None = None, by_column: bool = False) -> TableDigest:
    """The digest of a table.

    Args:
        source: where it is.
        like: another digest that this one is going to be compared with: the values are read as they were for that one,
            and columns that it does not have are left out.
        by_column: also for each column by itself, which costs another reading.

    Raises:
        CannotOpen: it cannot be opened.
        QueryFailed: there is no such table, or it cannot be read.
        Unreadable: the file cannot be read, or is no table.
    """
    with workbench_for(source) as workbench, digested(workbench, source, like, by_column=by_column) as (digest, _):
        return digest


@contextmanager
def digested(
    workbench: Workbench,
    source: Source,
    like: TableDigest | None = None,
    *,
    by_column: bool = False,
    keep: bool = False,
) -> Iterator[tuple[TableDigest, Hashes]]:
    """The digest, and the hashes that it was made from, which stay as long as the `with`; of all rows if `keep`.

    With these the digest has one bucket, and `in_buckets` makes the others.

    Raises:
        CannotOpen, QueryFailed, Unreadable: as `digest_table`.
    """
    with ExitStack() as stack:
        yield workbench.carefully(lambda: _digested(stack, workbench, source, like, by_column=by_column, keep=keep))


def _digested(
    stack: ExitStack, workbench: Workbench, source: Source, like: TableDigest | None, *, by_column: bool, keep: bool
) -> tuple[TableDigest, Hashes]:
    place = "BIGINT" if workbench.careful or source.engine == "sqlite" else "UINTEGER"
    rows = stack.enter_context(workbench.table("rows", f"{ROWS} {place}")) if keep else ""
    hashes = Hashes(rows, stack.enter_context(workbench.table("fine", FINE)))
    with opened(source, workbench) as reader, workbench.table("sums", SUMS) as sums:
        plan = plan_for(workbench, reader, like)
        fill(workbench, reader, plan, hashes, sums)
        buckets = _buckets(workbench, sums, hashes.fine, 1 if keep else BUCKETS)
        return _summed(workbench, reader, plan, buckets, by_column=by_column), hashes


class Columns(Protocol):
    """A digest, or whatever else says as what columns were read."""

    @property
    def columns(self) -> tuple[ColumnForm, ...]:
        """The columns."""


def plan_for(workbench: Workbench, reader: Reader, like: Columns | None) -> Plan:
    """What the columns are read as: as for the other digest, else as they are declared."""
    if like is not None:
        known = {each.name: each for each in like.columns}
        names = tuple(sorted(each.name for each in reader.columns if each.name in known))
        return Plan(names, {each: known[each].form for each in names}, {each: known[each].written for each in names})
    names = tuple(sorted(each.name for each in reader.columns))
    return Plan(names, reader.forms, _written(workbench, reader))


def _written(workbench: Workbench, reader: Reader) -> dict[str, str]:
    """For columns of text, how the first rows write dates, where looking at them is no second reading."""
    names = [each.name for each in reader.columns if reader.forms[each.name] is Form.TEXT]
    if not names or reader.engine in {"postgresql", "csv"}:
        return {}
    chosen = ", ".join(f"c{index}::VARCHAR" for index in range(len(names)))
    rows: list[tuple[str | None, ...]] = []
    for batch in reader.batches(names):
        rows += workbench.run(f"SELECT {chosen} FROM {batch.relation} LIMIT {_SAMPLED - len(rows)}")  # noqa: S608 - made here
        if len(rows) == _SAMPLED:
            break
    texts = ([each for each in column if each is not None] for column in zip(*rows, strict=True))
    return {name: written for name, each in zip(names, texts, strict=False) if (written := written_like(each))}


def _summed(workbench: Workbench, reader: Reader, plan: Plan, buckets: Buckets, *, by_column: bool) -> TableDigest:
    return TableDigest(
        vector=vector_of(workbench),
        engine=reader.engine,
        how=reader.how,
        columns=tuple(_form(each, plan) for each in reader.columns if each.name in plan.names),
        others=tuple(each.name for each in reader.columns if each.name not in plan.names),
        rows=sum(buckets.counts),
        buckets=buckets,
        fine=fine_counts(workbench, reader, plan) if any(buckets.fine) else {},
        sums=column_sums(workbench, reader, plan) if by_column else None,
    )


def _form(column: Column, plan: Plan) -> ColumnForm:
    return ColumnForm(column.name, column.type, plan.forms[column.name], plan.written.get(column.name, ""))


def in_buckets(workbench: Workbench, digest: TableDigest, hashes: Hashes) -> TableDigest:
    """A digest of one bucket in all of them, made from the hashes that were kept."""
    with workbench.table("sums", SUMS) as sums:
        fold(workbench, hashes.rows, sums)
        return replace(digest, buckets=_buckets(workbench, sums, hashes.fine, BUCKETS))


def _buckets(workbench: Workbench, sums: str, fine: str, size: int) -> Buckets:
    counts, totals, fines = [0] * size, [0] * size, [0] * size
    for bucket, count, total in workbench.run(f"SELECT bucket, sum(rows), sum(total) FROM {sums} GROUP BY 1"):  # noqa: S608 - made here
        counts[bucket], totals[bucket] = int(count), int(total) % 2**64
    for bucket, total in workbench.run(f"SELECT h & {size - 1}, sum(f) FROM {fine} GROUP BY 1"):  # noqa: S608 - made here
        fines[bucket] = int(total) % 2**64
    return Buckets(tuple(counts), tuple(totals), tuple(fines))
