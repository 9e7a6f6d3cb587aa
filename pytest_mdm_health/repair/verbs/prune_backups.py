"""`prune-backups FOLDER --keep=N`: delete older archives of the whole home, once the newest was proven good.

Only archives that are called as MDM's script and `back-up` call theirs are deleted, and none of a dataset that neither
the home nor the newest has. It cannot be undone, for a copy of what is deleted would take the same room.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends import close_all
from pytest_mdm_health.core.model import Depth, Phase
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.core.text import counted, size
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.integrity.backups.assess import Assessor
from pytest_mdm_health.integrity.backups.proof import doubt_about
from pytest_mdm_health.mdm.backups import Backup, find_backups
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.contents import Wanted, held_in, wanted_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.repair.step import NotDone, Outline

_LONG_S = 30 * 24 * 3600
"""Reading takes as long as it takes."""


@dataclass(frozen=True)
class PruneBackups:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        kept, going = self._sorted()
        total = sum(backup.size for backup in going)
        return Outline(
            f"delete {counted(len(going), 'archive')} ({size(total)}) in {self.repair.place}, all but the newest "
            f"{len(kept)}, if {kept[0].path.name} is good",
            details=tuple(f"rm {backup.path}" for backup in going),
        )

    def act(self) -> str:
        """See `ServerStep`."""
        kept, going = self._sorted()
        newest, wanted = kept[0], wanted_of(take_inventory(self.home.root, os.environ))
        self._refuse_doubtful(newest, wanted)
        _refuse_only_copies(newest, going, wanted)
        for backup in going:
            backup.path.unlink(missing_ok=True)
        return f"deleted {counted(len(going), 'archive')}; {newest.path} was read back and is good"

    def _sorted(self) -> tuple[list[Backup], list[Backup]]:
        """The archives that stay and those that go, newest first.

        Raises:
            NotDone: there is nothing to delete.
        """
        folder, given = Path(self.repair.place), self.repair.option("keep") or ""
        if not given.isdecimal() or int(given) < 1:
            raise NotDone("say with --keep how many archives are kept, at least 1")
        there = find_backups(folder, self.home.root)
        if there.gaps:
            raise NotDone(there.gaps[0])
        ours = [backup for backup in there.found if backup.by_script and backup.path.parent == folder]
        kept, going = ours[: int(given)], ours[int(given) :]
        if not going:
            raise NotDone(f"{folder} has {counted(len(ours), 'archive')} mdm_backup_*.tar.gz, so none is to be deleted")
        return kept, going

    def _refuse_doubtful(self, newest: Backup, wanted: Wanted) -> None:
        """Refuse while the newest is not known to be good.

        Raises:
            NotDone: why it is not.
        """
        until = clock() + _LONG_S
        try:
            found = Assessor(wanted, Depth.FULL, Phase.PRE, until, until).assess(newest, frozenset())
        finally:
            close_all()
        lacking = f"it lacks {found.missing_files[0]}" if found.missing_files else ""
        if why := doubt_about(found) or lacking:
            raise NotDone(f"{newest.path} is not known to be good ({why}), so nothing was deleted")


def step(repair: Repair, home: Home) -> PruneBackups:
    """The step that a call means; see `step_of`."""
    return PruneBackups(repair, home)


def _refuse_only_copies(newest: Backup, going: Sequence[Backup], wanted: Wanted) -> None:
    """Refuse to delete what may be the last copy of a dataset.

    Raises:
        NotDone: which archive holds one, or cannot be read.
    """
    known = set(_others_in(newest, wanted))
    for backup in going:
        lost = [name for name in _others_in(backup, wanted) if name not in known]
        if lost:
            raise NotDone(
                f"{backup.path} has the dataset {lost[0]!r}, which neither the home nor {newest.path.name} has; "
                "move it elsewhere first"
            )


def _others_in(backup: Backup, wanted: Wanted) -> tuple[str, ...]:
    """The datasets that an archive has and the home has not."""
    reading = read_archive(backup.path, math.inf)
    if not reading.listed:
        reasons = (*(problem.message for problem in reading.problems), *reading.gaps, "cannot be read")
        raise NotDone(f"{backup.path} {reasons[0]}, so what it holds is not known; move it elsewhere first")
    return held_in(reading.members, wanted).others
