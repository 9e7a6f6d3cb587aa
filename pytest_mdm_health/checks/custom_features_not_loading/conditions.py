"""When a file of custom features does not work: by its path, by its source, and by what it did when it was loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_mdm_health.checks._shared.regenerating_features import how_to_regenerate
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts, CustomFile, Loading
from pytest_mdm_health.checks.custom_features_not_loading.findings import (
    BARE_FUNCTIONS,
    CONSTRUCTOR,
    DECORATE_FUNCTIONS,
    DEFINE_CLASS,
    DOES_NOT_FINISH,
    ENDS_PROCESS,
    FAILS_TO_LOAD,
    MIGHT_WRITE,
    NO_FEATURES,
    NO_OPERATIONS,
    NOT_IN_TABLE,
    NOT_LISTED,
    NOTE,
    OPERATION_FAILS,
    OTHER_API,
    OTHER_API_CLASSES,
    SEVERAL_CLASSES,
    SYNTAX,
    UNKNOWN_DATASET,
    WARN,
    WRITES,
    WRONG_PLACE,
)
from pytest_mdm_health.core.model import JSON, Finding, Location
from pytest_mdm_health.core.text import join_names
from pytest_mdm_health.mdm.installed.custom_code import INDEX

STAGES = {"construct": "while its class is instantiated", "operations": "while its operations run"}
"""What happens to a file in a stage; before these, it is loaded."""


def check_path(facts: CustomFacts, file: CustomFile) -> Iterator[Finding]:
    """Whether the installed MDM finds the file for a dataset."""
    path = file.path
    if file.expected_path:
        yield WRONG_PLACE(at=path, subject=path, path=path, expected=file.expected_path)
    if file.is_private:
        return
    if not file.registered:
        hint = f"; the closest name is {file.nearest!r}" if file.nearest else ""
        name = file.nearest or "<dataset>"
        yield UNKNOWN_DATASET(at=path, subject=path, path=path, hint=hint, name=name)
    if file.listed is False:
        severity = NOTE if facts.supports_functions is False else WARN
        index = Path(path).with_name(INDEX)
        yield NOT_LISTED(severity, at=path, subject=path, path=path, module=file.name, index=index)


def check_source(facts: CustomFacts, file: CustomFile) -> Iterator[Finding]:
    """What the source alone shows, for a file that was not loaded."""
    path, code = file.path, file.code
    if code.syntax:
        yield SYNTAX(at=Location(path, code.line, code.column), subject=path, path=path, error=code.syntax)
    elif not file.is_private:
        yield from _check_features(facts, file, [each.name for each in code.classes])
        first = code.classes[0] if code.classes else None
        if first is not None and first.unmet and facts.supports_classes is not False:
            at = Location(path, first.line)
            yield CONSTRUCTOR(at=at, subject=path, path=path, class_name=first.name, reason=first.unmet)


def check_loading(facts: CustomFacts, file: CustomFile, loading: Loading) -> Iterator[Finding]:
    """What happened when the file was loaded and run in MDM's own interpreter."""
    yield from _check_writing(file, loading)
    if loading.stopped and not loading.blocked_at:
        yield _stopped(file, loading)
    if loading.stage in {"operations", "done"} or not loading.stopped:
        if loading.classes or not file.code.syntax:
            yield from _check_features(facts, file, loading.classes)
        yield from _check_operations(facts, file, loading)


def _check_features(facts: CustomFacts, file: CustomFile, classes: Sequence[str]) -> Iterator[Finding]:
    """Whether the file has what the installed MDM looks for: a class, or in other versions decorated functions."""
    path, code = file.path, file.code
    if classes and facts.supports_classes is False:
        yield OTHER_API_CLASSES(at=path, subject=path, path=path, classes=join_names(classes))
    elif len(classes) > 1:
        yield SEVERAL_CLASSES(at=path, subject=path, path=path, classes=join_names(classes), first=classes[0])
    elif classes:
        return
    elif code.decorated:
        if facts.supports_functions is False:
            yield OTHER_API(at=path, subject=path, path=path, functions=join_names(code.decorated))
    elif code.functions:
        remedy = DECORATE_FUNCTIONS if facts.supports_functions else DEFINE_CLASS
        yield BARE_FUNCTIONS(at=path, subject=path, path=path, functions=join_names(code.functions), remedy=remedy)
    else:
        yield NO_FEATURES(at=path, subject=path, path=path)


def _check_writing(file: CustomFile, loading: Loading) -> Iterator[Finding]:
    path, places = file.path, loading.wrote
    untested = "; the rest of the file was not tested" if loading.blocked_at else ""
    if places:
        evidence: dict[str, JSON] = {"paths": [*places]}
        yield WRITES(at=path, subject=path, evidence=evidence, path=path, places=join_names(places), untested=untested)
    elif loading.blocked_at:
        place = loading.blocked_at
        yield MIGHT_WRITE(at=path, subject=path, evidence={"paths": [place]}, path=path, place=place, untested=untested)


def _stopped(file: CustomFile, loading: Loading) -> Finding:
    """Why the file did not run to its end."""
    path, error = file.path, loading.error
    at = Location(path, loading.line)
    when = STAGES.get(loading.stage, "while it is loaded")
    if loading.is_syntax_error:
        at = Location(path, loading.line or file.code.line)
        return SYNTAX(at=at, subject=path, path=path, error=error)
    if loading.ends_process:
        return ENDS_PROCESS(at=at, subject=path, path=path, when=when, reason=error or f"it {loading.ended}")
    if loading.ended and not error:
        return DOES_NOT_FINISH(at=at, subject=path, path=path, when=when, ended=loading.ended)
    if loading.stage == "construct" and not loading.ended:
        return CONSTRUCTOR(at=at, subject=path, path=path, class_name=loading.classes[0], reason=error)
    return FAILS_TO_LOAD(at=at, subject=path, path=path, when=when, error=error)


def _check_operations(facts: CustomFacts, file: CustomFile, loading: Loading) -> Iterator[Finding]:
    path = file.path
    if loading.classes and not loading.operations:
        yield NO_OPERATIONS(at=path, subject=path, path=path, class_name=loading.classes[0])
    for operation, error in loading.failed.items():
        yield OPERATION_FAILS(at=path, subject=f"{path}:{operation}", path=path, operation=operation, error=error)
    if file.missing:
        how = how_to_regenerate(file.name, facts.sources.get(file.name, ""), by_command=facts.has_regenerate)
        yield NOT_IN_TABLE(
            at=path,
            subject=path,
            evidence={"features": [*file.missing]},
            path=path,
            features=join_names(file.missing),
            table=file.feature_table or "any feature table",
            how=how,
        )
