"""The baseline: a run recorded, to compare a later one with.

One JSON document, `mdm-health-baseline/2`: the run's own document, the facts of its checks, the settings in force, and
a checksum. `mdm-health-baseline/1` of earlier versions is read as well. A file that is not whole, not ours or of
another home is refused, never taken for none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mdm_health import __version__
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.model import JSON, Result, Status, Target
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.engine.plan import BaselineDataset
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.mdm.files import Unreadable, open_regular
from pytest_mdm_health.redaction.redactor import redactor_for
from pytest_mdm_health.reports.debug_info import configuration
from pytest_mdm_health.reports.json import document as json_document
from pytest_mdm_health.reports.json import load as json_load
from pytest_mdm_health.reports.json import report as json_report

if TYPE_CHECKING:
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.reports.model import Report

SCHEMA = "mdm-health-baseline/2"
VERSION_1 = "mdm-health-baseline/1"
LARGEST_BYTES = 2 << 30
_EXAMINED = {Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED}
_OPTION = "--mdm-baseline"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A recorded run.

    Attributes:
        results: all of them, with what they keep.
        datasets: every dataset that the home had, examined or not.
        file: where it was read from.
        created_at: when the run started, as ISO 8601.
        home: the home that it examined.
        version: the version of this product that recorded it.
        check_set: a hash of all that this version could find.
    """

    results: tuple[Result, ...] = ()
    datasets: tuple[BaselineDataset, ...] = ()
    file: str = ""
    created_at: str = ""
    home: str = ""
    version: str = __version__
    check_set: str = ""

    def facts_of(self, check_id: str, target: Target) -> Mapping[str, JSON] | None:
        """The plain facts of a check on a target; None if it was not examined then."""
        result = self._by_check.get((check_id, target))
        if result is None or result.status not in _EXAMINED:
            return None
        return {**result.facts, **result.kept, "examined": result.examined}

    @cached_property
    def _by_check(self) -> Mapping[tuple[str, Target], Result]:
        return {(each.check.id, each.target): each for each in self.results}


def render(report: Report, plan: Plan) -> str:
    """The file's text."""
    content = {
        "run": json_report.document(report),
        "facts": [json_document.plain({**each.facts, **each.kept}) for each in report.results],
        "datasets": [_known(each.name, each.backend, each.database) for each in plan.inventory.datasets],
        "settings": redactor_for(plan.inventory, plan.environ).everywhere(configuration(plan.inventory.settings)),
        "check_set": check_set(),
    }
    body = json_report.as_text(content)
    head = json.dumps({"schema": SCHEMA, "sha256": _sha256(json.loads(body))}, separators=(",", ":"))
    return f'{head[:-1]},\n"content":{body}}}\n'


def read(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        UnusableFile: it is missing, damaged, or no baseline; says which.
    """
    data = parsed(path, _OPTION)
    if not isinstance(data, dict) or data.get("schema") not in {SCHEMA, VERSION_1}:
        raise UnusableFile(f"{_OPTION}: {path} {_what_is_missing(data)}")
    content = data.get("content")
    if not isinstance(content, dict) or data.get("sha256") != _sha256(content):
        raise UnusableFile(f"{_OPTION}: {path} is damaged: its content does not match its checksum")
    try:
        return _read(path, content)
    except (json_load.NoDocument, KeyError, TypeError, ValueError) as error:
        raise UnusableFile(f"{_OPTION}: {path} cannot be used: {error}") from None


def from_report(report: Report, file: Path) -> Baseline:
    """An earlier run as its results tell it: without what only a baseline keeps, and without what it looked for."""
    return Baseline(
        results=report.results,
        datasets=tuple(BaselineDataset(name) for name in report.datasets),
        file=str(file),
        created_at=report.started_at.isoformat(timespec="seconds"),
        home=report.home,
        version=report.version,
    )


def refuse_foreign(baseline: Baseline, datasets: Iterable[str], named_by: str = _OPTION) -> None:
    """Refuse a baseline of another home, given the names of this one's datasets and what names the file.

    Raises:
        UnusableFile: this home has datasets, and not one in common.
    """
    then, now = {each.name for each in baseline.datasets}, set(datasets)
    if now and not then & now:
        raise UnusableFile(
            f"{named_by}: {baseline.file} has no dataset in common with this home: "
            f"it has {_some(then) or 'none'}, recorded in {baseline.home}, and here are {_some(now)}"
        )


def check_set() -> str:
    """A hash of all checks and of what they can find."""
    known = sorted(f"{id_}.{code}" for id_, each in load().items() for code in each.documentation.findings)
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16]


def parsed(path: Path, named_by: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON in a file that an option or a command names.

    Raises:
        UnusableFile: there is no such file, or it holds no JSON.
    """
    try:
        with open_regular(path) as file:
            text = file.read(LARGEST_BYTES)
    except Unreadable as error:
        raise UnusableFile(f"{named_by}: {error}") from None
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not text.strip() else f"it is not valid JSON ({error})"
        raise UnusableFile(f"{named_by}: {path} is damaged, or not what is needed: {why}") from None


def report_in(path: Path, named_by: str) -> Report:
    """The run in a file that a command names: the JSON document that `--mdm-json` writes.

    Raises:
        UnusableFile: there is no such file, or it is no document of a run.
    """
    try:
        return json_load.load(parsed(path, named_by))
    except json_load.NoDocument as error:
        raise UnusableFile(one_line(f"{named_by}: {path} cannot be used: {error}")) from None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _read(path: Path, content: Mapping[str, Any]) -> Baseline:
    run = from_report(json_load.load(content["run"]), path)
    facts = content["kept" if "kept" in content else "facts"]  # version 1 has the other facts in the run's document
    if not all(isinstance(each, dict) for each in facts):
        raise TypeError("the facts of its results are not what they have to be")
    return replace(
        run,
        results=tuple(
            replace(result, facts={**result.facts, **more}) for result, more in zip(run.results, facts, strict=True)
        ),
        datasets=tuple(
            BaselineDataset(each["name"], each["backend"], Path(each["database"]) if each["database"] else None)
            for each in content["datasets"]
        ),
        check_set=str(content["check_set"]),
    )


def _what_is_missing(data: object) -> str:
    found = data.get("schema") if isinstance(data, dict) else None
    if found in {json_document.SCHEMA, json_load.VERSION_1}:
        return (
            f"has the results of a run ({found}), and no facts to compare with: record a baseline with "
            "--mdm-save-baseline, or compare the findings of two runs with `python -m pytest_mdm_health compare`"
        )
    what = f"of the schema {found!r}"[:80] if found else "no baseline"
    return f"is {what}; {SCHEMA} is needed, as --mdm-save-baseline writes it"


def _known(name: str, backend: str | None, database: Path | None) -> dict[str, JSON]:
    return {"name": name, "backend": backend, "database": str(database) if database else None}


def _sha256(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")  # noqa: PLR2004 - a few
