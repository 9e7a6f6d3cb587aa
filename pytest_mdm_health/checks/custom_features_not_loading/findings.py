"""What is wrong with a home's custom features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.checks._shared.features_again import features_again
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts, CustomFile, Gone, Loading
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
AS_CLASS = (
    "Make them methods of a class derived from mdm.features.custom.base.BaseDomainFeatures that puts them into "
    "self._operation_registry in _register_operations(self); each gets the data frame and returns columns by name."
)
AS_FUNCTIONS = "Decorate each with @custom_feature(name=…, input_columns=[…], output_type=…) from mdm.features."


class FileJudge:
    """The findings about one file."""

    def __init__(self, check: Check, facts: CustomFacts, file: CustomFile) -> None:
        self._check, self._facts, self._file = check, facts, file
        self._code, self._loading = file.code, file.loading

    def findings(self) -> Iterator[Finding]:
        """All of them: of its place and name, of its source, and of what happened when it was loaded."""
        if self._code.problem:
            remedy = Remedy("Put the file back, as a regular file that MDM's user can read.")
            yield self._finding("unreadable", FAIL, self._code.problem, remedy)
            return
        yield from self._place()
        if self._file.is_index:
            yield from self._syntax()
        elif self._loading is None:
            yield from self._syntax()
            yield from self._source(tuple(each.name for each in self._code.classes))
        else:
            yield from self._loaded(self._loading)

    def _place(self) -> Iterator[Finding]:
        file = self._file
        if file.belongs:
            text = f"If the installed MDM is to use it, copy it to {file.belongs}; if there is such a file already, "
            remedy = Remedy(f"{text}compare the two. Keep this one: another MDM may look for it here.")
            yield self._finding("wrong-place", WARN, f"lies where MDM does not look; that is {file.belongs}", remedy)
        if not file.registered and not file.is_index and not file.name.startswith("_"):
            near = f"; the nearest is {file.nearest!r}" if file.nearest else ""
            text = "MDM loads a file for the dataset of its name only. Keep it: the dataset may come back, or"
            name = f"{file.nearest}.py" if file.nearest else "a file of a dataset's name"
            remedy = Remedy(
                f"{text} be registered elsewhere. If another dataset is meant, copy it to {name} beside it."
            )
            yield self._finding("unknown-dataset", WARN, f"is named after no registered dataset{near}", remedy)
        if file.listed is False and not file.is_index and not file.name.startswith("_"):
            severity = NOTE if self._facts.takes_functions is False else WARN
            message = "is not imported in __init__.py, or left out of its __all__"
            text = f"Import `{file.name}` in {Path(file.path).with_name('__init__.py')} and list it in `__all__`."
            yield self._finding("not-listed", severity, message, Remedy(text))

    def _syntax(self) -> Iterator[Finding]:
        if self._code.syntax:
            remedy = Remedy("Correct the line, or restore the file from a backup.")
            location = Location(self._file.path, self._code.line, self._code.column)
            yield self._finding("syntax", FAIL, f"is no Python: {self._code.syntax}", remedy, location=location)

    def _source(self, classes: tuple[str, ...]) -> Iterator[Finding]:
        """Whether there is what MDM looks for: a class, or in other versions decorated functions."""
        code, takes_functions = self._code, self._facts.takes_functions
        if (code.syntax and not classes) or self._file.name.startswith("_"):
            return
        if classes:
            yield from self._classes(classes)
        elif code.decorated:
            if takes_functions is False:
                message = f"decorates {_listed(code.decorated)} as features, which the installed MDM does not know"
                yield self._finding("other-api", FAIL, message, Remedy(AS_CLASS))
        elif code.functions:
            how = AS_FUNCTIONS if takes_functions else AS_CLASS
            message = f"has bare functions ({_listed(code.functions)}), which MDM does not call any more"
            yield self._finding("bare-functions", FAIL, message, Remedy(how))
        else:
            yield self._finding("no-features", WARN, "defines no features", Remedy(AS_CLASS))

    def _classes(self, classes: tuple[str, ...]) -> Iterator[Finding]:
        if self._facts.takes_classes is False:
            message = f"defines {_listed(classes)}, and the installed MDM wants decorated functions"
            yield self._finding("other-api", FAIL, message, Remedy(AS_FUNCTIONS))
            return
        first = next((each for each in self._code.classes if each.name == classes[0]), None)
        if first is not None and first.unmet and self._loading is None:
            message = f"defines {first.name}, of which MDM cannot make an instance: {first.unmet}"
            yield self._constructor(message, first.line)
        if len(classes) > 1:
            message = f"defines {_listed(classes)}, of which MDM uses only {classes[0]}"
            remedy = Remedy(
                "Put all operations into one class, and what others share into a class that is no feature class."
            )
            yield self._finding("several-classes", WARN, message, remedy)

    def _constructor(self, message: str, line: int | None) -> Finding:
        text = "MDM calls the class with the dataset's name and nothing else."
        remedy = Remedy(f"{text} Take that, pass it on to super().__init__, and define _register_operations(self).")
        return self._finding("constructor", FAIL, message, remedy, location=Location(self._file.path, line))

    def _loaded(self, loading: Loading) -> Iterator[Finding]:
        """What happened in MDM's own interpreter."""
        yield from self._writing(loading)
        if (loading.error or loading.how) and not loading.barred:
            yield self._broken(loading)
        if loading.stage in {"operations", "done"} or not (loading.error or loading.how):
            yield from self._source(loading.classes)
            yield from self._operations(loading)

    def _writing(self, loading: Loading) -> Iterator[Finding]:
        remedy = Remedy("Custom features should only compute; MDM loads them for every batch.")
        further = "; what comes after that was not tried" if loading.barred else ""
        if loading.wrote:
            message = f"tries to write in the home when it is loaded or run: {_listed(loading.wrote)}{further}"
            yield self._finding("writes", WARN, message, remedy, evidence={"paths": [*loading.wrote]})
        elif loading.barred:
            message = f"was kept from {loading.barred}, where it might write when it is loaded or run{further}"
            yield self._finding("writes", NOTE, message, remedy, evidence={"paths": [loading.barred]})

    def _broken(self, loading: Loading) -> Finding:
        """What kept it from coming to its end."""
        location = Location(self._file.path, loading.line or self._code.line if loading.syntax else loading.line)
        how = loading.error or f"its process {loading.how}"
        if loading.syntax:
            remedy = Remedy("Correct the line, or restore the file from a backup.")
            return self._finding("syntax", FAIL, f"is no Python: {how}", remedy, location=location)
        if loading.ends:
            how = loading.error or f"it {loading.how}"
            when = {"construct": "is made an instance of", "operations": "is run"}.get(loading.stage, "is loaded")
            text = (
                "MDM ends with it, in the middle of a registration. Raise an ordinary exception in place of an exit, "
            )
            remedy = Remedy(f"{text}which MDM logs; a signal is a crash in compiled code that the file calls.")
            return self._finding(
                "ends-process", FAIL, f"ends its process when it {when}: {how}", remedy, location=location
            )
        if loading.how:
            what = {"construct": "is not made an instance of", "operations": "does not run"}.get(
                loading.stage, "does not load"
            )
            remedy = Remedy(
                "MDM would wait for it without an end. Find the loop, or what it waits for, and load it again."
            )
            return self._finding("fails-to-load", FAIL, f"{what}: {how}", remedy, location=location)
        if loading.stage == "construct":
            message = f"defines {loading.classes[0]}, of which MDM makes no instance: {how}"
            return self._constructor(message, loading.line)
        remedy = Remedy("MDM logs this and goes on without the features. Correct it, and load it again.")
        message = f"does not {'run' if loading.stage == 'operations' else 'load'}: {how}"
        return self._finding("fails-to-load", FAIL, message, remedy, location=location)

    def _operations(self, loading: Loading) -> Iterator[Finding]:
        if loading.classes and not loading.operations:
            message = f"defines {loading.classes[0]}, which registers no operations"
            remedy = Remedy("Put each operation into self._operation_registry in _register_operations(self).")
            yield self._finding("no-operations", WARN, message, remedy)
        for name, error in loading.failed.items():
            message = f"registers {name}, which fails on the dataset's first rows: {error}"
            remedy = Remedy("MDM logs this and goes on without its features. Correct it, and make the features again.")
            location = Location(self._file.path)
            yield self._finding("operation-fails", FAIL, message, remedy, location=location, part=name)
        if self._file.missing:
            where = f"{self._file.feature_table} does not have" if self._file.feature_table else "no feature table has"
            message = f"makes {_listed(self._file.missing)}, which {where}"
            evidence: dict[str, JSON] = {"features": [*self._file.missing]}
            yield self._finding("not-in-table", WARN, message, self._anew(), evidence=evidence)

    def _anew(self) -> Remedy:
        facts, name = self._facts, self._file.name
        return features_again(name, facts.sources.get(name, ""), regenerates=facts.regenerates)

    def _finding(
        self,
        code: str,
        severity: Severity,
        message: str,
        remedy: Remedy,
        *,
        location: Location | None = None,
        evidence: dict[str, JSON] | None = None,
        part: str = "",
    ) -> Finding:
        path = self._file.path
        subject = f"{path}:{part}" if part else path
        return self._check.finding(
            code,
            severity,
            f"{path} {message}",
            remedy,
            evidence=evidence,
            location=location or Location(path),
            subject=subject,
        )


def of_gone(check: Check, facts: CustomFacts, gone: Gone) -> Finding:
    """A file that MDM loaded once."""
    message = (
        f"MDM made features of {gone.dataset} with {gone.path} the last time, and {facts.folder} has no such file now"
    )
    remedy = Remedy("Restore the file from a backup, before the dataset's features are made again without it.")
    return check.finding("gone", WARN, message, remedy, subject=gone.dataset)


def _listed(names: tuple[str, ...]) -> str:
    most = 8
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
