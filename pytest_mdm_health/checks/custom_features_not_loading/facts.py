"""What is known of a home's custom features: the facts of custom-features-not-loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.installed.custom_code import CustomCode


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How a file fared in MDM's own interpreter.

    Attributes:
        stage: how far it came: `import`, `construct`, `operations`, `done`.
        how: how its process ended, if it did not come to its end.
        error: the exception that it ended with; empty if there was none.
        syntax: whether that was a syntax error.
        line: where in the file it was raised, if there.
        classes: the classes in it that MDM can use; MDM takes the first.
        operations: what that class registers.
        made: features made of a few rows, by operation; empty where there were no rows.
        failed: operations that raised, with the exception.
        wrote: places in the home where it tried to write.
        ends: whether it ended the process that it was loaded in, by an exit or a crash.
        barred: where it tried to write and was refused only here, so that it came no further; empty if it did.
        seconds: how long all of that took.
    """

    stage: str = ""
    how: str = ""
    error: str = ""
    syntax: bool = False
    line: int | None = None
    classes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    wrote: tuple[str, ...] = ()
    ends: bool = False
    barred: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CustomFile:
    """One file of custom features.

    Attributes:
        path: absolute.
        name: the dataset that it is called after; for `__init__.py`, that.
        registered: whether there is such a dataset.
        nearest: the registered dataset whose name is most like it; empty if none is.
        belongs: where MDM would look for it; empty if that is where it is.
        code: what its source tells.
        listed: whether the folder's `__init__.py` lets it out; None if there is none.
        loading: how it fared in MDM's interpreter; None if it was not tried there.
        feature_table: the feature table of its dataset; empty if it has none.
        missing: features it makes that this table does not have.
    """

    path: str
    name: str
    registered: bool = False
    nearest: str = ""
    belongs: str = ""
    code: CustomCode
    listed: bool | None = None
    loading: Loading | None = None
    feature_table: str = ""
    missing: tuple[str, ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether it is the folder's `__init__.py`, which holds no features."""
        return self.name == "__init__"


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A file that MDM loaded the last time that it generated a dataset's features, and that is not there any more."""

    dataset: str
    path: str


@dataclass(frozen=True, kw_only=True)
class CustomFacts(Facts):
    """What was seen.

    Attributes:
        home: the home, absolute.
        folder: where MDM looks for custom features.
        files: all files of custom features, wherever they are, sorted.
        gone: files that MDM once loaded.
        takes_classes: whether the installed MDM has the base class; None if there is no MDM that could be asked.
        takes_functions: whether it has the decorator; likewise.
        sources: by dataset, the file or folder that it came from.
        regenerates: whether the installed MDM has a command that makes features anew.
    """

    home: str
    folder: str
    files: tuple[CustomFile, ...] = ()
    gone: tuple[Gone, ...] = ()
    takes_classes: bool | None = None
    takes_functions: bool | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    regenerates: bool = False
