"""The file of planned changes (`--mdm-expect`): its shape, and what it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from pytest_mdm_health.baseline.user_yaml import FileShape, Shape, ShapedFile, nearest, read_shaped
from pytest_mdm_health.core.expected import Expected, ExpectedDataset, RowsExpected
from pytest_mdm_health.mdm.registrations.fields import is_compared
from pytest_mdm_health.mdm.registrations.schema import refusals
from pytest_mdm_health.mdm.settings.schema import BY_NAME, SECTIONS, Backend, Refused, accepted

Name = Annotated[str, Field(min_length=1)]


class _Rows(Shape):
    change: int = 0
    at_most: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _only_one(self) -> _Rows:
        if len(self.model_fields_set) != 1:
            raise ValueError("takes either `change` or `at_most`")
        return self

    @property
    def expected(self) -> RowsExpected:
        return RowsExpected(**{name: getattr(self, name) for name in self.model_fields_set})


class _Table(Shape):
    rename: dict[Name, Name] = Field(default_factory=dict)
    drop: list[Name] = Field(default_factory=list)
    add: list[Name] = Field(default_factory=list)
    types: dict[Name, Name] = Field(default_factory=dict)
    values: list[Name] = Field(default_factory=list)
    rows: _Rows = Field(default_factory=_Rows.model_construct)

    @model_validator(mode="after")
    def _one_word_on_each_column(self) -> _Table:
        _refuse_both("dropped and renamed", self.drop, self.rename)
        _refuse_both("dropped and added", self.drop, self.add)
        _refuse_both("the new name of a column and an added one", self.rename.values(), self.add)
        _refuse_both("dropped and has other values", self.drop, self.values)
        _refuse_both("added and has other values than before", self.add, self.values)
        old = set(self.rename) - set(self.rename.values())
        _refuse_both("renamed and has other values under its old name", old, self.values)
        if len(set(self.rename.values())) < len(self.rename):
            raise ValueError("gives two columns one new name")
        return self


class _Dataset(Shape):
    backend: Backend | None = None
    removed: bool | None = None
    added_tables: list[Name] = Field(default_factory=list)
    dropped_tables: list[Name] = Field(default_factory=list)
    registration: dict[Name, Any] = Field(default_factory=dict)
    changed_fields: list[Name] = Field(default_factory=list)
    tables: dict[Name, _Table] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_word_on_each_table(self) -> _Dataset:
        if self.removed and self.model_fields_set != {"removed"}:
            raise ValueError("is removed, so nothing else can be planned for it")
        _refuse_both("dropped and added", self.dropped_tables, self.added_tables)
        _refuse_both("dropped and changed", self.dropped_tables, self.tables)
        return self

    @model_validator(mode="after")
    def _fields_that_are_compared(self) -> _Dataset:
        for name in (*self.registration, *self.changed_fields):
            if not is_compared(name):
                raise ValueError(f"plans `{name}` of the registration, which is not compared")
        _refuse_both("of one value and of any other", self.registration, self.changed_fields)
        for name, value in self.registration.items():
            for refusal in refusals({name: value}, "full") if value is not None else ():
                raise ValueError(f"gives `{name}` a value that MDM rejects; it takes {refusal.takes}")
        return self

    @property
    def expected(self) -> ExpectedDataset:
        return ExpectedDataset(
            backend=self.backend,
            removed=self.removed,
            added_tables=tuple(self.added_tables),
            dropped_tables=tuple(self.dropped_tables),
            registration=self.registration,
            changed_fields=tuple(self.changed_fields),
            renamed={name: table.rename for name, table in self.tables.items() if table.rename},
            dropped={name: tuple(table.drop) for name, table in self.tables.items() if table.drop},
            added={name: tuple(table.add) for name, table in self.tables.items() if table.add},
            types={name: table.types for name, table in self.tables.items() if table.types},
            values={name: tuple(table.values) for name, table in self.tables.items() if table.values},
            rows={name: table.rows.expected for name, table in self.tables.items() if "rows" in table.model_fields_set},
        )


class ExpectationsFile(FileShape):
    """The whole file."""

    option: ClassVar[str] = "--mdm-expect"
    published: ClassVar[str] = "expectations.schema.json"

    version: Literal["mdm-expectations/1"] = Field(alias="schema")
    datasets: dict[Name, _Dataset] = Field(default_factory=dict)
    settings: dict[Name, Any] = Field(default_factory=dict)


def read_expectations(path: Path) -> Expected:
    """The planned changes in a file.

    Raises:
        UnusableFile: it cannot be read or is not what it has to be; one line that says why.
    """
    file = read_shaped(path, ExpectationsFile)
    return Expected(
        given=True,
        datasets={glob: dataset.expected for glob, dataset in file.content.datasets.items()},
        settings={key: _planned(file, key, value) for key, value in file.content.settings.items()},
    )


def _planned(file: ShapedFile[ExpectationsFile], key: str, value: object) -> object:
    """A planned value as MDM gets it, lists as tuples, so that it equals the one in force."""
    if key in SECTIONS:
        raise file.unusable(f"`{key}` is a section; write each key with its dots", "settings", key)
    if key not in BY_NAME:
        raise file.unusable(f"`{key}` is no setting of MDM; {_near(key)}", "settings", key)
    if BY_NAME[key].secret:
        raise file.unusable(f"`{key}` is a secret, which is not compared; take it out", "settings", key)
    taken = accepted(key, value)
    if isinstance(taken, Refused):
        raise file.unusable(f"`{key}` takes {taken.wanted}", "settings", key)
    return taken


def _near(key: str) -> str:
    """By its last part, too: who forgets the section means the key all the same."""
    same = [name for name in BY_NAME if name.endswith(f".{key}")]
    return nearest(key, same or BY_NAME)


def _refuse_both(what: str, some: Iterable[str], others: Iterable[str] | Mapping[str, object]) -> None:
    for name in sorted(set(some) & set(others)):
        raise ValueError(f"says of `{name}` that it is {what}")
