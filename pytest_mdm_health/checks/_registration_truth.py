"""What metadata-corruption concludes from what a registration says, held against what is there. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator

from pytest_mdm_health.checks import _registration_repairs as repairs
from pytest_mdm_health.checks._permission_repairs import allowed
from pytest_mdm_health.checks._registration_facts import MetadataFacts, MissingColumn, OnServer
from pytest_mdm_health.mdm.engines import ENGINES, FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.mdm.placement import Place
from pytest_mdm_health.model import JSON, Check, Finding, Location, Remedy, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_BY_SUBJECT = ("missing-column", "missing-field", "field-type")
_ABOUT = {
    "name-differs": "name",
    "unknown-backend": "backend",
    "wrong-engine": "backend",
    "missing-data": "path",
    "path-elsewhere": "path",
}
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
        text = "Register each from its own source again, or move the registration that is not needed out of the folder."
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
        location, remedy = place(missing.field), _column_remedy(facts, missing)
        yield check.finding("missing-column", FAIL, message, remedy, location=location, subject=subject)


def of_twin(check: Check, facts: MetadataFacts, failed: Collection[str] = ()) -> Iterator[Finding]:
    """The JSON copy: whether it could step in, and whether it says the same.

    What the YAML file says of the `failed` fields is wrong, so the copy may be the right one.
    """
    twin, yaml = facts.twin, facts.yaml
    if not yaml.there or yaml.shape != "full":
        return
    rewritten = repairs.twin_from_yaml(yaml.file, twin.file, there=twin.there) if facts.in_force == "yaml" else ()
    text = "Write the JSON copy anew from the YAML file." if rewritten else "Repair the YAML file first."
    remedy = Remedy(f"This is how `mdm dataset update` leaves it. {text}" if twin.harmless else text, rewritten)
    location = Location(twin.file)
    if not twin.there:
        message = f"there is no {twin.file}; nothing steps in should the YAML file be damaged"
        yield check.finding("no-twin", NOTE, message, remedy, location=location)
    elif twin.barrier is not None:
        if twin.barrier != facts.data.barrier:
            message = f"{twin.file} cannot be reached for want of a permission, so nobody can say what it holds"
            yield check.finding("out-of-reach", WARN, message, allowed(twin.barrier), location=location, subject="copy")
    elif not twin.usable:
        why = twin.problem or f"holds what MDM refuses: {', '.join(twin.refused)}"
        yield check.finding("damaged-twin", WARN, f"the JSON copy {why}", remedy, location=location)
    doubtful = [field for field in twin.differs if any(_is_about(each, field) for each in failed)]
    if doubtful:
        text = f"Repair {', '.join(doubtful)} in the YAML file first: the JSON copy may hold what is right."
        remedy = Remedy(text)
    if twin.differs:
        read = {"yaml": "the YAML file", "json": "the JSON copy"}.get(facts.in_force or "", "neither")
        message = f"the YAML file and its JSON copy differ in {', '.join(twin.differs)}; MDM's Python API reads {read}"
        severity = NOTE if twin.harmless else WARN
        evidence: dict[str, JSON] = {"fields": [*twin.differs], "read": facts.in_force}
        yield check.finding("twins-disagree", severity, message, remedy, evidence=evidence, location=location)


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
    elif not there:
        what = _NOT_THERE.get(FileKind(place.kind), f"is a {place.kind}")
        found = f"; its folder has {place.instead}" if place.instead else ""
        yield check.finding(
            "missing-data", FAIL, f"{place.path} {what}{found}", _path_remedy(facts, place), location=location
        )
    if place.relative:
        message = f"the path {place.written!r} is relative: MDM looks for it from wherever it is started"
        remedy = Remedy("Register the absolute path.", _set_path(facts, place.written, place.path))
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


def _set_backend(facts: MetadataFacts, backend: str) -> Remedy:
    if not backend:
        return Remedy(f"Write one of {', '.join(ENGINES)}.")
    commands = repairs.field_set("backend", backend, facts.yaml.pointer or facts.yaml.file, _twin_file(facts))
    return Remedy(f"Register the backend that the data is on, {backend}.", commands)


def _default_remedy(facts: MetadataFacts) -> Remedy:
    data = facts.data
    text = f"Set database.default_backend to {data.backend} (MDM then refuses those on {data.default_backend}), "
    text += f"or register the dataset's sources again on {data.default_backend}."
    if data.default_line:
        return Remedy(text, repairs.default_set(str(data.backend), data.default_file, data.default_line))
    return Remedy(text, (f"export MDM_DATABASE_DEFAULT_BACKEND={data.backend}",))


def _lacks(facts: MetadataFacts, field: str) -> bool:
    return bool({field, f"database.{field}"} & set(facts.yaml.missing))


def _path_remedy(facts: MetadataFacts, place: Place | None) -> Remedy:
    if place is None and facts.data.files:
        return Remedy(f"Let `path` name the file of the data, in quotes, such as {json.dumps(facts.data.files[0])}.")
    if place is None or not place.instead:
        return Remedy(f"Restore {facts.name!r} from a backup into this home, and let `path` name the restored file.")
    return Remedy("Let `path` name this home's own file.", _set_path(facts, place.written, place.instead))


def _set_path(facts: MetadataFacts, old: str, new: str) -> tuple[str, ...]:
    return repairs.field_set("path", new, facts.yaml.pointer or facts.yaml.file, _twin_file(facts)) if old else ()


def _column_remedy(facts: MetadataFacts, missing: MissingColumn) -> Remedy:
    text = f"Let `{missing.field}` name a column of the table."
    if missing.in_twin:
        text += f" The JSON copy says {', '.join(missing.in_twin)}, which there is."
    if missing.in_twin and missing.field != "id_columns":  # a list stands on several lines
        file = facts.yaml.pointer or facts.yaml.file
        return Remedy(text, repairs.field_set(missing.field, missing.in_twin[0], file, indented=False))
    if missing.field != "target_column" or not missing.nearest:
        return Remedy(text)
    command = repairs.mdm(facts.root, "dataset", "update", facts.name, "--target", missing.nearest)
    return Remedy(text, (command,))


def _twin_file(facts: MetadataFacts) -> str:
    return facts.twin.file if facts.twin.there else ""


def _place_of_path(facts: MetadataFacts) -> Location:
    return facts.yaml.place("database.path", "path")


def _place_of_backend(facts: MetadataFacts) -> Location:
    return facts.yaml.place("database.backend", "database.type", "backend")
