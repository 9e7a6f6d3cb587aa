"""`set-field REGISTRATION FIELD VALUE`: one field of a registration, in the YAML file and its JSON copy together.

Only the lines of the field change. Without VALUE the field is left without a value, as MDM writes one that has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.edits import CannotEdit
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.registrations import Registration, read_registration
from pytest_mdm_health.mdm.registrations.edits import FieldEdit, as_text, edit_of, value_from
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.texts import real_file, written_in


@dataclass(frozen=True)
class SetField:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        registration, edit = self._edit()
        copies = (registration.document, registration.pointed, registration.json_copy)
        touches = tuple(copied.path for copied in copies if copied is not None)
        was, value = (repr(as_text(each)) if each is not None else "no value" for each in (edit.was, edit.value))
        return Outline(
            f"set `{edit.field}` to {value} in the registration of {registration.name} (it is {was} now)",
            touches=touches,
            details=(*(f"changes {path}" for path in edit.files), *((f"{edit.left}, and stays",) if edit.left else ())),
            room=sum(2 * len(content) for content in edit.files.values()),
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        _, edit = self._edit()
        return Changes(dict(written_in(work, edit.files)))

    def _edit(self) -> tuple[Registration, FieldEdit]:
        file = Path(self.repair.place)
        if not file.is_file():
            raise NotDone(f"{file} is not a file")
        field, *values = self.repair.words
        registration = read_registration(file, self.home)
        document = registration.pointed or registration.document
        data = document.data if document is not None and isinstance(document.data, dict) else {}
        try:
            edit = edit_of(registration, field, value_from(field, values[0] if values else None, data))
        except CannotEdit as error:
            raise NotDone(f"{file} {error}") from None
        examined = self.repair.option("was")
        if examined is not None and as_text(edit.was) not in {examined, as_text(edit.value)}:
            raise NotDone(
                f"`{edit.field}` in {file} is {as_text(edit.was)!r}, not {examined!r}: examine the home again"
            )
        if not edit.files:
            raise NotDone(f"`{edit.field}` in {file} is {as_text(edit.value)!r} already")
        files = {real_file(path): content for path, content in edit.files.items()}
        return registration, FieldEdit(edit.field, edit.was, edit.value, files, edit.left)


def step(repair: Repair, home: Home) -> SetField:
    """The step that a call means; see `step_of`."""
    return SetField(repair, home)
