"""The conditions of metadata-corruption: what is wrong with the file, with what it says, and with its JSON copy."""

from __future__ import annotations

import difflib
import json
import posixpath
import shlex
from collections.abc import Collection, Iterable, Iterator

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.metadata_corruption.facts import (
    MetadataFacts,
    MissingColumn,
    ServerState,
)
from pytest_mdm_health.checks.metadata_corruption.findings import (
    ADD_ALL_FROM_JSON_COPY,
    ADD_FROM_JSON_COPY,
    BACKEND_IS_NO_NAME,
    BAD_CONNECTION,
    BESIDE_THE_RIGHT_ONE,
    BROKEN_POINTER,
    CHECK_OWN_FILE,
    COMPARE_WITH_OWN_FILE,
    COMPLETE_FIELDS,
    COMPLETE_FROM_JSON_COPY,
    COPIES_DISAGREE,
    CORRECT_FROM_JSON_COPY,
    CORRECT_OR_RESTORE,
    DAMAGED_JSON_COPY,
    DATA_OUTSIDE,
    DUPLICATE_KEY,
    ENCODING,
    FAIL,
    FIELD_TYPE,
    IMPOSSIBLE_NAME,
    INCOMPLETE,
    LEFT_BY_UPDATE,
    MAKE_ABSOLUTE,
    MISSING_COLUMN,
    MISSING_DATA,
    MISSING_DATA_BESIDE_LOG,
    MISSING_FIELD,
    NAME_A_FILE,
    NAME_DIFFERS,
    NAME_IS_TAKEN,
    NAME_OWN_FILE,
    NO_DATABASE,
    NO_DATABASE_ON_DEFAULT_SERVER,
    NO_JSON_COPY,
    NO_PATH,
    NOT_A_MAPPING,
    NOT_SEEN,
    NOTE,
    ODD_DATE,
    ODD_VERSION,
    OTHER_DATASETS_FILE,
    OTHER_DEFAULT,
    OUT_OF_REACH,
    PATH_ELSEWHERE,
    RELATIVE_PATH,
    RENAME_TO_NAME_INSIDE,
    REPAIR_YAML_FIRST,
    REPAIR_YAML_IN_FORCE,
    RESTORE_FROM,
    SET_BACKEND,
    SET_COLUMN,
    SET_NAME,
    SET_VALID_NAME,
    SHARED_DATA,
    SYNTAX,
    UNKNOWN_BACKEND,
    UNREADABLE,
    WARN,
    WRITE_ONE_OF_THE_BACKENDS,
    WRONG_ENGINE,
)
from pytest_mdm_health.core.findings import Steps, remedy_of
from pytest_mdm_health.core.model import Finding, Location, Remedy
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.engines import ENGINES, FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind
from pytest_mdm_health.mdm.placement import Place, is_of_windows
from pytest_mdm_health.mdm.registrations.edits import LISTS, as_text
from pytest_mdm_health.mdm.registrations.schema import Refusal, is_dataset_name

_NEEDED = {"tables", "problem_type", "target_column", "id_columns", "time_column", "group_column"}
_FIELD_BY_CODE = {
    NAME_DIFFERS.full_code: "name",
    UNKNOWN_BACKEND.full_code: "backend",
    WRONG_ENGINE.full_code: "backend",
    MISSING_DATA.full_code: "path",
    PATH_ELSEWHERE.full_code: "path",
    OTHER_DATASETS_FILE.full_code: "path",
}
_FIELD_IN_SUBJECT = {MISSING_COLUMN.full_code, MISSING_FIELD.full_code, FIELD_TYPE.full_code}
_STATES = {FileKind.MISSING.value: "does not exist", FileKind.UNREACHABLE.value: "cannot be reached"}


def check_text(facts: MetadataFacts) -> Iterator[Finding]:
    """The YAML file as text."""
    yaml = facts.yaml
    damaged = yaml.exists and not yaml.readable
    if damaged and yaml.shape == "pointer":
        remedy = allowed(yaml.barrier, facts.root) if yaml.barrier is not None else BROKEN_POINTER.remedy
        yield BROKEN_POINTER(at=yaml.place("path"), remedy=remedy, target=yaml.pointer or "nowhere")
    for problem in yaml.problems:
        at = Location(yaml.path, problem.line, problem.column)
        if problem.code == "duplicate-key":
            yield DUPLICATE_KEY(at=at, subject=problem.key, key=problem.key)
        elif not yaml.readable and yaml.shape != "pointer":
            rule = {"syntax": SYNTAX, "encoding": ENCODING}.get(problem.code, UNREADABLE)
            remedy = _correction(facts)
            yield rule(at=at, remedy=remedy, file=yaml.path, problem=problem.message, consequence=_consequence(facts))
    if damaged and not yaml.problems and yaml.shape != "pointer":
        yield NOT_A_MAPPING(
            at=yaml.path,
            remedy=_correction(facts),
            file=yaml.path,
            content="is empty" if yaml.empty else "contains no fields with values",
            consequence=_consequence(facts),
        )


def check_fields(facts: MetadataFacts) -> Iterator[Finding]:
    """Fields that are missing from the YAML mapping or have a value that MDM rejects."""
    if not facts.yaml.readable:
        return
    for field in facts.yaml.missing:
        yield MISSING_FIELD(
            at=facts.yaml.path,
            subject=field,
            remedy=_remedy_of_missing_field(facts, field),
            field=field,
            consequence=_consequence(facts),
            file=facts.yaml.path,
            yaml=facts.yaml.file,
            json_copy=facts.json_copy.file,
            caution=f": {_lacks(facts)}" if facts.json_copy.older else "",
        )
    for refusal in facts.yaml.refused:
        at = facts.yaml.place(refusal.field)
        yield FIELD_TYPE(
            WARN if facts.in_force == "json" else FAIL,
            at=at,
            subject=refusal.field,
            field=refusal.field,
            expected=refusal.takes,
            got=refusal.got,
            consequence=_consequence(facts),
            line=f" in line {at.line}" if at.line else "",
            file=at.file,
            hint=_hint(refusal),
        )


def check_names(facts: MetadataFacts) -> Iterator[Finding]:
    """The name of the file compared with the name in it and with what MDM looks for."""
    yaml, inside = facts.yaml, facts.content.name
    if yaml.readable and inside is not None and inside != facts.name.lower():
        yield NAME_DIFFERS(
            WARN if inside.lower() == facts.name.lower() else FAIL,
            at=yaml.place("name"),
            remedy=_remedy_of_name(facts, inside),
            name=facts.name,
            inside=inside,
            right_name=inside.lower(),
            file=yaml.file,
            wanted=facts.name.lower() if is_dataset_name(facts.name) else facts.yaml_for(inside),
            yaml=yaml.file,
            sure=", as its JSON copy has it" if facts.json_copy.name == facts.name.lower() else "",
        )
    names_agree = inside is None or inside == facts.name.lower()
    if yaml.exists and not yaml.seen and (is_dataset_name(facts.name) or names_agree):
        yield _check_ignored_file(facts)
    for file in yaml.overlooked:
        wanted = facts.expected_yaml
        yield BESIDE_THE_RIGHT_ONE(
            at=file, subject=file, who="MDM", wanted=wanted, file=file, first=wanted, second=file
        )


def check_backend(facts: MetadataFacts) -> Iterator[Finding]:
    """The registered backend compared with those that exist, the data's engine and the default."""
    data, at = facts.data, facts.yaml.place("database.backend", "database.type", "backend")
    if data.backend is None and facts.in_force == "yaml" and not _is_missing(facts, "backend"):
        yield BACKEND_IS_NO_NAME(at=at)
    elif data.backend is not None and data.backend not in ENGINES:
        similar = difflib.get_close_matches(data.backend, ENGINES, n=1, cutoff=0.5)
        right = data.real_engine or (similar[0] if similar else "")
        remedy = UNKNOWN_BACKEND.remedy if right else WRITE_ONE_OF_THE_BACKENDS
        yield UNKNOWN_BACKEND(
            at=at,
            remedy=SET_BACKEND if data.real_engine in FILE_ENGINES else remedy,
            backend=data.backend,
            known=", ".join(ENGINES),
            right=right,
            file=facts.yaml.path,
            yaml=facts.yaml.file,
        )
    elif data.backend in FILE_ENGINES and data.real_engine not in {None, data.backend}:
        yield WRONG_ENGINE(
            at=at, remedy=SET_BACKEND, backend=data.backend, right=data.real_engine, yaml=facts.yaml.file
        )
    if data.backend in ENGINES and data.default_backend not in {"", data.backend, data.real_engine}:
        yield OTHER_DEFAULT(at=at, backend=data.backend, default=data.default_backend, source=data.default_from)


def check_place(facts: MetadataFacts) -> Iterator[Finding]:
    """The registered path compared with what is there and with this home."""
    data, place = facts.data, facts.data.place
    if place is not None and data.backend != "postgresql":
        yield from _check_path(facts, place)
    elif place is None and data.backend in FILE_ENGINES and facts.in_force == "yaml" and not _is_missing(facts, "path"):
        example = json.dumps(data.files[0]) if data.files else ""
        remedy = NAME_A_FILE if data.files else NO_PATH.remedy
        yield NO_PATH(at=_position_of_path(facts), remedy=remedy, name=facts.name, example=example)
    if data.server is not None:
        yield from _check_server(facts, data.server)
    if data.shared_with and (place is None or facts.has_data_at(place)):
        yield SHARED_DATA(at=_position_of_path(facts), others=", ".join(data.shared_with))


def check_content(facts: MetadataFacts) -> Iterator[Finding]:
    """Dates, the version, and the columns that the tables should have."""
    content = facts.content
    for field, reason in content.odd_dates:
        yield ODD_DATE(at=facts.yaml.place(field), subject=field, field=field, reason=reason)
    if content.odd_version:
        yield ODD_VERSION(at=facts.yaml.place("version"))
    for missing in content.missing_columns:
        yield MISSING_COLUMN(
            at=facts.yaml.place(missing.field),
            subject=f"{missing.field} {missing.column}",
            remedy=_remedy_of_column(facts, missing),
            field=missing.field,
            column=missing.column,
            tables=", ".join(missing.tables),
            nearest=f"; there is {missing.nearest!r}" if missing.nearest else "",
        )


def check_json_copy(facts: MetadataFacts, found: Iterable[Finding]) -> Iterator[Finding]:
    """Whether the JSON copy could be a fallback, and whether it says the same.

    Where the YAML file is wrong according to the other findings, the JSON copy may be right.
    """
    copied, yaml = facts.json_copy, facts.yaml
    if not yaml.exists or yaml.shape != "full":
        return
    if not copied.exists:
        yield NO_JSON_COPY(at=copied.file, json_copy=copied.file)
    elif copied.barrier is not None:
        if copied.barrier != facts.data.barrier:
            remedy = allowed(copied.barrier, facts.root)
            effect = "so its content is unknown"
            yield OUT_OF_REACH(WARN, at=copied.file, subject="copy", remedy=remedy, path=copied.file, effect=effect)
    elif not copied.usable:
        problem = copied.problem or f"has fields that MDM rejects: {', '.join(copied.refused)}"
        yield DAMAGED_JSON_COPY(at=copied.file, problem=problem, yaml=yaml.file)
    if copied.absent:
        yield _check_incomplete(facts)
    if copied.differs:
        failed = set(_failed_fields(found))
        doubtful = [field for field in copied.differs if any(_concerns(failing, field) for failing in failed)]
        yield COPIES_DISAGREE(
            NOTE if copied.harmless else WARN,
            at=copied.file,
            evidence={"fields": [*copied.differs], "read": facts.in_force},
            remedy=_remedy_of_disagreement(facts, doubtful),
            fields=", ".join(copied.differs),
            read={"yaml": "the YAML file", "json": "the JSON copy"}.get(facts.in_force or "", "neither"),
            doubtful=", ".join(doubtful),
        )


def _consequence(facts: MetadataFacts) -> str:
    """What MDM does with a damaged YAML file."""
    if facts.in_force == "yaml":
        return "MDM accepts the file nevertheless"
    if facts.in_force is None:
        return "MDM's Python API cannot make a dataset of it"
    commands = "still read this file" if facts.yaml.readable else "do not know the dataset"
    return f"MDM's commands {commands}, its Python API silently reads {facts.json_copy.file} instead"


def _correction(facts: MetadataFacts) -> Remedy:
    """How to correct a damaged YAML file."""
    if facts.yaml.barrier is not None:
        return allowed(facts.yaml.barrier, facts.root)
    steps = CORRECT_FROM_JSON_COPY if facts.json_copy.usable else CORRECT_OR_RESTORE
    if facts.json_copy.restores:
        steps = COMPLETE_FROM_JSON_COPY
    return steps.fill({"json_copy": facts.json_copy.file, "lacks": _lacks(facts), "yaml": facts.yaml.file})


def _lacks(facts: MetadataFacts) -> str:
    """What may not be in the JSON copy."""
    if facts.json_copy.older:
        return f"it is older, {facts.json_copy.older}: what changed in between is not in there"
    return "what `mdm dataset update` changed is not in there"


def _remedy_of_missing_field(facts: MetadataFacts, field: str) -> Steps:
    if facts.json_copy.restores:
        return COMPLETE_FIELDS
    in_json_copy = facts.json_copy.usable and facts.yaml.shape != "flat" and field not in facts.json_copy.refused
    return ADD_FROM_JSON_COPY if in_json_copy else MISSING_FIELD.remedy


def _hint(refusal: Refusal) -> str:
    hints = ""
    if refusal.field == "description" and refusal.got == "a mapping":
        hints = " `mdm dataset update` of MDM 0.1.0 puts all that it is given there."
    return f"{hints} A text that looks like a number needs quotes." if "number" in refusal.got else hints


def _remedy_of_name(facts: MetadataFacts, inside: str) -> Steps:
    if is_dataset_name(facts.name):
        sure = facts.name.lower() in {inside.lower(), facts.json_copy.name}
        return SET_NAME if sure else NAME_DIFFERS.remedy
    if not is_dataset_name(inside):
        return SET_VALID_NAME
    return NAME_IS_TAKEN if facts.yaml_for(inside) in facts.taken else RENAME_TO_NAME_INSIDE


def _check_ignored_file(facts: MetadataFacts) -> Finding:
    file, wanted = facts.yaml.file, facts.expected_yaml
    has_capitals = file.endswith(".yaml")  # MDM's commands take a name as it is given, its API in lower case
    who = "MDM's Python API" if has_capitals else "MDM"
    severity = WARN if has_capitals and facts.in_force else FAIL
    if not is_dataset_name(facts.name):
        return IMPOSSIBLE_NAME(severity, at=file, name=facts.name, who=who, file=file)
    right_name = facts.name.lower()
    remedy = NOT_SEEN.remedy
    if wanted in facts.taken:
        remedy = NAME_IS_TAKEN
    elif (facts.content.name or right_name).lower() != right_name:  # another registration was copied here
        remedy = Steps(remedy.text)
    return NOT_SEEN(severity, at=file, remedy=remedy, who=who, wanted=wanted, file=file, right_name=right_name)


def _is_missing(facts: MetadataFacts, field: str) -> bool:
    return bool({field, f"database.{field}"} & set(facts.yaml.missing))


def _check_path(facts: MetadataFacts, place: Place) -> Iterator[Finding]:
    at, barred = _position_of_path(facts), facts.data.barrier
    remedy = _remedy_of_path(facts, place)
    exists = facts.has_data_at(place)
    if barred is not None and not place.instead and not place.other_home:
        yield OUT_OF_REACH(
            at=at, remedy=allowed(barred, facts.root), path=place.path, effect="so whether it exists is unknown"
        )
    elif not place.inside and exists and not (place.instead or place.other_home):
        yield DATA_OUTSIDE(at=at, path=place.path)
    elif not place.inside:
        yield PATH_ELSEWHERE(
            at=at,
            evidence={
                "registered": place.path,
                "exists": exists,
                "other_home": place.other_home,
                "here": place.instead,
            },
            remedy=remedy,
            path=place.path,
            state=_state_outside(facts, place),
            own=f"this home's own copy is {place.instead}" if place.instead else "this home has no copy of its own",
        )
    elif facts.data.owner:
        named = "database.path" in facts.json_copy.differs and facts.right_path
        yield OTHER_DATASETS_FILE(
            at=at,
            evidence={"registered": place.path, "dataset": facts.data.owner, "here": place.instead},
            remedy=remedy,
            owner=facts.data.owner,
            path=place.path,
            own=place.instead,
            named=", which its JSON copy names" if named else "",
        )
    elif not exists:
        yield _missing(facts, place, remedy)
    if place.relative:
        steps = MAKE_ABSOLUTE if exists and facts.right_path else RELATIVE_PATH.remedy
        remedy = steps.fill({"path": place.path, **_path_repair(facts, place)})
        yield RELATIVE_PATH(at=at, remedy=remedy, written=place.written)


def _missing(facts: MetadataFacts, place: Place, remedy: Remedy) -> Finding:
    """A file that is not there; a log without it comes first, whatever `path` should name."""
    logs = facts.data.logs
    state = _STATES.get(place.kind, f"is a {place.kind}")
    if is_of_windows(place.written):
        state = f"is a path of Windows ({place.written}), which names nothing here"
    found = f"; its folder contains {place.instead}" if place.instead else ""
    if not logs:
        at = _position_of_path(facts)
        return MISSING_DATA(at=at, remedy=remedy, path=place.path, state=state, found=found)
    return MISSING_DATA_BESIDE_LOG(
        at=_position_of_path(facts),
        path=place.path,
        state=state,
        found=found,
        name=facts.name,
        logs=" and ".join(logs),
        paths=shlex.join(logs),
    )


def _state_outside(facts: MetadataFacts, place: Place) -> str:
    """What is at a path outside this home."""
    if facts.has_data_at(place):
        return "MDM still uses it"
    if facts.data.barrier is not None or place.kind == FileKind.UNREACHABLE.value:
        return "which cannot be reached"
    return "which does not exist" if place.kind == FileKind.MISSING.value else f"which is a {place.kind}"


def _remedy_of_path(facts: MetadataFacts, place: Place) -> Remedy:
    """How to get the registered path right; by a command only where the right file is known for sure."""
    if facts.data.saved and not facts.data.logs:
        text = RESTORE_FROM.fill({"backups": facts.data.saved}).text
        return remedy_of(text, [Repair("put-back", place.path, options=(("from", facts.data.saved),))])
    if not place.instead:
        return MISSING_DATA.remedy.fill({"name": facts.name})
    if facts.right_path and not place.relative:
        return NAME_OWN_FILE.fill({"own": place.instead, **_path_repair(facts, place)})
    steps = COMPARE_WITH_OWN_FILE if facts.has_data_at(place) else CHECK_OWN_FILE
    return steps.fill(
        {
            "file": facts.yaml.path,
            "first": place.path,
            "second": place.instead,
            "own": place.instead,
            "own_folder": posixpath.dirname(place.instead),
        }
    )


def _path_repair(facts: MetadataFacts, place: Place) -> dict[str, str]:
    """What `set-field` needs to let `path` name the right file."""
    return {"yaml": facts.yaml.file, "right": facts.right_path, "written": place.written}


def _position_of_path(facts: MetadataFacts) -> Location:
    return facts.yaml.place("database.path", "path")


def _check_server(facts: MetadataFacts, server: ServerState) -> Iterator[Finding]:
    at = facts.yaml.place("database.connection_string", "database.database", "database.host")
    if server.code == "no-database" and server.guessed:
        yield NO_DATABASE_ON_DEFAULT_SERVER(at=at, address=server.address)
    elif server.code == "no-database":
        yield NO_DATABASE(at=at, address=server.address, name=facts.name)
    elif server.code == "unreadable":
        yield BAD_CONNECTION(at=at, reason=server.reason)


def _right_columns(facts: MetadataFacts, missing: MissingColumn) -> tuple[str, ...]:
    """What the field should name, where that is known: the columns of the JSON copy, or the one in other letters."""
    named = facts.content.columns.get(missing.field, ())
    if missing.in_json_copy:
        return missing.in_json_copy
    if missing.nearest.casefold() == missing.column.casefold():
        return tuple(missing.nearest if column == missing.column else column for column in named)
    return ()


def _remedy_of_column(facts: MetadataFacts, missing: MissingColumn) -> Remedy:
    hint, right = _intended_column(missing), _right_columns(facts, missing)
    if not right:
        return MISSING_COLUMN.remedy.fill({"field": missing.field, "hint": hint})
    columns = (facts.content.columns[missing.field], right)
    was, wanted = (as_text([*each]) if missing.field in LISTS else each[0] for each in columns)
    return SET_COLUMN.fill({"field": missing.field, "hint": hint, "yaml": facts.yaml.file, "was": was, "right": wanted})


def _intended_column(missing: MissingColumn) -> str:
    if missing.in_json_copy:
        return f" The JSON copy says {', '.join(missing.in_json_copy)}, which exists."
    return f" {missing.nearest!r} may be intended." if missing.nearest else ""


def _check_incomplete(facts: MetadataFacts) -> Finding:
    """A YAML file that lacks what its JSON copy has."""
    copied, yaml = facts.json_copy, facts.yaml
    others = f"; where the two differ, in {', '.join(copied.differs)}, see which is right" if copied.differs else ""
    return INCOMPLETE(
        FAIL if _NEEDED & set(copied.absent) else WARN,
        at=yaml.file,
        evidence={"fields": [*copied.absent]},
        remedy=ADD_ALL_FROM_JSON_COPY if copied.restores else INCOMPLETE.remedy,
        fields=", ".join(copied.absent),
        json_copy=copied.file,
        others=others,
        yaml=yaml.file,
    )


def _remedy_of_disagreement(facts: MetadataFacts, doubtful: Collection[str]) -> Steps:
    """What to do about copies that differ: neither of them is right because of what it is."""
    if doubtful:
        return REPAIR_YAML_FIRST
    if facts.json_copy.harmless:
        return LEFT_BY_UPDATE
    return COPIES_DISAGREE.remedy if facts.in_force == "yaml" else REPAIR_YAML_IN_FORCE


def _failed_fields(findings: Iterable[Finding]) -> Iterator[str]:
    """The fields that failures are about."""
    for finding in findings:
        if finding.severity is not FAIL:
            continue
        if finding.code in _FIELD_BY_CODE:
            yield _FIELD_BY_CODE[finding.code]
        elif finding.code in _FIELD_IN_SUBJECT:
            yield finding.subject.partition(" ")[0]


def _concerns(failing: str, field: str) -> bool:
    return failing == field or field.endswith(f".{failing}") or failing.startswith(f"{field}.")
