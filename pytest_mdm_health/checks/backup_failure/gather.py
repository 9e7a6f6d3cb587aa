"""Everything that backup-failure looks at, put together within the time that a check has."""

from __future__ import annotations

import time
from dataclasses import replace

from pytest_mdm_health.checks.backup_failure import parts as single
from pytest_mdm_health.checks.backup_failure.facts import OLD_DAYS, SOME, Assessed, BackupFacts, Found, Script
from pytest_mdm_health.checks.backup_failure.look import Looking
from pytest_mdm_health.checks.backup_failure.place import needs_cache, outside, place_of
from pytest_mdm_health.checks.backup_failure.script import NAME, dry_run, find_script
from pytest_mdm_health.checks.backup_failure.walk import access_of, walk
from pytest_mdm_health.core.model import Depth, Phase
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups import Backup, Backups, look_for_backups
from pytest_mdm_health.mdm.backups.contents import wanted_of
from pytest_mdm_health.mdm.home import SETTINGS_FILE
from pytest_mdm_health.mdm.host.accounts import POSIX, owner_of
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations.passwords import files_with_passwords

_LOOKED_INTO = 3
"""How many backups are looked into, from the newest on, until one would restore."""

_LONGEST = 4096
_WALK_SHARE, _READ_SHARE, _OPEN_SHARE, _ALL_SHARE = 0.15, 0.5, 0.7, 0.9


def gather(inventory: Inventory, options: Options) -> BackupFacts:
    """Look at the backups, at the place for the next one, and at the home."""
    return _Gathering(inventory, options).gather()


class _Gathering:
    """One look."""

    def __init__(self, inventory: Inventory, options: Options) -> None:
        self._inventory, self._home, self._options = inventory, inventory.home, options
        self._now, self._started = time.time(), time.monotonic()
        self._owner = owner_of(self._home.root)
        self._looking = Looking(
            wanted=wanted_of(inventory),
            depth=Depth(options.depth),
            phase=Phase(options.phase),
            read_until=self._until(_READ_SHARE),
            open_until=self._until(_OPEN_SHARE),
        )

    def gather(self) -> BackupFacts:
        """Everything."""
        wanted = self._looking.wanted.datasets
        there = look_for_backups(self._home, self._options.backup, frozenset(each.name for each in wanted))
        gone_through = walk(self._home, there.folder, self._owner, self._until(_WALK_SHARE))
        elsewhere = dict(outside(self._inventory))
        for path, size in elsewhere.items():
            gone_through.add_size(path, size)
        parts = single.parts_in(there, wanted)
        settings = [SETTINGS_FILE for each in there.found if each.kind == "settings" and each.size]
        judged = single.judged(parts, wanted, self._looking)
        saved = frozenset((*parts, *settings))
        assessed = self._assessed(there, saved - judged.useless)
        found = [self._found(each) for each in there.found]
        script = self._script()
        passwords = [*files_with_passwords(self._inventory)]
        passwords += [each.path for each in there.found[:SOME] if each.kind == "archive"] if passwords else []
        facts = BackupFacts(
            examined=gone_through.entries + len(found),
            gaps=(*gone_through.gaps, *there.gaps, *self._looking.gaps),
            phase=self._options.phase,
            home=str(self._home.root),
            datasets=len(wanted),
            on_servers=tuple(single.on_servers(self._inventory, there.folder)),
            outside=tuple(map(str, elsewhere)),
            cache_is_needed=needs_cache(self._inventory),
            place=place_of(there.folder, self._owner, gone_through, assessed),
            looked=tuple(map(str, there.looked)),
            backups=tuple(found[:SOME]),
            count=len(found),
            old=sum(each.by_script and each.days > OLD_DAYS for each in found),
            assessed=assessed,
            parts=len(saved),
            lacking=() if assessed else tuple(single.lacking_in(parts, wanted)),
            lacking_files=() if assessed or not saved else self._lacking_files(saved),
            outdated=() if assessed else tuple(dict.fromkeys((*single.outdated_in(parts, wanted), *judged.outdated))),
            unsound=tuple(judged.unsound),
            unlike=tuple(judged.unlike),
            shared=tuple(single.shared_in(parts, self._looking)),
            unread=tuple(judged.unread),
            unlisted=there.gaps,
            access=access_of(gone_through, self._home.root, self._owner, passwords) if POSIX else None,
            script=script,
        )
        return replace(facts, unexamined=facts.not_known)

    def _until(self, share: float) -> float:
        return self._started + share * self._options.timeout

    def _lacking_files(self, saved: frozenset[str]) -> tuple[str, ...]:
        return tuple(each for each in self._looking.wanted.files if each not in saved)

    def _found(self, backup: Backup) -> Found:
        age = self._now - backup.made
        return Found(
            path=shortened(str(backup.path), _LONGEST),
            kind=backup.kind,
            age_s=age,
            size=backup.size,
            by_script=backup.by_script,
        )

    def _assessed(self, there: Backups, saved: frozenset[str]) -> tuple[Assessed, ...]:
        """From the newest on until one is proven; an archive without a home in it need not be one of MDM's."""
        assessed: list[tuple[Backup, Assessed]] = []
        for backup in (each for each in there.found if each.whole or each.kind == "closed"):
            gaps = len(self._looking.gaps)
            result = self._looking.assess(backup, self._found(backup), saved)
            if result.root is None and not backup.named and (result.complete or not there.certain):
                del self._looking.gaps[gaps:]
                continue
            assessed.append((backup, result))
            if result.proven or len(assessed) == _LOOKED_INTO or time.monotonic() > self._looking.read_until:
                break
        if any(result.proven for _, result in assessed):  # then what need not be of MDM is taken for something else
            return tuple(result for backup, result in assessed if backup.named or not result.closed or result.members)
        return tuple(result for _, result in assessed)

    def _script(self) -> Script | None:
        path = find_script(self._home, self._options)
        if path is not None and self._options.run_scripts:
            remaining = self._until(_ALL_SHARE) - time.monotonic()
            return dry_run(path, self._home, max(remaining, 1.0), self._looking.gaps)
        if self._options.run_scripts:
            self._looking.gaps.append(
                f"{NAME} is not there to be run: no home, source tree or folder of the PATH has it"
            )
        return Script(path=str(path)) if path is not None else None
