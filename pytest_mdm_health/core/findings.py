"""Findings as declared data: a code, its severities, what it means, and templates for its sentences and commands.

A check declares its rules once and calls them: `yield LEFT_OVER_WAL(at=wal, size=1024, file=path)`. Documentation,
symptoms, changes since a baseline and the contract test all derive from the declarations.

Templates are Python's format strings with four further formats, `{bytes:size}`, `{seconds:duration}`,
`{n:times}` and `{n:rows}`, and one further conversion: `{path!q}` is quoted for a POSIX shell.
"""

from __future__ import annotations

import shlex
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted, duration, size, times
from pytest_mdm_health.core.verbs import Call, Repair

FORMATS: Mapping[str, Callable[[Any], str]] = {
    "size": size,
    "duration": duration,
    "times": times,
    "rows": lambda count: counted(count, "row"),
}
"""What templates may say after a colon, besides Python's own."""


class _Formatter(string.Formatter):
    def convert_field(self, value: Any, conversion: Any) -> Any:  # noqa: ANN401 - as the standard library declares it
        if conversion == "q":
            return shlex.quote(str(value))
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:  # noqa: ANN401 - as the standard library declares it
        if format_spec in FORMATS:
            return FORMATS[format_spec](value)
        return super().format_field(value, format_spec)


_FORMATTER = _Formatter()


def fill(template: str, values: Mapping[str, object]) -> str:
    """The template with the values in it.

    Raises:
        KeyError: a value is missing.
    """
    return _FORMATTER.vformat(template, (), values)


def fields_of(template: str) -> frozenset[str]:
    """The names of the values that a template needs."""
    names = (name for _, name, _, _ in _FORMATTER.parse(template) if name is not None)
    return frozenset(name.partition(".")[0].partition("[")[0] for name in names)


@dataclass(frozen=True)
class Steps:
    """What a person does next, as templates.

    Attributes:
        text: one or two sentences.
        commands: shell commands and calls of our own verbs, in their order.
    """

    text: str
    commands: tuple[str | Call, ...] = ()

    def fill(self, values: Mapping[str, object]) -> Remedy:
        """The remedy with the values in it."""
        filled = tuple(_filled(command, values) for command in self.commands)
        return remedy_of(fill(self.text, values), filled)

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template in it."""
        found = [self.text]
        for command in self.commands:
            found += command.templates if isinstance(command, Call) else [command]
        return tuple(found)

    @property
    def fields(self) -> frozenset[str]:
        """The names of the values that it needs."""
        return frozenset().union(*map(fields_of, self.templates))


def remedy_of(text: str, commands: Iterable[str | Repair]) -> Remedy:
    """A remedy with these commands, the calls of our own verbs both as text and as data."""
    every = tuple(commands)
    return Remedy(
        text,
        tuple(each.command if isinstance(each, Repair) else each for each in every),
        tuple(each for each in every if isinstance(each, Repair)),
    )


def _filled(command: str | Call, values: Mapping[str, object]) -> str | Repair:
    if isinstance(command, Call):
        return Repair(
            command.verb,
            fill(command.place, values),
            tuple(fill(word, values) for word in command.words),
            tuple((name, fill(value, values)) for name, value in command.options),
        )
    return fill(command, values)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of finding. Called with what its templates need, it is one finding.

    Attributes:
        check: whose finding it is.
        code: the part after the dot.
        severities: those it can have; the first is used where none is given.
        meaning: what the code means, for the documentation, without a full stop. Empty for another wording of a rule
            that has the same code.
        message: what is wrong, with names and numbers; lower case, without a full stop.
        remedy: what to do about it.
        change: what it says of a home since its baseline: the kind of thing, and how it has changed.
        answers: the ids of the guide's symptoms that it explains (`knowledge/guide.py`).
        formerly: codes of earlier versions that became this one; waivers may still use them.
    """

    check: Check
    code: str
    severities: tuple[Severity, ...]
    meaning: str
    message: str
    remedy: Steps
    change: tuple[str, Change] | None = None
    answers: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()

    def __call__(
        self,
        severity: Severity | None = None,
        *,
        at: Location | str | None = None,
        subject: str = "",
        evidence: Mapping[str, JSON] | None = None,
        remedy: Steps | Remedy | None = None,
        **values: object,
    ) -> Finding:
        """One finding.

        Args:
            severity: one of `severities`; the first of them by default.
            at: the place in a file, or the file.
            subject: what in the target it is about.
            evidence: what was seen.
            remedy: another remedy than the declared one.
            values: what the templates need, by name.

        Raises:
            KeyError: a value is missing.
            ValueError: the severity is none of those declared.
        """
        chosen = severity or self.severities[0]
        if chosen not in self.severities:
            raise ValueError(f"{self.check.id}.{self.code} is declared as {self.severities}, not {chosen}")
        steps = self.remedy if remedy is None else remedy
        return self.check.finding(
            self.code,
            chosen,
            fill(self.message, values),
            steps.fill(values) if isinstance(steps, Steps) else steps,
            evidence=evidence,
            location=Location(at) if isinstance(at, str) else at,
            subject=subject,
        )

    @property
    def full_code(self) -> str:
        """`<check>.<code>`."""
        return f"{self.check.id}.{self.code}"

    @property
    def fields(self) -> frozenset[str]:
        """The names of the values that its message needs."""
        return fields_of(self.message)


@dataclass
class Rules:
    """The rules of one check, in the order of its documentation.

    Attributes:
        check: whose findings they are.
        retired: codes of earlier versions that nothing finds any more; a waiver with one does nothing.
    """

    check: Check
    retired: list[str] = field(default_factory=list)
    _declared: list[Rule] = field(default_factory=list)

    def declare(
        self,
        code: str,
        *severities: Severity,
        means: str,
        message: str,
        remedy: Steps | str,
        commands: Sequence[str | Call] = (),
        change: tuple[str, Change] | None = None,
        answers: Sequence[str] = (),
        formerly: Sequence[str] = (),
    ) -> Rule:
        """Declare one kind of finding; see `Rule`. A remedy that is a text has the commands as its steps."""
        steps = remedy if isinstance(remedy, Steps) else Steps(remedy, tuple(commands))
        rule = Rule(
            check=self.check,
            code=code,
            severities=severities,
            meaning=means,
            message=message,
            remedy=steps,
            change=change,
            answers=tuple(answers),
            formerly=tuple(formerly),
        )
        self._declared.append(rule)
        return rule

    def reworded(
        self, rule: Rule, *severities: Severity, message: str, remedy: Steps | str, commands: Sequence[str | Call] = ()
    ) -> Rule:
        """Another wording of a rule that was declared, for another case of the same code."""
        return self.declare(
            rule.code, *(severities or rule.severities), means="", message=message, remedy=remedy, commands=commands
        )

    def retire(self, *codes: str) -> None:
        """Say that nothing finds these any more, so that a waiver with one of them stays a valid file."""
        self.retired += codes

    def __iter__(self) -> Iterator[Rule]:
        """Every rule, further wordings included."""
        return iter(self._declared)

    @property
    def documentation(self) -> str:
        """What is below "Findings" in the check's documentation: one entry per code."""
        return "\n".join(self._entry(rule) for rule in self._declared if rule.meaning)

    def _entry(self, rule: Rule) -> str:
        """One code with all severities that it can have, the worst first."""
        found = {severity for other in self._declared if other.code == rule.code for severity in other.severities}
        words = "/".join(severity.value for severity in reversed(Severity) if severity in found)
        return f"* `{rule.code}` ({words}): {rule.meaning}."
