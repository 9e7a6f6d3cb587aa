"""What every report is rendered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_mdm_health import __version__
from pytest_mdm_health.core.changes import Change, Comparison
from pytest_mdm_health.core.exit_codes import MEANING, ExitCode, verdict
from pytest_mdm_health.core.model import JSON, Finding, Kind, Phase, Remedy, Result, Severity, Status
from pytest_mdm_health.core.text import counted

AREAS = {
    "configuration": ("2",),
    "storage": ("3",),
    "datasets": ("5", "7"),
    "features": ("6",),
    "performance": ("4",),
    "backups and dependencies": ("1",),
    "diagnostics": ("8",),
    "further checks": ("9",),
}
"""The guide's areas (its issue 8.1, then the rest) with their sections."""
_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.WARN, Status.BLOCKED, Status.WAIVED, Status.PASS, Status.SKIP)
_URGENT, _URGENT_BEFORE = "573261489", "157326489"
"""The sections, those first that data depends on; before a migration that is the backup."""
_NAMED = 5
_NAME = 40
"""Characters that are shown of a name in a list of names."""
_LOST_ROWS = frozenset({"data-corruption.missing-rows", "data-corruption.row-count", "data-corruption.feature-rows"})
"""Codes that tell the same loss of rows, each counted against something else."""
_HARM = {Severity.FAIL: 0, Severity.WARN: 1, Severity.NOTE: 2}


@dataclass(frozen=True)
class Trouble:
    """Something that went wrong with what a run writes.

    Attributes:
        message: what, without a full stop.
        output: the option that asks for the file, without its `--mdm-`; empty for what others write.
        leaked: whether it shows a secret, or would have shown one.
    """

    message: str
    output: str = ""
    leaked: bool = False

    def __str__(self) -> str:
        return f"--mdm-{self.output}: {self.message}" if self.output else self.message


@dataclass(frozen=True)
class ActionItem:
    """One finding to start with, and how much more of the same there is.

    Attributes:
        remedy: of the finding; where it has no command, of the first like it on the same target that has one.
        codes: of all that is meant, the finding's first.
        here: how many further findings of the kind there are on the same target.
        elsewhere: the other targets on which it was found.
    """

    result: Result
    finding: Finding
    remedy: Remedy
    codes: tuple[str, ...]
    here: int = 0
    elsewhere: tuple[str, ...] = ()

    @property
    def more(self) -> str:
        """The same in words; empty if there is no more."""
        some, rest = [_short(target) for target in self.elsewhere[:_NAMED]], len(self.elsewhere) - _NAMED
        also = f"also on {', '.join(some)}" + (f" and {rest} more" if rest > 0 else "") if some else ""
        return "; ".join(part for part in (f"and {self.here} more here" if self.here else "", also) if part)


@dataclass(frozen=True, kw_only=True)
class InstalledMdm:
    """The MDM that is installed.

    Attributes:
        version: null where it could not be asked.
        python: its interpreter.
        error: why it could not be asked; null where it could.
    """

    version: str | None
    python: str
    error: str | None


@dataclass(frozen=True, kw_only=True)
class WaiverUse:
    """What a waivers file did.

    Attributes:
        file: its path.
        expired: entries that are out of date and did not count, each by its line, code and target.
        unused: entries in force that accept no finding, or not the one that they name, likewise.
    """

    file: str
    expired: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished run: all that a report shows, and all that the JSON document keeps.

    Attributes:
        results: in the order of the guide, then of the targets.
        started_at: with its time zone.
        duration_s: wall time in seconds.
        exit_code: what the process will end with.
        home: the path of the examined home.
        phase: `pre`, `post` or `any`.
        depth: `quick`, `standard` or `full`.
        environment: the machine and the interpreter that the run used.
        ignored: one sentence for each check that was ignored although checks that ran depend on it.
        not_selected: what of the home the run was not asked about, in sentences without a full stop.
        gaps: places of the home that could not be listed, so that it is unknown what is missing there.
        mdm: the installed MDM, if some check asked for it.
        comparison: how the home has changed since its baseline, if there is one.
        waivers: what the waivers file did, if there is one.
        not_run: how many of the results are of checks that were not run, because the run stopped before them.
        version: the version of this product that made the run.
    """

    results: tuple[Result, ...]
    started_at: datetime
    duration_s: float
    exit_code: int
    home: str
    phase: str = "any"
    depth: str = "standard"
    environment: Mapping[str, JSON] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    not_selected: tuple[str, ...] = ()
    mdm: InstalledMdm | None = None
    comparison: Comparison | None = None
    waivers: WaiverUse | None = None
    not_run: int = 0
    version: str = __version__

    @property
    def verdict(self) -> str:
        """The word for how it ended."""
        return verdict(self.results, gaps=bool(self.gaps))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the datasets that were examined, sorted."""
        return tuple(sorted({each.target.name for each in self.results if each.target.kind is Kind.DATASET}))

    @property
    def meaning(self) -> str:
        """What the exit code means, in words."""
        if self.exit_code == ExitCode.HEALTHY and self.verdict == "degraded":
            return "nothing failed; warnings are allowed unless --mdm-fail-on=warn"
        if self.exit_code == ExitCode.HEALTHY and self.verdict == "unhealthy":
            return (
                "nothing is worse than in the baseline, as --mdm-fail-on=regression wants; what failed then fails now"
            )
        if self.exit_code == ExitCode.UNHEALTHY and self.verdict != "unhealthy":
            return "worse than in the baseline, not examined under --mdm-strict, or a failure among other tests here"
        if self.exit_code == ExitCode.INCONCLUSIVE and self.verdict == "unhealthy":
            return "not everything could be examined, or a report was held back because it would have shown a secret"
        return MEANING[ExitCode(self.exit_code)] if self.exit_code in set(ExitCode) else "pytest ended the run itself"

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many results of each status, in the order of the contract; zeros left out."""
        counts = Counter(result.status for result in self.results)
        return {status: counts[status] for status in Status if counts[status]}

    @property
    def areas(self) -> Mapping[str, Status]:
        """The worst status in each area of the guide in which anything was run; a skip only where all is skipped."""
        areas = {}
        for name, sections in AREAS.items():
            statuses = {result.status for result in self.results if result.check.section in sections}
            if statuses:
                areas[name] = next(status for status in _WORST_FIRST if status in statuses)
        return areas

    @property
    def findings(self) -> tuple[tuple[Result, Finding], ...]:
        """Fails and warnings that no waiver accepts, with the result they belong to, the most harmful first."""
        return tuple((result, finding) for result, finding in self._harmful if finding.waiver is None)

    @property
    def waived(self) -> tuple[tuple[Result, Finding], ...]:
        """Fails and warnings that a waiver accepts, with the result they belong to."""
        return tuple((result, finding) for result, finding in self._harmful if finding.waiver is not None)

    @property
    def _harmful(self) -> list[tuple[Result, Finding]]:
        pairs = [(result, finding) for result in self.results for finding in result.findings]
        harmful = [pair for pair in pairs if pair[1].severity is not Severity.NOTE]
        return sorted(harmful, key=lambda pair: _HARM[pair[1].severity])

    @property
    def repairable(self) -> int:
        """How many findings `mdm-health repair` has a step for."""
        return sum(bool(finding.remedy.repairs) for _, finding in self.findings)

    @property
    def repair_hint(self) -> str:
        """What to type for a plan of repair."""
        return (
            f"{counted(self.repairable, 'finding')} can be repaired step by step, each step with a copy of what there "
            "was: mdm-health repair RESULTS.json prints the plan (RESULTS.json is what --mdm-json writes)"
        )

    @property
    def action_items(self) -> tuple[ActionItem, ...]:
        """What to do first: the harmful findings, those of one code or one loss together, the most harmful first.

        Of equal severity, what became worse since the baseline comes first, then what concerns the data itself.
        """
        grouped: dict[tuple[str, Severity], list[tuple[Result, Finding]]] = {}
        for result, finding in self.findings:
            grouped.setdefault((_cause(finding.code), finding.severity), []).append((result, finding))
        return tuple(sorted((_first_of(pairs) for pairs in grouped.values()), key=self._urgency))

    def _urgency(self, thing: ActionItem) -> tuple[int, bool, int]:
        sections = _URGENT_BEFORE if self.phase == Phase.PRE else _URGENT
        is_old = thing.result.baseline not in {Change.NEW.value, Change.WORSE.value}
        return _HARM[thing.finding.severity], is_old, sections.find(thing.result.check.section)

    @property
    def notes(self) -> tuple[tuple[Result, Finding], ...]:
        """Advice with the result it belongs to."""
        return tuple((r, f) for r in self.results for f in r.findings if f.severity is Severity.NOTE)


def _first_of(pairs: list[tuple[Result, Finding]]) -> ActionItem:
    result, finding = pairs[0]
    targets = [each.target.id for each, _ in pairs[1:]]
    elsewhere = tuple(dict.fromkeys(target for target in targets if target != result.target.id))
    here = [each for found, each in pairs if found.target == result.target]
    return ActionItem(
        result,
        finding,
        next((each.remedy for each in here if each.remedy.commands), finding.remedy),
        tuple(dict.fromkeys(each.code for _, each in pairs)),
        here=len(here) - 1,
        elsewhere=elsewhere,
    )


def _cause(code: str) -> str:
    return "rows were lost" if code in _LOST_ROWS else code


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
