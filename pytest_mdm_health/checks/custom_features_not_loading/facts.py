"""What is known of a home's custom features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.installed.custom_code import CustomCode


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What happened when a file was loaded and run in MDM's own interpreter.

    Attributes:
        stage: the last stage that it reached: `import`, `construct`, `operations`, `done`.
        ended: how its process ended, if that was abnormal; empty otherwise.
        error: the exception that stopped it; empty if there was none.
        is_syntax_error: whether that was a syntax error.
        line: the line of the file that raised it, if it was raised there.
        classes: the classes in it that MDM can use; MDM takes the first.
        operations: the operations that this class registers.
        failed: the operations that raised, with the exception.
        wrote: paths in the home that it tried to write to.
        ends_process: whether it ended the process that it was loaded in, by an exit or a crash.
        blocked_at: what it tried that may be refused only in the sandbox, so that the rest did not run, to follow
            "tried to"; empty if nothing was.
    """

    stage: str = ""
    ended: str = ""
    error: str = ""
    is_syntax_error: bool = False
    line: int | None = None
    classes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    wrote: tuple[str, ...] = ()
    ends_process: bool = False
    blocked_at: str = ""

    @property
    def stopped(self) -> bool:
        """Whether an exception, an exit or the timeout kept it from finishing."""
        return bool(self.error or self.ended)


@dataclass(frozen=True, kw_only=True)
class CustomFile:
    """One file of custom features.

    Attributes:
        path: absolute.
        name: the dataset that it is named after; `__init__` for the folder's index.
        withheld: whether the home's owner may read it, and this user may not.
        registered: whether there is such a dataset.
        nearest: the registered dataset with the most similar name; empty if none is similar.
        expected_path: where MDM would look for it; empty if it is there.
        code: what its source contains.
        listed: whether the folder's `__init__.py` imports and exports it; None if there is no such file.
        loading: what happened when it was loaded; None if it was not.
        feature_table: the feature table of its dataset; empty if there is none.
        missing: features that it creates and that this table does not contain.
    """

    path: str
    name: str
    withheld: bool = False
    registered: bool = False
    nearest: str = ""
    expected_path: str = ""
    code: CustomCode
    listed: bool | None = None
    loading: Loading | None = None
    feature_table: str = ""
    missing: tuple[str, ...] = ()

    @property
    def is_private(self) -> bool:
        """Whether it is a helper or the folder's index, which MDM never loads as a dataset's features."""
        return self.name.startswith("_")


@dataclass(frozen=True, kw_only=True)
class DeletedFile:
    """A file that MDM loaded when it last generated a dataset's features, and that no longer exists."""

    dataset: str
    path: str


@dataclass(frozen=True, kw_only=True)
class CustomFacts(Facts):
    """What was collected.

    Attributes:
        folder: where MDM looks for custom features.
        files: all files of custom features, those in this folder first.
        deleted: files that MDM once loaded.
        supports_classes: whether the installed MDM has the base class; None if that is unknown.
        supports_functions: whether it has the decorator; None if that is unknown.
        sources: by dataset, the file or folder that it was registered from.
        has_regenerate: whether the installed MDM has a command that generates features again.
    """

    folder: str
    files: tuple[CustomFile, ...] = ()
    deleted: tuple[DeletedFile, ...] = ()
    supports_classes: bool | None = None
    supports_functions: bool | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    has_regenerate: bool = False
