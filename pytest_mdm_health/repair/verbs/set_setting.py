"""`set-setting FILE KEY VALUE`: one setting in `mdm.yaml`, or one flag in `feature_flags.yaml`.

Only the lines of the key change: comments, order, quotes and line ends stay. The value is written as the type that
the setting has. `--remove=yes` removes the key; `--instead-of=OTHER` moves the value of another key to this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.secrets import is_secret
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.edits import CannotEdit, value_at
from pytest_mdm_health.mdm.edits.yaml_text import with_value
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.registrations.edits import as_text
from pytest_mdm_health.mdm.settings import Settings, read_settings
from pytest_mdm_health.mdm.settings.edits import moved, removed, value_of
from pytest_mdm_health.mdm.settings.feature_flags import read_flags
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, parse_yaml
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.texts import real_file, written_in


@dataclass(frozen=True)
class _Edit:
    """What is done to the file: what it says of the key, before and after."""

    was: object
    value: object
    before: bytes
    after: bytes


@dataclass(frozen=True)
class SetSetting:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        edit, file = self._edit(), self._file
        was = f" (it is {self._shown(edit.was)} now)" if edit.was is not None else ""
        other = self.repair.option("instead-of")
        does = f"set `{self._key}` to {self._shown(edit.value)} in {file}{was}"
        if self._removes:
            does = f"remove `{self._key}` from {file}{was}"
        elif other:
            does = f"call `{other}` by its name, `{self._key}`, in {file}"
        return Outline(does, touches=(file,), details=(f"changes {file}",), room=2 * len(edit.after))

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        edit, file = self._edit(), self._file
        if file == self.home.feature_flags:
            _refuse_misread(edit, work)
        else:
            self._refuse_other_settings(edit, work)
        target = file if kind_of(file) is FileKind.MISSING else real_file(file)
        return Changes(dict(written_in(work, {target: edit.after})))

    @property
    def _file(self) -> Path:
        return Path(self.repair.place)

    @property
    def _key(self) -> str:
        return self.repair.words[0]

    @property
    def _removes(self) -> bool:
        return self.repair.option("remove") == "yes"

    def _shown(self, value: object) -> str:
        if isinstance(value, dict):
            return "a section"
        return "a hidden value" if is_secret(self._key) else repr(as_text(value))

    def _edit(self) -> _Edit:
        file, keys = self._file, self._key.split(".")
        if file not in {self.home.settings_file, self.home.feature_flags}:
            raise NotDone(f"{file} is neither {self.home.settings_file} nor {self.home.feature_flags}")
        try:
            before = b"" if kind_of(file) is FileKind.MISSING else read_bytes(file, SIZE_LIMIT)
            data = parse_yaml(before, file).data
            found, was = value_at(data, keys)
            self._refuse_other_premise(was)
            after, value = self._changed(before, data, keys)
        except Unreadable as error:
            raise NotDone(f"{file} {error.reason}") from None
        except CannotEdit as error:
            raise NotDone(f"{file} {error}") from None
        if after == before:
            raise NotDone(f"`{self._key}` in {file} is {self._shown(value)} already")
        return _Edit(was if found else None, value, before, after)

    def _refuse_other_premise(self, was: object) -> None:
        examined = self.repair.option("was")
        if examined is not None and as_text(was) != examined:
            raise NotDone(f"`{self._key}` in {self._file} is not {examined!r} any more: examine the home again")
        if self.repair.option("remove") not in {None, "yes"}:
            raise NotDone("--remove takes nothing but yes")

    def _changed(self, content: bytes, data: object, keys: list[str]) -> tuple[bytes, object]:
        """The new text, and the value that the key has then."""
        words, other = self.repair.words[1:], self.repair.option("instead-of")
        if self._removes and (words or other):
            raise NotDone("a key is either removed or set")
        if self._removes:
            return removed(content, self._key), None
        if other and words:
            raise NotDone("the value is that of the other key")
        if other:
            return moved(content, other, self._key), value_at(data, other.split("."))[1]
        if not words:
            raise NotDone("name the value, or --remove=yes")
        value = self._typed(words[0])
        return with_value(content, keys, value), value

    def _typed(self, text: str) -> object:
        """The value that a text means, in the type that the setting has."""
        if self._file == self.home.feature_flags:
            if text.lower() not in {"true", "false"} or "." in self._key:
                raise NotDone("a feature flag is a key at the top with the value true or false")
            return text.lower() == "true"
        return value_of(self._key, text)

    def _refuse_other_settings(self, edit: _Edit, work: Path) -> None:
        """Refuse a file with which MDM has another value in force than that of the key, or a new problem."""
        before, after = (_settings(work / name, text) for name, text in (("b", edit.before), ("a", edit.after)))
        other = self.repair.option("instead-of")
        for key, value in after.values.items():
            if key != self._key and value.value != before[key]:
                raise NotDone(f"MDM would then use another value for `{key}`, too: set that as well, in an editor")
        known = {(problem.code, problem.key) for problem in before.problems}
        for problem in after.problems:
            if (problem.code, problem.key) not in known or problem.key in {self._key, other}:
                raise NotDone(f"{self._file} would have a new problem: {problem.message}")


def step(repair: Repair, home: Home) -> SetSetting:
    """The step that a call means; see `step_of`."""
    return SetSetting(repair, home)


def _settings(folder: Path, content: bytes) -> Settings:
    """What a file with this content has in force, the environment aside."""
    folder.mkdir()
    (folder / "mdm.yaml").write_bytes(content)
    return read_settings(folder, {})


def _refuse_misread(edit: _Edit, work: Path) -> None:
    found = []
    for name, text in (("before.yaml", edit.before), ("after.yaml", edit.after)):
        (work / name).write_bytes(text)
        flags = read_flags(work / name, {})
        found.append({(entry.name, entry.what) for entry in flags.misread})
        if flags.damage:
            raise NotDone(f"the file {flags.damage}")
    if found[1] - found[0]:
        raise NotDone("MDM would read the flag as something else")
