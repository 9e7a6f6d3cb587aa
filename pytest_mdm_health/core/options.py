"""What the user asked for, as one typed object.

PYTEST_DONT_REWRITE: there is no assertion in it, and every pytest run loads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OUTPUTS = ("html", "json", "markdown", "bundle", "save-baseline", "write-waivers")
"""The options that name a file to write."""
FAIL_ON = ("fail", "warn", "regression")


@dataclass(frozen=True)
class Declared:
    """One option as it is declared to pytest.

    Attributes:
        name: as on the command line, without the dashes.
        help: one line.
        kind: `flag`, `text` or `list`.
        metavar: the word for its value in the help.
        choices: the words it takes, if only some.
    """

    name: str
    help: str
    kind: str = "text"
    metavar: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def dest(self) -> str:
        """The attribute in pytest's options and the key in the ini file."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.dest.upper()}"


DECLARED = (
    Declared(
        "mdm-health", "examine an MDM home; only the health suite is collected unless paths are given too", "flag"
    ),
    Declared("mdm-home", "the MDM home (default: $MDM_HOME_DIR, else ~/.mdm)", metavar="DIR"),
    Declared("mdm-python", "the interpreter that MDM is installed in", metavar="EXE"),
    Declared("mdm-backup", "where backups are (default: <home>/backup, else /backup)", metavar="DIR"),
    Declared("mdm-source", "source tree to search for legacy use; repeatable", "list", "DIR"),
    Declared("mdm-requirements", "the migration's requirements file", metavar="FILE"),
    Declared("mdm-phase", "which checks make sense now (default: any)", choices=("pre", "post", "any")),
    Declared("mdm-depth", "how much data is read (default: standard)", choices=("quick", "standard", "full")),
    Declared("mdm-select", "only checks with this id, issue, section or tag; repeatable", "list", "X"),
    Declared("mdm-ignore", "no checks with this id, issue, section or tag; repeatable", "list", "X"),
    Declared("mdm-dataset", "only datasets that match; repeatable", "list", "GLOB"),
    Declared("mdm-symptom", "select the checks that explain an error message or a few words", metavar="TEXT"),
    Declared("mdm-save-baseline", "record this run to compare with later", metavar="FILE"),
    Declared("mdm-baseline", "compare with a recorded run", metavar="FILE"),
    Declared("mdm-waivers", "accepted findings", metavar="FILE"),
    Declared("mdm-expect", "changes that the migration is meant to make", metavar="FILE"),
    Declared("mdm-fail-on", "what makes the run red (default: fail)", choices=FAIL_ON),
    Declared("mdm-strict", "skip, blocked and error count as failures", "flag"),
    Declared("mdm-timeout", "seconds that a check may be silent, making no progress (default: 60)", metavar="SECONDS"),
    Declared("mdm-run-scripts", "also run scripts that MDM ships, such as backup_mdm_state.sh --dry-run", "flag"),
    Declared("mdm-show-values", "findings may show data values", "flag"),
    Declared("mdm-write-waivers", "draft a waivers file from this run", metavar="FILE"),
    Declared("mdm-html", "write the report as one HTML page", metavar="FILE"),
    Declared("mdm-json", "write the results as JSON", metavar="FILE"),
    Declared("mdm-json-facts", "the results as JSON have the facts that were collected, too", "flag"),
    Declared("mdm-markdown", "write the report as Markdown", metavar="FILE"),
    Declared("mdm-bundle", "write everything that a ticket needs as a zip", metavar="FILE"),
    Declared("mdm-list", "list the checks and exit", "flag"),
    Declared("mdm-explain", "print one check's documentation and exit", metavar="ID"),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for; paths are absolute.

    Attributes:
        timeout: seconds that a check may take without making progress.
        json: where the JSON goes; likewise `html`, `markdown`, `bundle`, `save_baseline` and `write_waivers`.
        others: as in the table of options in the documentation.
    """

    home: Path
    python: str | None = None
    backup: Path | None = None
    source: tuple[Path, ...] = ()
    requirements: Path | None = None
    phase: str = "any"
    depth: str = "standard"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()
    symptom: str | None = None
    fail_on: str = "fail"
    strict: bool = False
    timeout: float = 60.0
    run_scripts: bool = False
    show_values: bool = False
    baseline: Path | None = None
    waivers: Path | None = None
    expect: Path | None = None
    html: Path | None = None
    json: Path | None = None
    json_facts: bool = False
    markdown: Path | None = None
    bundle: Path | None = None
    save_baseline: Path | None = None
    write_waivers: Path | None = None

    @property
    def keeps_tables(self) -> bool:
        """Whether tables are to be compared with an earlier or a later run."""
        return self.save_baseline is not None or self.baseline is not None
