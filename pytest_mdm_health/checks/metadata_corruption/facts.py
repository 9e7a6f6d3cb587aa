"""What is known of one registration, its twin, and the data that both speak of: the facts of metadata-corruption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.checks._shared.backup_restore import Saved
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts, Location
from pytest_mdm_health.mdm.host.permissions import Barrier
from pytest_mdm_health.mdm.placement import Place
from pytest_mdm_health.mdm.registrations.schema import Refusal


@dataclass(frozen=True, kw_only=True)
class Unread:
    """Something about the YAML text that keeps MDM from reading it, or from reading what was meant."""

    code: str
    message: str
    line: int | None
    column: int | None
    key: str


@dataclass(frozen=True, kw_only=True)
class YamlState:
    """The YAML file.

    Attributes:
        file: the YAML file, else what lies there without one.
        there: whether there is a YAML file.
        readable: whether MDM can parse it into a mapping, a pointer followed.
        empty: whether there is nothing in it.
        pointer: for a pointer, the file that it leads to.
        seen: whether MDM looks for a file of this name.
        overlooked: further files of the same name that MDM does not look at.
        where: line and column of fields in the file, or in the one that it points to.
        barrier: the missing permission that keeps it from being read.
    """

    file: str
    there: bool
    readable: bool
    empty: bool
    shape: str
    pointer: str
    seen: bool
    overlooked: tuple[str, ...]
    unread: tuple[Unread, ...]
    missing: tuple[str, ...]
    refused: tuple[Refusal, ...]
    where: Mapping[str, tuple[int, int]]
    barrier: Barrier | None = None

    def place(self, *fields: str) -> Location:
        """Where the first of these fields stands that is in the file; else the file."""
        lines = (self.where[field] for field in fields if field in self.where)
        return Location(self.pointer or self.file, *next(lines, (None, None)))


@dataclass(frozen=True, kw_only=True)
class LineEdit:
    """The change of one line of a file, the first one being 1, after which only what is meant has another value."""

    file: str
    line: int
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class TwinState:
    """The JSON copy: why it cannot be read, what MDM refuses in it, and where it says something else than the YAML.

    Attributes:
        absent: fields that have a value in it and are not in the YAML file at all.
        complete: whether it says all that the YAML file says, and more.
        as_yaml: whether a reader of YAML takes its text for the same values as a reader of JSON. It does not where a
            character is written as two escapes, or a number as `1e-05`.
        older: if it was last written before the YAML file, when both were, for a person; else empty.
    """

    file: str
    there: bool
    usable: bool
    problem: str
    refused: tuple[str, ...]
    differs: tuple[str, ...]
    harmless: bool
    barrier: Barrier | None = None
    older: str = ""
    absent: tuple[str, ...] = ()
    complete: bool = False
    as_yaml: bool = False


@dataclass(frozen=True, kw_only=True)
class OnServer:
    """Data on a server.

    Attributes:
        address: server and database.
        code: why it could not be opened, in one word; empty if it could.
        reason: the same for a person.
        guessed: whether nothing but MDM's defaults says that it is this server.
    """

    address: str
    code: str = ""
    reason: str = ""
    guessed: bool = False


@dataclass(frozen=True, kw_only=True)
class DataState:
    """The data that is registered: on which backend, where, and what is really there.

    Attributes:
        owner: the other dataset whose own file is registered for this one, though this one has a file of its own.
    """

    backend: str | None
    real_engine: str | None
    default_backend: str
    default_from: str
    place: Place | None
    files: tuple[str, ...]
    shared_with: tuple[str, ...]
    server: OnServer | None = None
    barrier: Barrier | None = None
    owner: str = ""


@dataclass(frozen=True)
class MissingColumn:
    """A column that the registration names and that none of the tables has.

    Attributes:
        nearest: a column that is spelled almost like it.
        in_twin: the columns that the JSON copy names in its stead and that are there.
    """

    field: str
    column: str
    tables: tuple[str, ...]
    nearest: str
    in_twin: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the registration in force says of the dataset."""

    name: str | None
    version: str | None
    odd_version: bool
    odd_dates: tuple[tuple[str, str], ...]
    tables: Mapping[str, str]
    columns: Mapping[str, tuple[str, ...]]
    missing_columns: tuple[MissingColumn, ...]


@dataclass(frozen=True, kw_only=True)
class Absence:
    """What is known where there is no YAML file.

    Attributes:
        remembered: whether only the baseline knows the dataset.
        was: for such a one, where its data was: a file as seen from where the home is now, or an address on a server.
        lies: whether that file is still there.
        on_server: whether the data of such a one was on a server, where nobody looked.
        was_registered: whether such a one was registered when the baseline was recorded; None if that is not known.
        known_as: another dataset that is registered with that data now.
        saved: what a backup holds of what is missing.
        sought: the folders in which backups were looked for.
        usual: the YAML file where MDM keeps it unless it is told otherwise, if there is one and MDM looks elsewhere.
    """

    remembered: bool
    was: str
    lies: bool
    on_server: bool
    was_registered: bool | None
    known_as: str
    saved: tuple[Saved, ...]
    sought: tuple[str, ...]
    usual: str = ""


@dataclass(frozen=True, kw_only=True)
class MetadataFacts(Facts):
    """One dataset's registration as it stands, without the user and password of its connection.

    Attributes:
        in_force: the copy that MDM's API makes a dataset of: `yaml`, `json` or null.
        root: the home.
        registrations: the folder of the YAML files.
        registered: whether there is a registration in any form.
        taken: which of the files that this one might be renamed to are there already.
        absence: what is known where there is no YAML file; None where there is one.
        removal_planned: whether the migration is meant to remove the dataset.
        path_edits: what makes both copies name the right file, if it is known for sure.
        described: further fields that have a value: the value where it is one of few, else a digest of it.
        planned: columns that the migration is meant to rename, to their new names, or to drop, to an empty text.
    """

    name: str
    root: str
    registrations: str
    registered: bool
    in_force: str | None
    yaml: YamlState
    twin: TwinState
    data: DataState
    content: Content
    taken: tuple[str, ...] = ()
    absence: Absence | None = None
    removal_planned: bool = False
    path_edits: tuple[LineEdit, ...] = ()
    described: Mapping[str, str] = field(default_factory=dict, metadata=BASELINE_ONLY)
    planned: Mapping[str, str] = field(default_factory=dict, metadata=BASELINE_ONLY)

    def yaml_of(self, name: str) -> str:
        """The YAML file that MDM looks for under this name."""
        return f"{self.registrations}/{name.lower()}.yaml"

    @property
    def keeps_to_defaults(self) -> bool:
        """Whether MDM looks for registrations where it does unless it is told otherwise."""
        return self.registrations == f"{self.root}/config/datasets"

    @property
    def usual_yaml(self) -> str:
        """The YAML file that MDM looks for."""
        return self.yaml_of(self.name)
