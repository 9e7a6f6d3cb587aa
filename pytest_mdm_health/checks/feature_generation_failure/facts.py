"""What is known of one dataset's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.mdm.logs.features import FeatureRun


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """One feature table.

    Attributes:
        role: as registered; empty for a table that is not.
        name: the table's name.
        base: the table that it was generated from; empty if that is unknown.
        present: whether the database has it.
        columns: by name, the types of its columns.
        copied: those of its columns that the base table has too.
        rows: how many rows it has; None if they were not counted.
        base_rows: how many the base table has.
        rows_examined: rows whose values were examined.
        empty: columns without any value in these, although the base table has some.
        infinite: columns with infinite numbers, and how many; those of the base table are left out.
        constant: generated columns with the same value in all rows.
        failed: why it cannot be read; empty if it can.
    """

    role: str
    name: str
    base: str = ""
    present: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    rows: int | None = None
    base_rows: int | None = None
    rows_examined: int = 0
    empty: tuple[str, ...] = ()
    infinite: Mapping[str, int] = field(default_factory=dict)
    constant: tuple[str, ...] = ()
    failed: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """The generated columns."""
        copied = set(self.copied)
        return tuple(name for name in self.columns if name not in copied)

    @property
    def usable(self) -> bool:
        """Whether it is registered, exists and can be read."""
        return bool(self.role) and self.present and not self.failed

    @property
    def miscounted(self) -> bool:
        """Whether its number of rows differs from that of its base table."""
        return self.rows is not None and self.base_rows is not None and self.rows != self.base_rows

    def is_numeric(self, column: str) -> bool | None:
        """Whether a column has numbers by its declared type; None if the type does not tell."""
        kind = kind_of(self.columns[column])
        return None if kind is Kind.OTHER else kind in {*NUMBERS, Kind.BOOLEAN}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Features that one feature table has and another one lacks.

    Attributes:
        has, lacks: the two tables.
        missed: features whose absence has no explanation.
        explained: features that MDM may have omitted because they are not informative there.
        retyped: features that are numbers in one table and text in the other.
    """

    has: str
    lacks: str
    missed: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missed or self.explained or self.retyped)


@dataclass(frozen=True, kw_only=True)
class GeneratorTrial:
    """How the installed generator processed some rows of a table.

    Attributes:
        table: the table.
        rows: how many rows.
        features: how many features it generated.
        raised: the exception that stopped it, or how its process ended; empty if it finished.
        errors: what it logged as errors.
    """

    table: str
    rows: int
    features: int = 0
    raised: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValueChanges:
    """How the values of a feature table differ from the baseline, in the columns that both have.

    Attributes:
        table: the table.
        rows: the numbers of rows before and now, if they differ; then nothing else is known.
        altered: columns with other values.
        copied: columns with other values because the base table, which they were copied from, has other values.
        rearranged: whether each column has the same values, but in other rows.
    """

    table: str
    rows: tuple[int, int] | None = None
    altered: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    rearranged: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureFacts(Facts):
    """What was collected.

    Attributes:
        name: the dataset.
        source: the file or folder that it was registered from; empty if that was not found.
        has_regenerate: whether the installed MDM has a command that generates features again.
        tables: the registered feature tables, then those that are not registered.
        registered: how many feature tables are registered.
        differences: between the feature tables for training and others.
        run: the last generation that the log records; None if there is none.
        trial: how the installed generator processes the first rows; None if it was not run.
        engine: the backend.
        version: of the installed MDM; empty if unknown.
        refactored: whether an MDM after the refactoring has used this home: older ones store no metrics.
        registered_at: when the dataset was registered, which generates its features; empty if unknown.
        settings: those for features, as in effect.
        plan: the planned changes; None without a plan.
        digests: by table, the digest of its values.
        values: how the values differ from the baseline, for each table that was compared.
    """

    name: str
    source: str = ""
    has_regenerate: bool = False
    tables: tuple[FeatureTable, ...] = ()
    registered: int = 0
    differences: tuple[Difference, ...] = ()
    run: FeatureRun | None = None
    trial: GeneratorTrial | None = None
    engine: str = ""
    version: str = ""
    refactored: bool = False
    registered_at: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, metadata=BASELINE_ONLY)
    plan: ExpectedDataset | None = field(default=None, metadata=BASELINE_ONLY)
    digests: Mapping[str, Any] = field(default_factory=dict, metadata=BASELINE_ONLY)
    values: tuple[ValueChanges, ...] = ()
