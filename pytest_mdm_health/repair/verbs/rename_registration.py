"""`rename-registration FILE NAME`: give a registration the file name under which MDM looks for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.registrations import read_registration
from pytest_mdm_health.mdm.registrations.schema import is_dataset_name
from pytest_mdm_health.repair.files import copy_content
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.texts import real_file


@dataclass(frozen=True)
class RenameRegistration:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        file, target = self._files()
        return Outline(f"rename {file} to {target.name}", touches=(file, target), room=2 * file.stat().st_size)

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        file, target = self._files()
        copy = work / target.name
        copy_content(file, copy)
        copy.chmod(file.stat().st_mode & 0o777)
        return Changes({target: copy, file: None})

    def _files(self) -> tuple[Path, Path]:
        file, name = Path(self.repair.place), self.repair.words[0]
        if file.is_symlink() or real_file(file).parent.resolve() != self.home.registrations.resolve():
            raise NotDone(f"{file} is not a file in {self.home.registrations}, where MDM looks for registrations")
        if not is_dataset_name(name) or name != name.lower():
            raise NotDone(f"MDM looks for no dataset called {name!r}")
        inside = read_registration(file, self.home).data.get("name", name)
        if str(inside).lower() != name:
            raise NotDone(f"{file} says that the dataset is called {inside!r}, not {name!r}")
        target = file.with_name(f"{name}.yaml")
        if os.path.lexists(target):
            raise NotDone(f"{target} is there already: compare the two")
        return file, target


def step(repair: Repair, home: Home) -> RenameRegistration:
    """The step that a call means; see `step_of`."""
    return RenameRegistration(repair, home)
