"""A log that something else wrote on: each line is what MDM wrote, and what is none of MDM's is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Result, Status
from pytest_mdm_health.mdm.logs import LogRecord, read_log
from pytest_mdm_health.mdm.logs.files import log_files

LINES = [
    "2026-11-22 08:14:34,007 - mdm.cli.main - INFO - MDM logging initialized",
    "2026-11-22 08:14:35 | ERROR | mdm.dataset.registrar:register:74 - Registration failed: no — disk",
    "Traceback (most recent call last):",
    '  File "/opt/mdm/x.py", line 3, in f',
    "ValueError: 12:00:00 is not a number",
    "2026-11-22 08:14:36 | INFO | mdm.cli.main:run:7 - done",
]


def docker(line: str) -> str:
    return json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2026-11-22T08:14:34.007123456Z"})


WRAPPED: dict[str, Callable[[str], str]] = {
    "docker": docker,
    "journald": lambda line: f"Nov 22 08:14:34 build-7 mdm[4711]: {line}",
    "journald without a pid": lambda line: f"Nov  2 08:14:34 build-7 python3: {line}",
    "journald, short-iso": lambda line: f"2026-11-22T08:14:34+0100 build-7 mdm[4711]: {line}",
    "syslog, RFC 5424": lambda line: f"<134>1 2026-11-22T08:14:34.007Z build-7 mdm 4711 ID47 - {line}",
    "kubernetes": lambda line: f"2026-11-22T08:14:34.007123456Z stderr F {line}",
    "timestamps": lambda line: f"2026-11-22T08:14:34.007123456Z {line}",
    "compose": lambda line: f"mdm-1  | {line}",
    "colours": lambda line: f"\x1b[32m{line[:19]}\x1b[0m{line[19:]}",
    "progress": lambda line: f"Loading:  10%|#    |\rLoading: 100%|#####|\r{line}",
    "carriage return": lambda line: f"{line}\r",
}


def write(file: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return file


def told(file: Path) -> tuple[list[LogRecord], list[str]]:
    foreign: list[str] = []
    records = list(read_log(file, not_understood=foreign.append))
    return [record._replace(file=Path()) for record in records], foreign


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_what_is_around_a_line_is_taken_away(tmp_path: Path, wrap: Callable[[str], str]) -> None:
    plain = told(write(tmp_path / "plain" / "mdm.log", LINES))
    assert told(write(tmp_path / "mdm.log", [wrap(line) for line in LINES])) == plain
    assert plain[1] == []
    assert [record.level for record in plain[0]] == ["INFO", "ERROR", "INFO"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_log_in_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    plain = told(write(tmp_path / "plain" / "mdm.log", LINES))
    assert told(write(tmp_path / "mdm.log", LINES, encoding)) == plain


FOREIGN = {
    "json of another logger": '{"timestamp": "2026-11-22T08:14:34Z", "level": "error", "msg": "disk full"}',
    "logfmt": 'time=2026-11-22T08:14:34Z level=error msg="disk full"',
    "bracketed": "[2026-11-22 08:14:34] ERROR disk full",
    "level first": "ERROR 22.11.2026 08:14:34 disk full",
}


@pytest.mark.parametrize("line", FOREIGN.values(), ids=FOREIGN.keys())
def test_lines_in_another_form_are_counted(tmp_path: Path, line: str) -> None:
    file = write(tmp_path / "mdm.log", [*LINES, line, line])
    assert told(file)[1] == [f"{file} has 2 lines in a form that MDM does not write"]
    assert told(write(file, [line]))[1] == [f"{file} has 1 line in a form that MDM does not write"]


def test_lines_without_time_and_level_belong_to_their_record(tmp_path: Path) -> None:
    table = ["            when  price", "0 2026-11-22 08:14:34   3.4", "INFO about nothing"]
    assert told(write(tmp_path / "mdm.log", [*LINES, *table]))[1] == []
    file = write(tmp_path / "mdm.log", table)
    assert told(file)[1] == [f"{file} has 3 lines in a form that MDM does not write"]


@pytest.mark.parametrize(
    "name",
    ["mdm.log-20261125", "mdm.log-20261125.gz", "mdm.log-20261125-1764028800", "mdm-20261125.log", "mdm.log.old"],
)
def test_what_logrotate_names_is_a_file_of_the_log(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert [file.name for file in log_files(tmp_path / "mdm.log")] == [name]


@pytest.mark.parametrize("name", ["mdm.log-notes", "mdm.log.bak", "mdm-backup.log", "other.log"])
def test_other_files_are_none_of_the_log(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert log_files(tmp_path / "mdm.log") == ()


def test_a_log_that_is_not_understood_is_an_error(
    make_home: Callable[..., Path], examine: Callable[..., Result]
) -> None:
    home = make_home("mdm-1.0.6-sqlite")
    with (home / "logs" / "mdm.log").open("a", encoding="utf-8") as file:
        file.write(f"{FOREIGN['logfmt']}\n")
    result = examine("logged-errors", home)
    assert result.status is Status.ERROR
    assert "has 1 line in a form that MDM does not write" in result.reason
