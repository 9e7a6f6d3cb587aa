"""What is known of one registration, its JSON copy, and the data that both describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts, Location
from pytest_mdm_health.mdm.backups.search import Saved
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.mdm.host.permissions import Barrier
from pytest_mdm_health.mdm.placement import Place
from pytest_mdm_health.mdm.registrations.schema import Refusal
from pytest_mdm_health.mdm.yaml_file import YamlProblem


@dataclass(frozen=True, kw_only=True)
class YamlState:
    """The YAML file.

    Attributes:
        file: the YAML file; without one, where the dataset is.
        exists: whether there is a YAML file.
        readable: whether MDM can parse it into a mapping, a pointer followed.
        empty: whether there is nothing in it.
        pointer: for a pointer, the file that it leads to.
        seen: whether MDM looks for a file of this name.
        overlooked: further files of the same name that MDM does not look at.
        problems: what keeps MDM from reading it, or from reading what was intended.
        missing: required fields that it does not have.
        refused: fields that MDM rejects.
        positions: line and column of fields in the file, or in the one that it points to.
        barrier: the missing permission that keeps it from being read.
    """

    file: str
    exists: bool
    readable: bool
    empty: bool
    shape: str
    pointer: str
    seen: bool
    overlooked: tuple[str, ...]
    problems: tuple[YamlProblem, ...]
    missing: tuple[str, ...]
    refused: tuple[Refusal, ...]
    positions: Mapping[str, tuple[int, int]]
    barrier: Barrier | None = None

    @property
    def path(self) -> str:
        """The file that has the fields, a pointer followed."""
        return self.pointer or self.file

    def place(self, *fields: str) -> Location:
        """Where the first of these fields is that the file has; else the file."""
        found = (self.positions[field] for field in fields if field in self.positions)
        return Location(self.path, *next(found, (None, None)))


@dataclass(frozen=True, kw_only=True)
class JsonCopyState:
    """The JSON copy: why it cannot be read, what MDM rejects in it, and where it contradicts the YAML file.

    Attributes:
        name: the dataset's name in it, if it has one.
        absent: fields that have a value in it and are not in the YAML file at all.
        restores: whether what the YAML file lacks can be added from it, because the two agree in all else.
        older: if it was last written before the YAML file, when both were, for people; else empty.
    """

    file: str
    exists: bool
    usable: bool
    problem: str
    refused: tuple[str, ...]
    differs: tuple[str, ...]
    harmless: bool
    barrier: Barrier | None = None
    older: str = ""
    absent: tuple[str, ...] = ()
    name: str = ""
    restores: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Data on a server.

    Attributes:
        address: server and database.
        code: why it could not be opened, in one word; empty if it could.
        reason: the same for people.
        guessed: whether nothing but MDM's defaults says that it is this server.
    """

    address: str
    code: str = ""
    reason: str = ""
    guessed: bool = False


@dataclass(frozen=True, kw_only=True)
class DataState:
    """The data that is registered: on which backend, where, and what really exists.

    Attributes:
        default_backend: that of MDM; empty if MDM does not start, and then it is not known either.
        owner: the other dataset whose own file is registered for this one, though this one has a file of its own.
        logs: logs with changes where the registered file should be, if that is missing.
        saved: the newest backup that holds the file, if it is missing at its place in this home; empty if none does.
    """

    backend: str | None
    real_engine: str | None
    default_backend: str
    default_from: str
    place: Place | None
    files: tuple[str, ...]
    shared_with: tuple[str, ...]
    server: ServerState | None = None
    barrier: Barrier | None = None
    owner: str = ""
    logs: tuple[str, ...] = ()
    saved: str = ""


@dataclass(frozen=True)
class MissingColumn:
    """A column that the registration names and that none of the tables has.

    Attributes:
        nearest: a column with almost the same name.
        in_json_copy: the columns that the JSON copy names in its place and that exist.
    """

    field: str
    column: str
    tables: tuple[str, ...]
    nearest: str
    in_json_copy: tuple[str, ...] = ()


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
        former_place: where the data of such a dataset was: a file as seen from where the home is now, or an address on
            a server.
        data_exists: whether that file still exists.
        on_server: whether the data of such a dataset was on a server, which was not examined.
        was_registered: whether such a dataset was registered in the baseline; None if that is unknown.
        known_as: another dataset that is now registered with that data.
        saved: what a backup has of what is missing.
        searched: the folders in which backups were searched for.
        default_yaml: the YAML file in MDM's default place, if there is one and MDM looks elsewhere.
    """

    remembered: bool
    former_place: str
    data_exists: bool
    on_server: bool
    was_registered: bool | None
    known_as: str
    saved: tuple[Saved, ...]
    searched: tuple[str, ...]
    default_yaml: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the baseline knows a dataset of which nothing is left."""
        return self.remembered and not (self.data_exists or self.on_server)


@dataclass(frozen=True, kw_only=True)
class MetadataFacts(Facts):
    """One dataset's registration, without the user and password of its connection.

    Attributes:
        in_force: the copy that MDM's API makes a dataset of: `yaml`, `json` or null.
        root: the home.
        registrations: the folder of the YAML files.
        registered: whether there is a registration in any form.
        taken: which of the files that this one might be renamed to exist already.
        absence: what is known where there is no YAML file; None where there is one.
        right_path: the file that both copies should name, if it is known for sure and they can be made to.
        plan: what the migration is expected to change in the dataset; None without a plan.
        recorded: by copy, `yaml` and `json`, the other fields that have a value, as `recorded_fields` records them.
    """

    name: str
    root: str
    registrations: str
    registered: bool
    in_force: str | None
    yaml: YamlState
    json_copy: JsonCopyState
    data: DataState
    content: Content
    taken: tuple[str, ...] = ()
    absence: Absence | None = None
    right_path: str = ""
    plan: ExpectedDataset | None = field(default=None, metadata=BASELINE_ONLY)
    recorded: Mapping[str, Mapping[str, str]] = field(default_factory=dict, metadata=BASELINE_ONLY)

    def yaml_for(self, name: str) -> str:
        """The YAML file that MDM looks for under a name."""
        return f"{self.registrations}/{name.lower()}.yaml"

    @property
    def expected_yaml(self) -> str:
        """The YAML file that MDM looks for."""
        return self.yaml_for(self.name)

    @property
    def in_default_folder(self) -> bool:
        """Whether MDM looks for registrations in its default place."""
        return self.registrations == f"{self.root}/config/datasets"

    @property
    def removal_planned(self) -> bool:
        """Whether the migration is expected to remove the dataset."""
        return self.plan is not None and bool(self.plan.removed)

    def has_data_at(self, place: Place) -> bool:
        """Whether there is data at a registered path: a file, or for a flat registration a folder with one."""
        in_folder = self.yaml.shape == "flat" and place.kind == FileKind.FOLDER.value
        return place.kind == FileKind.FILE.value or (in_folder and bool(self.data.files))
