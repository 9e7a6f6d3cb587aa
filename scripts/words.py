"""Keep wording that is not standard English of the field out of code, messages and documentation.

usage: python scripts/words.py [--update] [FILE ...]

Each expression has a recommended replacement. What was there when a rule was introduced is counted for each file in
`words_baseline.json`, and these counts may only fall: a file that exceeds its count fails, a file without an entry may
contain none. `--update` stores the current counts, also after files were moved or split, and refuses if the total has
grown. Put `words: allow` on a line that has to quote an expression.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "scripts" / "words_baseline.json"
FOLDERS = ("pytest_mdm_health", "tests", "docs", "examples", "benchmarks", "scripts", ".github")
SUFFIXES = {".jinja", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
EXCLUDED = {"docs/checks.md", "scripts/words.py"}  # generated from the checks; this file
ALLOWED = "words: allow"

# `_` counts as a separator, so names are searched as well: `nobody_listens` is found by the rule for "nobody".
RULES = {
    r"anew": "again",
    r"nobody": "no process, no user, no one",
    r"somebody": "a user, a process, another program",
    r"hardly anybody": "few users",
    r"(?:is|are|was|were|be|been) told(?! apart)": "is reported, is passed",
    r"stands? (?:once|twice|\S+ times?)": "appears N times",
    r"stands? (?:in|at|on|there)": "is in, appears in",
    r"for want of": "because ... is missing, without",
    r"(?:took|takes?|taken|taking) stock": "inventory, inventoried",
    r"stock (?:is|was) taken": "the inventory is built",
    r"lies": "is",
    r"(?:comes?|came) about": "is created, could be opened",
    r"without a word": "silently",
    r"(?:if that was )?no purpose": "if unintentional",
    r"neither good nor bad": "inconclusive",
    r"is no (?:csv|directory|file|folder|json|number|python|text|utf-8|version|yaml)": "is not a ..., is not valid ...",
    r"at work on": "in progress, is processing",
    r"holds? nothing of": "contains no ...",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"met nothing": "unused",
    r"keep each other waiting": "block each other",
    r"to be relied on": "reliable, unreliable",
    r"has to be done": "is required",
    r"was to go": "was expected to be dropped",
    r"why_not": "skip_reason",
    r"held_?against": "compared with",
}
_ANY = "|".join(f"(?P<rule{number}>{rule})" for number, rule in enumerate(RULES))
PATTERN = re.compile(rf"(?<![A-Za-z0-9])(?:{_ANY})(?![A-Za-z0-9])", re.IGNORECASE)
REPLACEMENTS = {f"rule{number}": instead for number, instead in enumerate(RULES.values())}


class Occurrence(NamedTuple):
    """One expression in one line."""

    file: str
    line: int
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text!r}: write {self.instead!r}"


def find(file: str, content: str) -> Iterator[Occurrence]:
    """All expressions in the content of a file that a rule rejects."""
    lines = content.split("\n")
    for match in PATTERN.finditer(content):
        number = content.count("\n", 0, match.start()) + 1
        if ALLOWED not in lines[number - 1]:
            yield Occurrence(file, number, match.group(), REPLACEMENTS[match.lastgroup or ""])


def project_files(root: Path) -> list[str]:
    """The files with wording of ours, relative to the root."""
    below = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    files = (path for path in (*root.glob("*"), *below) if path.suffix in SUFFIXES and path.is_file())
    return sorted({path.relative_to(root).as_posix() for path in files} - EXCLUDED)


def scan(root: Path, files: Iterable[str]) -> dict[str, list[Occurrence]]:
    """The files that contain rejected expressions, with these."""
    found = {file: list(find(file, (root / file).read_text(encoding="utf-8"))) for file in files}
    return {file: occurrences for file, occurrences in found.items() if occurrences}


def above_baseline(found: dict[str, list[Occurrence]], baseline: dict[str, int]) -> dict[str, list[Occurrence]]:
    """The files with more rejected expressions than their baseline allows."""
    return {file: each for file, each in found.items() if len(each) > baseline.get(file, 0)}


def lowered(found: dict[str, list[Occurrence]], baseline: dict[str, int]) -> dict[str, int]:
    """The baseline that the current counts make; ValueError if their total has grown."""
    counts = {file: len(occurrences) for file, occurrences in sorted(found.items())}
    if sum(counts.values()) > sum(baseline.values()):
        raise ValueError(f"{sum(counts.values())} expressions, {sum(baseline.values())} in the baseline")
    return counts


def load_baseline(path: Path) -> dict[str, int]:
    """How many rejected expressions each file may still contain."""
    return {str(file): int(count) for file, count in json.loads(path.read_text(encoding="utf-8")).items()}


def main(arguments: list[str]) -> int:
    """Check the named files, by default all of the project."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="store the current counts if their total has not grown")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    baseline = load_baseline(BASELINE)
    files = project_files(ROOT)
    if options.update:
        try:
            counts = lowered(scan(ROOT, files), baseline)
        except ValueError as error:
            print(f"the baseline is unchanged: {error}")
            return 1
        BASELINE.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
        return 0
    named = {path.resolve() for path in options.files}
    chosen = [file for file in files if not named or ROOT / file in named]
    exceeded = above_baseline(scan(ROOT, chosen), baseline)
    for file, occurrences in exceeded.items():
        print(*occurrences, sep="\n")
        allowed = baseline.get(file, 0)
        print(f"{file}: {len(occurrences)} rejected expressions, at most {allowed} allowed (see scripts/words.py)\n")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
