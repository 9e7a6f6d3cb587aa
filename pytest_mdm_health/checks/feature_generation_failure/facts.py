"""What is known of one dataset's features: the facts of feature-generation-failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.mdm.logs.features import LoggedError


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """One feature table.

    Attributes:
        role: as registered; empty for one that is not.
        name: the table's name.
        base: the table that it was made from; empty if that is not known.
        present: whether the database has it.
        columns: by name, the types of its columns.
        copied: those of its columns that the base table has too.
        rows: how many rows it has; None if they were not counted.
        base_rows: how many the base table has.
        looked_at: rows whose values were looked at.
        empty: columns without any value there, although the base table has some.
        infinite: columns with infinite numbers, and how many; those of the base table are left out.
        constant: columns that were made and have one and the same value in all rows.
        failed: why it cannot be read.
    """

    role: str
    name: str
    base: str = ""
    present: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    rows: int | None = None
    base_rows: int | None = None
    looked_at: int | None = None
    empty: tuple[str, ...] = ()
    infinite: Mapping[str, int] = field(default_factory=dict)
    constant: tuple[str, ...] = ()
    failed: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that were made."""
        copied = set(self.copied)
        return tuple(name for name in self.columns if name not in copied)

    @property
    def usable(self) -> bool:
        """Whether it is registered, and there to be read."""
        return bool(self.role) and self.present and not self.failed

    @property
    def miscounted(self) -> bool:
        """Whether it has not as many rows as the table that it was made from."""
        return self.rows is not None and self.base_rows is not None and self.rows != self.base_rows


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Features that one of two feature tables has and the other one has not.

    Attributes:
        has, lacks: the two tables.
        missed: features that nothing explains the lack of.
        explained: features that MDM may have left out there, because they told too little.
        retyped: features that are numbers in one table and texts in the other.
    """

    has: str
    lacks: str
    missed: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GeneratorTrial:
    """How the installed generator fared with some rows of a table.

    Attributes:
        table: the table.
        rows: how many rows.
        features: how many features it made.
        raised: the exception that it ended with, or how it ended otherwise; empty if it came to its end.
        errors: what it logged as errors.
    """

    table: str
    rows: int
    features: int = 0
    raised: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValuesSince:
    """How the values of a feature table differ from those in the baseline, in the columns that both have.

    Attributes:
        rows: how many rows it had and has, if that is not the same; then nothing else is known.
        altered: columns with other values.
        copied: columns that have other values because the base table has, of which they were taken.
        rearranged: whether each column has the same values, and not in the same rows.
    """

    table: str
    rows: tuple[int, int] | None = None
    altered: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    rearranged: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureFacts(Facts):
    """What was seen.

    Attributes:
        name: the dataset.
        home: the home, absolute.
        source: the file or folder that the dataset came from; empty if it is nowhere to be found.
        regenerates: whether the installed MDM has a command that makes features anew.
        tables: the registered feature tables, then those that are not registered.
        registered: how many feature tables are registered.
        differences: between the feature tables of train and others.
        failure: why the last generation that the log tells of failed as a whole; empty if it did not.
        failure_at: file and line of the log where that generation begins.
        errors: what went wrong in it without stopping it.
        trial: how the installed generator fares; None if it was not tried.
        engine: the backend.
        version: of the installed MDM; empty if it is not known.
        refactored: whether an MDM after the refactoring has worked in this home: the others keep no metrics.
        registered_at: when the dataset was registered, which makes its features; empty if that is not known.
        settings: those for features, in force.
        plan: what is meant to change; None if nobody said.
        digests: by table, what is in it.
        values: what became of the values since the baseline, of each table that was compared.
    """

    name: str
    home: str
    source: str = ""
    regenerates: bool = False
    tables: tuple[FeatureTable, ...] = ()
    registered: int = 0
    differences: tuple[Difference, ...] = ()
    failure: str = ""
    failure_at: tuple[str, int] | None = None
    errors: tuple[LoggedError, ...] = ()
    trial: GeneratorTrial | None = None
    engine: str = ""
    version: str = ""
    refactored: bool = False
    registered_at: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, metadata=BASELINE_ONLY)
    plan: ExpectedDataset | None = field(default=None, metadata=BASELINE_ONLY)
    digests: Mapping[str, Any] = field(default_factory=dict, metadata=BASELINE_ONLY)
    values: tuple[ValuesSince, ...] = ()
