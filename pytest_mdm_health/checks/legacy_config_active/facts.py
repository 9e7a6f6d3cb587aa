"""The facts of `legacy-config-active`."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.installed.legacy_code import Use
from pytest_mdm_health.mdm.settings import Origin
from pytest_mdm_health.mdm.settings.feature_flags import Flags
from pytest_mdm_health.mdm.settings.legacy_files import LegacyFile


@dataclass(frozen=True)
class OtherName:
    """A key of `mdm.yaml` with a name of the configuration system that is not in use.

    Attributes:
        key: dotted, as it is written.
        current: its name in the system in use; None if it has no such setting.
        origin: its place in the file.
        also_current: whether the file sets it under its current name too.
        editable: whether `set-setting` can give it its current name, or remove one that sets nothing.
    """

    key: str
    current: str | None
    origin: Origin
    also_current: bool
    editable: bool = False


@dataclass(frozen=True)
class LegacyUse:
    """A place in code that uses the old configuration.

    Attributes:
        file: the source file.
        use: the place and the expression.
        replacement: the expression to write instead; empty if there is none.
        custom: whether it is in a custom feature of this home.
    """

    file: str
    use: Use
    replacement: str
    custom: bool


@dataclass(frozen=True)
class Cache:
    """The cached configuration in `cache/config`.

    Attributes:
        folder: its path.
        files: how many files it contains; at most 100 are counted.
        older: whether one of them is older than `mdm.yaml`.
    """

    folder: str
    files: int
    older: bool


@dataclass(frozen=True, kw_only=True)
class LegacyFacts(Facts):
    """What an older configuration left in the home, in the environment and in code.

    Attributes:
        home: the home.
        file: its `mdm.yaml`.
        phase: the phase of the migration that the run is for.
        system: the configuration system in use: `nested` or `flat`.
        files: settings files that MDM does not read.
        names: keys with names of the other system.
        flags: the feature flags.
        has_flags: whether the installed MDM has feature flags; None if that is not known.
        in_default_home: whether this home is `~/.mdm`, the only place where MDM looks for its feature flags.
        cache: the cached configuration; None if there is none.
        config_type: the value of `mdm.config.CONFIG_TYPE`; None if the installed MDM has none.
        uses: places in code that use the old configuration, as many as are shown.
        more_uses: how many more there are.
    """

    home: str
    file: str
    phase: str
    system: str
    files: tuple[LegacyFile, ...] = ()
    names: tuple[OtherName, ...] = ()
    flags: Flags
    has_flags: bool | None = None
    in_default_home: bool = True
    cache: Cache | None = None
    config_type: str | None = None
    uses: tuple[LegacyUse, ...] = ()
    more_uses: int = 0
