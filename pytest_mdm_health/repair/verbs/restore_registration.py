"""`restore-registration REGISTRATION`: what a YAML file lost, or the file itself, made of its JSON copy.

What is left of the file stays as it is, and the copy is only read. Where the two contradict each other, nothing is
done: which of them is right is for a person to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.edits import CannotEdit
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.registrations import Registration, read_registration, registration_of_json_copy
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE, read_json_copy
from pytest_mdm_health.mdm.registrations.restoring import restored_text
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.texts import real_file, written_in


@dataclass(frozen=True)
class RestoreRegistration:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        file = Path(self.repair.place)
        copy, text = self._restored()
        does = f"add to {file} what it lacks and {copy} has" if file.exists() else f"make {file} of {copy}"
        return Outline(does, touches=(file, copy), details=(f"only reads {copy}",), room=2 * len(text))

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        file = Path(self.repair.place)
        copy, text = self._restored()
        if file.exists():
            return Changes(dict(written_in(work, {real_file(file): text})))
        made = written_in(work, {file: text})
        made[file].chmod(copy.stat().st_mode & 0o777)  # either may hold a password
        return Changes(dict(made))

    def _restored(self) -> tuple[Path, bytes]:
        """The JSON copy, and the text that the YAML file gets."""
        file = Path(self.repair.place)
        if file.parent.resolve() != self.home.registrations.resolve() or file.suffix != ".yaml":
            raise NotDone(f"{file} is not a YAML file in {self.home.registrations}, where MDM looks for registrations")
        try:
            content = read_bytes(file, SIZE_LIMIT) if file.exists() else None
            registration = self._registration(file)
            text = restored_text(registration, content)
        except Unreadable as error:
            raise NotDone(f"{file} {error.reason}") from None
        except CannotEdit as error:
            raise NotDone(f"{file} {error}") from None
        assert registration.json_copy is not None
        return registration.json_copy.path, text

    def _registration(self, file: Path) -> Registration:
        if file.exists():
            registration = read_registration(file, self.home)
        else:
            copied = read_json_copy(self.home.datasets / file.stem.lower() / JSON_COPY_FILE)
            if copied is None:
                raise NotDone(f"there is neither {file} nor a JSON copy of it")
            registration = registration_of_json_copy(file.stem, copied, self.home)
        copied_data = registration.json_copy.data if registration.json_copy is not None else None
        if copied_data and str(copied_data.get("name")).lower() != file.stem.lower():
            raise NotDone(f"the JSON copy beside the data of {file.stem!r} is that of {copied_data.get('name')!r}")
        return registration


def step(repair: Repair, home: Home) -> RestoreRegistration:
    """The step that a call means; see `step_of`."""
    return RestoreRegistration(repair, home)
