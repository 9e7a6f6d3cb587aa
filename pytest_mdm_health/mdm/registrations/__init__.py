"""One dataset's registration: the YAML file, what it points to, its JSON copy, and which of them MDM will read.

MDM reads `<name>.yaml`; if no dataset can be made of that, for whatever reason, its Python API takes the JSON copy in
the dataset's folder and says nothing but a line in the log. Its commands read the YAML file only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_mdm_health.core.model import Location
from pytest_mdm_health.mdm.files import is_same_file
from pytest_mdm_health.mdm.home import Home, under
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE, JsonCopy, read_json_copy
from pytest_mdm_health.mdm.registrations.schema import Refusal, Shape, missing_fields, refusals, shape_of
from pytest_mdm_health.mdm.yaml_file import YamlDocument, load_yaml

POINTED_FILE = "dataset.yaml"
FEATURES = "_features"
OWN_TABLES = ("_metadata", "_columns", "_statistics")
"""The tables in which MDM keeps what it knows of the others."""
Source = Literal["yaml", "json"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What is registered under one name. Never shows the data, which may hold a password, in its repr.

    Attributes:
        name: the file's name without its ending, letter case as it is.
        file: the YAML file, or for a dataset without one the JSON copy.
        root: the home, from which relative paths are seen.
        shape: of the YAML file (of the JSON copy, where there is only that).
        document: the YAML file as read; None if there is none.
        pointed: for a pointer, the `dataset.yaml` that it leads to, if it leads anywhere.
        data: the mapping in force, a pointer followed; where MDM can use neither copy, the best there is.
        json_copy: the JSON copy; None if there is none.
        refused: fields of the YAML mapping that MDM's model refuses.
        missing: fields that the YAML mapping needs and does not have.
        seen: false for a file that MDM does not look for (`.yml`, upper-case letters).
        in_force: the copy that MDM's API makes a dataset of; None if it can of neither.
    """

    name: str
    file: Path
    root: Path
    shape: Shape
    document: YamlDocument | None = field(default=None, repr=False)
    pointed: YamlDocument | None = field(default=None, repr=False)
    data: Mapping[str, object] = field(default_factory=dict, repr=False)
    json_copy: JsonCopy | None = None
    refused: tuple[Refusal, ...] = ()
    missing: tuple[str, ...] = ()
    seen: bool = True
    in_force: Source | None = None

    @property
    def backend(self) -> str | None:
        """The backend as registered, known to MDM or not."""
        return _text(self._connection.get("backend")) or _text(self._connection.get("type"))

    @property
    def database(self) -> Path | None:
        """Where the data is registered to be: a file, or for a flat registration perhaps its folder; absolute."""
        text = self.registered_path
        return None if text is None else under(self.root, text)

    @property
    def registered_path(self) -> str | None:
        """The path of the data as it is written."""
        return _text(self._connection.get("path"))

    @property
    def server(self) -> tuple[str, str, str] | None:
        """Host, port and name of a database on a server, as far as registered; no user and no password."""
        if self.backend != "postgresql":
            return None
        address = _text(self._connection.get("connection_string"))
        if address is not None:
            return (address.rpartition("@")[2], "", "")
        host, port, name = (str(self._connection.get(part, "")) for part in ("host", "port", "database"))
        return (host, port, name)

    @property
    def tables(self) -> Mapping[str, str]:
        """Role to table, without the feature tables."""
        features = self.feature_tables
        names = set(features.values())
        return {role: table for role, table in self._all_tables.items() if role not in features and table not in names}

    @property
    def feature_tables(self) -> Mapping[str, str]:
        """Role to feature table; told by their names where the registration does not list them apart."""
        if "feature_tables" in self.data:
            return _texts(self.data["feature_tables"])
        every = self._all_tables
        bases = set(every.values())
        return {
            role: table
            for role, table in every.items()
            if table.endswith(FEATURES) and table.removesuffix(FEATURES) in bases
        }

    @property
    def recorded_rows(self) -> int | None:
        """The rows that MDM counted at registration; None if it never did (it then records 0 rows of 0 bytes)."""
        statistics = _mapping(_mapping(self.data.get("metadata")).get("statistics"))
        rows, size = (_whole(statistics.get(name)) for name in ("row_count", "memory_size_bytes"))
        return None if rows == 0 and not size else rows

    @property
    def usable(self) -> bool:
        """Whether MDM can make a dataset of the YAML file."""
        return self.document is not None and _makes_a_dataset(self.shape, self.refused, self.missing)

    def where(self, dotted: str = "") -> Location:
        """The place of a field in the YAML file, or of the nearest thing above it."""
        document = self.pointed if self.pointed is not None else self.document
        if document is None:
            return Location(str(self.file))
        while dotted and dotted not in document.positions:
            dotted = dotted.rpartition(".")[0]
        line, column = document.positions.get(dotted, (None, None)) if dotted else (None, None)
        return Location(str(document.path), line, column)

    @property
    def _connection(self) -> Mapping[str, object]:
        return _mapping(self.data["database"]) if "database" in self.data else self.data

    @property
    def _all_tables(self) -> Mapping[str, str]:
        return _texts(self.data.get("tables"))


def read_registration(file: Path, home: Home) -> Registration:
    """The registration in a file of the home's registrations, whatever state it is in. Never raises."""
    document = load_yaml(file)
    shape, pointed = shape_of(document.data), None
    data = _mapping(document.data)
    refused, missing = refusals(data, shape), missing_fields(data, shape) if shape != "unusable" else ()
    if shape == "pointer" and not refused and not missing:
        pointed = _follow(data, home)
        data = _mapping(pointed.data) if pointed else {}
        refused, missing = refusals(data, "full"), missing_fields(data, "full")
    json_copy = read_json_copy(home.datasets / file.stem.lower() / JSON_COPY_FILE)
    seen = _is_looked_for(file)
    fits = seen and document.usable and _makes_a_dataset(shape, refused, missing)
    in_force = _in_force(fits, json_copy)
    return Registration(
        name=file.stem,
        file=file,
        root=home.root,
        shape=shape,
        document=document,
        pointed=pointed,
        data=_best(in_force, data, json_copy),
        json_copy=json_copy,
        refused=refused,
        missing=missing,
        seen=seen,
        in_force=in_force,
    )


def registration_of_json_copy(name: str, json_copy: JsonCopy, home: Home) -> Registration:
    """The registration of a dataset folder that has a JSON copy and no YAML file."""
    data = json_copy.data or {}
    found = is_same_file(json_copy.path, home.datasets / name.lower() / JSON_COPY_FILE)
    return Registration(
        name=name,
        file=json_copy.path,
        root=home.root,
        shape=shape_of(json_copy.data),
        data=data,
        json_copy=json_copy,
        in_force="json" if json_copy.usable and found else None,
    )


def _follow(pointer: Mapping[str, object], home: Home) -> YamlDocument | None:
    folder = under(home.root, str(pointer["path"]))
    return None if folder is None else load_yaml(folder / POINTED_FILE)


def _makes_a_dataset(shape: Shape, refused: tuple[Refusal, ...], missing: tuple[str, ...]) -> bool:
    needed = set(missing) if shape == "flat" else set(missing) & {"name", "database", "path"}
    return shape != "unusable" and not refused and not needed


def _in_force(yaml_fits: bool, json_copy: JsonCopy | None) -> Source | None:
    if yaml_fits:
        return "yaml"
    return "json" if json_copy is not None and json_copy.usable else None


def _best(in_force: Source | None, data: Mapping[str, object], json_copy: JsonCopy | None) -> Mapping[str, object]:
    copy = json_copy.data if json_copy is not None and json_copy.data is not None else {}
    return copy if in_force == "json" or not data else data


def _is_looked_for(file: Path) -> bool:
    if file.suffix != ".yaml":
        return False
    return file.stem == file.stem.lower() or is_same_file(file, file.with_name(f"{file.stem.lower()}.yaml"))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> Mapping[str, str]:
    mapping: Mapping[Any, object] = _mapping(value)  # YAML has keys of any kind
    return {key: item for key, item in mapping.items() if isinstance(key, str) and isinstance(item, str)}


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - as long as a 64-bit number
        return int(value)
    return None if isinstance(value, bool) or not isinstance(value, int) else value
