"""What metadata-corruption concludes from what a registration says, held against what is there. Pure."""

from __future__ import annotations

import difflib
import json
import posixpath
import shlex
from collections.abc import Collection, Iterable, Iterator

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.metadata_corruption import repairs
from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts, MissingColumn, OnServer
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.engines import ENGINES, FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.mdm.placement import Place, is_of_windows

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_BY_SUBJECT = ("missing-column", "missing-field", "field-type")
_ABOUT = {
    "name-differs": "name",
    "unknown-backend": "backend",
    "wrong-engine": "backend",
    "missing-data": "path",
    "path-elsewhere": "path",
    "other-datasets-file": "path",
}
_NEEDED = {"tables", "problem_type", "target_column", "id_columns", "time_column", "group_column"}
_NOT_THERE = {FileKind.MISSING: "does not exist", FileKind.UNREACHABLE: "cannot be reached"}


def of_backend(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """The registered backend against those that there are, the data's engine and the default."""
    data, place = facts.data, _place_of_backend(facts)
    if data.backend is None and facts.in_force == "yaml" and not _lacks(facts, "backend"):
        message = f"what is registered as the backend is no name of one: MDM has {', '.join(ENGINES)}"
        yield check.finding("unknown-backend", FAIL, message, _set_backend(facts, ""), location=place)
    elif data.backend is not None and data.backend not in ENGINES:
        near = difflib.get_close_matches(data.backend, ENGINES, n=1, cutoff=0.5)
        meant = data.real_engine or (near[0] if near else "")
        message = f"MDM has no backend {data.backend!r}, only {', '.join(ENGINES)}"
        yield check.finding("unknown-backend", FAIL, message, _set_backend(facts, meant), location=place)
    elif data.backend in FILE_ENGINES and data.real_engine not in {None, data.backend}:
        message = f"registered as {data.backend}, but the data is {data.real_engine}, by its first bytes"
        yield check.finding("wrong-engine", FAIL, message, _set_backend(facts, data.real_engine or ""), location=place)
    if data.backend in ENGINES and data.default_backend not in {data.backend, data.real_engine}:
        message = (
            f"the dataset is on {data.backend} and the default backend is {data.default_backend} "
            f"(from {data.default_from}): MDM's commands refuse to show or export it"
        )
        yield check.finding("other-default", FAIL, message, _default_remedy(facts), location=place)


def of_place(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """The registered path against what lies there and against this home."""
    data, place = facts.data, facts.data.place
    if place is not None and data.backend != "postgresql":
        yield from _placed(check, facts, place)
    elif place is None and data.backend in FILE_ENGINES and facts.in_force == "yaml" and not _lacks(facts, "path"):
        message, remedy = "what is registered as the path of the data is no path", _path_remedy(facts, None)
        yield check.finding("missing-data", FAIL, message, remedy, location=_place_of_path(facts))
    if data.server is not None:
        yield from _on_server(check, facts, data.server)
    if data.shared_with and (place is None or _is_there(facts, place)):
        message = f"registered with the same data as {', '.join(data.shared_with)}"
        text = (
            "See which of them the data is of, and let `path` of the others name their own data, from a backup if need "
        )
        text += "be; move a registration that is not needed out of the folder and keep it."
        yield check.finding("shared-data", WARN, message, Remedy(text), location=_place_of_path(facts))


def of_content(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """Dates, the version, and the columns that the tables should have."""
    content, place = facts.content, facts.yaml.place
    for field, why in content.odd_dates:
        text = f"Write the right moment into `{field}`, such as '2026-01-31T12:00:00+00:00'."
        yield check.finding("odd-date", WARN, f"`{field}` {why}", Remedy(text), location=place(field), subject=field)
    if content.odd_version:
        remedy = Remedy("Count versions in the manner of 1.0.0.")
        yield check.finding("odd-version", NOTE, "`version` is no version", remedy, location=place("version"))
    for missing in content.missing_columns:
        message = f"`{missing.field}` names the column {missing.column!r}, which is not in {', '.join(missing.tables)}"
        message += f"; there is {missing.nearest!r}" if missing.nearest else ""
        subject = f"{missing.field} {missing.column}"
        location, remedy = place(missing.field), _column_remedy(missing)
        yield check.finding("missing-column", FAIL, message, remedy, location=location, subject=subject)


def of_twin(check: Check, facts: MetadataFacts, failed: Collection[str] = ()) -> Iterator[Finding]:
    """The JSON copy: whether it could step in, and whether it says the same.

    What the YAML file says of the `failed` fields is wrong, so the copy may be the right one.
    """
    twin, yaml = facts.twin, facts.yaml
    if not yaml.there or yaml.shape != "full":
        return
    location = Location(twin.file)
    if not twin.there:
        message = f"there is no {twin.file}; nothing steps in should the YAML file be damaged"
        text = (
            "Keep the YAML file in a backup. MDM writes the copy only when it registers a dataset, in the folder that "
        )
        remedy = Remedy(f"{text}`paths.datasets_path` names; see that this is the right one.")
        yield check.finding("no-twin", NOTE, message, remedy, location=location)
    elif twin.barrier is not None:
        if twin.barrier != facts.data.barrier:
            message = f"{twin.file} cannot be reached for want of a permission, so nobody can say what it holds"
            yield check.finding("out-of-reach", WARN, message, allowed(twin.barrier), location=location, subject="copy")
    elif not twin.usable:
        why = twin.problem or f"holds what MDM refuses: {', '.join(twin.refused)}"
        text = f"Keep it as it is until {yaml.file} is seen to have every field, and restore it from a backup."
        yield check.finding("damaged-twin", WARN, f"the JSON copy {why}", Remedy(text), location=location)
    if twin.absent:
        yield _incomplete(check, facts)
    if twin.differs:
        read = {"yaml": "the YAML file", "json": "the JSON copy"}.get(facts.in_force or "", "neither")
        message = f"the YAML file and its JSON copy differ in {', '.join(twin.differs)}; MDM's Python API reads {read}"
        severity = NOTE if twin.harmless else WARN
        evidence: dict[str, JSON] = {"fields": [*twin.differs], "read": facts.in_force}
        remedy = _agreed(facts, failed)
        yield check.finding("twins-disagree", severity, message, remedy, evidence=evidence, location=location)


def _incomplete(check: Check, facts: MetadataFacts) -> Finding:
    """A YAML file that lacks what its JSON copy has."""
    twin, yaml = facts.twin, facts.yaml
    message = f"the YAML file lacks {', '.join(twin.absent)}, which its JSON copy {twin.file} has"
    whole = twin.complete and twin.usable and twin.as_yaml and not yaml.unread
    if whole:
        text = (
            "Restore the YAML file from its JSON copy, which says all that the YAML file says, and these fields too; "
        )
        remedy = Remedy(f"{text}what is there is kept beside it.", repairs.yaml_completed(yaml.file, twin.file))
    else:
        text = "Keep a copy of the YAML file, and add these fields to it as the JSON copy has them"
        others = f"; what is right in {', '.join(twin.differs)}, where the two differ, has to be seen" * bool(
            twin.differs
        )
        remedy = Remedy(f"{text}{others}. Leave the JSON copy as it is.")
    severity = FAIL if _NEEDED & set(twin.absent) else WARN
    evidence: dict[str, JSON] = {"fields": [*twin.absent]}
    location = Location(yaml.file)
    return check.finding("incomplete", severity, message, remedy, evidence=evidence, location=location)


def _agreed(facts: MetadataFacts, failed: Collection[str]) -> Remedy:
    """What to do about copies that differ: neither of them is right because of what it is."""
    doubtful = [field for field in facts.twin.differs if any(_is_about(each, field) for each in failed)]
    if doubtful:
        return Remedy(f"Repair {', '.join(doubtful)} in the YAML file first: the JSON copy may hold what is right.")
    if facts.twin.harmless:
        text = "This is how `mdm dataset update` leaves it, or text for people only. Nothing has to be done; keep the "
        return Remedy(f"{text}YAML file in backups, which alone has what was updated.")
    if facts.in_force != "yaml":
        return Remedy("Repair the YAML file first; the JSON copy is in force and may hold what is right.")
    text = (
        "See which of the two is right in each of these fields, with a backup where neither is sure, and correct the "
    )
    return Remedy(f"{text}other one by hand; keep both files first.")


def failed_fields(findings: Iterable[Finding]) -> Iterator[str]:
    """The fields that failures are about."""
    for finding in findings:
        code = finding.code.partition(".")[2]
        if finding.severity is FAIL and (code in _ABOUT or code in _BY_SUBJECT):
            yield _ABOUT.get(code) or str(finding.subject).partition(" ")[0]


def _is_about(failed: str, field: str) -> bool:
    return failed == field or field.endswith(f".{failed}") or failed.startswith(f"{field}.")


def _placed(check: Check, facts: MetadataFacts, place: Place) -> Iterator[Finding]:
    location = _place_of_path(facts)
    there = _is_there(facts, place)
    barred = facts.data.barrier
    if barred is not None and not place.instead and not place.other_home:
        message = f"{place.path} cannot be reached for want of a permission, so nobody can say whether it is there"
        yield check.finding("out-of-reach", FAIL, message, allowed(barred), location=location)
    elif not place.inside:
        yield _elsewhere(check, facts, place, there=there)
    elif facts.data.owner:
        yield _of_another(check, facts, place)
    elif not there:
        what = _NOT_THERE.get(FileKind(place.kind), f"is a {place.kind}")
        if is_of_windows(place.written):
            what = f"is a path of Windows ({place.written}), which names nothing here"
        found = f"; its folder has {place.instead}" if place.instead else ""
        yield check.finding(
            "missing-data", FAIL, f"{place.path} {what}{found}", _path_remedy(facts, place), location=location
        )
    if place.relative:
        message = f"the path {place.written!r} is relative: MDM looks for it from wherever it is started"
        text = f"Let `path` be absolute in both copies: {place.path}, if that is the dataset's data."
        remedy = Remedy(text, repairs.lines_changed(facts.path_edits if there else ()))
        yield check.finding("relative-path", WARN, message, remedy, location=location)


def _on_server(check: Check, facts: MetadataFacts, server: OnServer) -> Iterator[Finding]:
    place = facts.yaml.place("database.connection_string", "database.database", "database.host")
    if server.code == "no-database":
        message = f"the server has no such database: {server.address}"
        text = f"Restore the database of {facts.name!r} from a backup, or register its sources again; if MDM removed "
        text += "the dataset, move the registration out of the folder."
        if server.guessed:
            message += ", which is MDM's default: neither the registration nor the settings say on which server it is"
            text = "Say where the data is: `host` and `user` in the settings below `database.postgresql`, or "
            text += "`connection_string` in the registration."
        yield check.finding("missing-data", FAIL, message, Remedy(text), location=place)
    elif server.code == "unreadable":
        message = f"the data {server.reason}"
        text = "Correct `host`, `port`, `database` or `connection_string` in the registration and in its JSON copy."
        yield check.finding("bad-connection", FAIL, message, Remedy(text), location=place)


def _is_there(facts: MetadataFacts, place: Place) -> bool:
    folder = facts.yaml.shape == "flat" and place.kind == FileKind.FOLDER.value
    return place.kind == FileKind.FILE.value or (folder and bool(facts.data.files))


def _elsewhere(check: Check, facts: MetadataFacts, place: Place, *, there: bool) -> Finding:
    copied = place.instead or place.other_home or not there
    if not copied:
        message = f"the data lies at {place.path}, outside this home; a copy of the home does not hold it"
        remedy = Remedy("Mind it in backups, or move it into the dataset's folder and correct `path`.")
        return check.finding("path-elsewhere", WARN, message, remedy, location=_place_of_path(facts))
    nothing = "where nothing is" if place.kind == FileKind.MISSING.value else f"which is a {place.kind}"
    if facts.data.barrier is not None or place.kind == FileKind.UNREACHABLE.value:
        nothing = "which cannot be reached"
    state = "where MDM goes on reading and writing" if there else nothing
    own = f"this home's own copy is {place.instead}" if place.instead else "this home has no copy of its own"
    message = f"the registration points out of this home, to {place.path}, {state}; {own}"
    evidence: dict[str, JSON] = {
        "registered": place.path,
        "exists": there,
        "other_home": place.other_home,
        "here": place.instead,
    }
    remedy, location = _path_remedy(facts, place), _place_of_path(facts)
    return check.finding("path-elsewhere", FAIL, message, remedy, evidence=evidence, location=location)


def _of_another(check: Check, facts: MetadataFacts, place: Place) -> Finding:
    """A path that leads to another dataset's file, though this one has a file of its own."""
    owner = facts.data.owner
    message = (
        f"the registered path is that of another dataset, {owner!r}: {place.path}; its own file is {place.instead}"
    )
    message += ", which its JSON copy names" if "database.path" in facts.twin.differs and facts.path_edits else ""
    evidence: dict[str, JSON] = {"registered": place.path, "dataset": owner, "here": place.instead}
    remedy = _path_remedy(facts, place)
    return check.finding(
        "other-datasets-file", FAIL, message, remedy, evidence=evidence, location=_place_of_path(facts)
    )


def _set_backend(facts: MetadataFacts, backend: str) -> Remedy:
    if not backend:
        return Remedy(f"Write one of {', '.join(ENGINES)}, the one that the data is on.")
    text = f"Write the backend that the data is on, {backend}, as `backend` in {facts.yaml.pointer or facts.yaml.file}"
    return Remedy(f"{text} and in its JSON copy; keep both files first.")


def _default_remedy(facts: MetadataFacts) -> Remedy:
    data = facts.data
    text = f"For one command, set the variable in front of it: `MDM_DATABASE_DEFAULT_BACKEND={data.backend} mdm …` "
    text += f"reaches this dataset. If most datasets are on {data.backend}, make it database.default_backend; MDM then "
    return Remedy(f"{text}refuses those on {data.default_backend}.")


def _lacks(facts: MetadataFacts, field: str) -> bool:
    return bool({field, f"database.{field}"} & set(facts.yaml.missing))


def _path_remedy(facts: MetadataFacts, place: Place | None) -> Remedy:
    if place is None and facts.data.files:
        return Remedy(f"Let `path` name the file of the data, in quotes, such as {json.dumps(facts.data.files[0])}.")
    if place is None or not place.instead:
        return Remedy(f"Restore {facts.name!r} from a backup into this home, and let `path` name the restored file.")
    if facts.path_edits and not place.relative:
        text = f"Let `path` name this home's own file, which has all the registered tables: {place.instead}. "
        return Remedy(
            f"{text}What was there is kept beside each file, as `.before`.", repairs.lines_changed(facts.path_edits)
        )
    text = f"See whether {place.instead} is this dataset's data, and has all of it. If so, let `path` name it in "
    text += f"{facts.yaml.pointer or facts.yaml.file} and in the JSON copy; keep both files first."
    if _is_there(facts, place):
        text = f"MDM has gone on with the registered file, so compare the two, which may both have changed. {text}"
        return Remedy(text, repairs.both_seen(place.path, place.instead))
    return Remedy(text, (f"ls -l -- {shlex.quote(posixpath.dirname(place.instead))}",))


def _column_remedy(missing: MissingColumn) -> Remedy:
    text = f"Let `{missing.field}` name a column of the table, in both copies; keep them first."
    if missing.in_twin:
        text += f" The JSON copy says {', '.join(missing.in_twin)}, which there is."
    elif missing.nearest:
        text += f" {missing.nearest!r} may be meant."
    return Remedy(text)


def _place_of_path(facts: MetadataFacts) -> Location:
    return facts.yaml.place("database.path", "path")


def _place_of_backend(facts: MetadataFacts) -> Location:
    return facts.yaml.place("database.backend", "database.type", "backend")
