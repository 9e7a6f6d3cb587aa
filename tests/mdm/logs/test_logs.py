from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.logs import TEXT_LIMIT, LogRecord, read_file, read_log
from pytest_mdm_health.mdm.logs.files import LINE_LIMIT, log_files

MakeHome = Callable[..., Path]
UTC = timezone.utc


def write(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def json_line(message: str, second: int = 0, level: str = "INFO", exception: object = None, trace: str = "") -> str:
    """A line as MDM before the refactoring writes it."""
    moment = datetime(2026, 11, 22, 8, 0, second, tzinfo=UTC)
    text = f"{moment:%Y-%m-%d %H:%M:%S}.000 | {level} | mdm.cli.main:run:7 | {message} | {{}}\n{trace}"
    time = {"repr": str(moment), "timestamp": moment.timestamp()}
    record = {
        "level": {"name": level, "no": 20},
        "message": message,
        "name": "mdm.cli.main",
        "function": "run",
        "time": time,
    }
    return json.dumps({"text": text, "record": {**record, "exception": exception, "line": 7}})


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("mdm-0.1.0-sqlite", {"INFO": 85}),
        ("mdm-0.1.0-duckdb", {"INFO": 85}),
        ("mdm-1.0.6-sqlite", {"DEBUG": 822, "INFO": 191, "WARNING": 4, "ERROR": 2}),
        ("mdm-1.0.6-duckdb", {"DEBUG": 807, "INFO": 181, "WARNING": 5, "ERROR": 2}),
    ],
)
def test_the_logs_of_real_homes_are_read_to_the_last_record(
    make_home: MakeHome, name: str, levels: dict[str, int]
) -> None:
    records = list(read_log(make_home(name) / "logs" / "mdm.log"))

    assert Counter(record.level for record in records) == levels
    times = [record.time for record in records]
    assert all(time is not None and time.tzinfo is not None for time in times)
    assert all(record.logger for record in records)
    assert all(record.function for record in records if name.startswith("mdm-0.1.0"))


def test_the_further_lines_of_a_real_message_belong_to_it(make_home: MakeHome) -> None:
    records = list(read_log(make_home("mdm-1.0.6-duckdb") / "logs" / "mdm.log"))

    failed = next(record for record in records if record.level == "WARNING")
    assert failed.message.startswith("Failed to store metadata in database: (duckdb.duckdb.CatalogException)")
    assert "CREATE TABLE _statistics" in failed.message
    assert failed.exception is None


def test_every_format_gives_all_parts_of_a_record(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mdm.log",
        json_line("from before"),
        "2026-11-22 08:00:01,007 - mdm.cli.main - INFO - a | b - c",
        "2026-11-22 08:00:02 | WARNING  | mdm.dataset.registrar:register:74 - text",
        "2026-11-22 08:00:03.5 | ERROR | mdm.x:<lambda>:1 - ",
    )
    here = datetime(2026, 11, 22, 8, 0, 1, 7000).astimezone()
    second = timedelta(seconds=1)

    assert list(read_log(file)) == [
        LogRecord(datetime(2026, 11, 22, 8, tzinfo=UTC), "INFO", "mdm.cli.main", "from before", None, file, 1, "run"),
        LogRecord(here, "INFO", "mdm.cli.main", "a | b - c", None, file, 2, None),
        LogRecord(
            here.replace(microsecond=0) + second, "WARNING", "mdm.dataset.registrar", "text", None, file, 3, "register"
        ),
        LogRecord(here.replace(microsecond=500000) + 2 * second, "ERROR", "mdm.x", "", None, file, 4, "<lambda>"),
    ]


def test_a_traceback_is_told_from_the_message(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mdm.log",
        "2026-11-22 08:00:01 | ERROR | mdm.x:f:1 - it failed",
        "[SQL: SELECT 1]",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "",
        "ValueError: no",
        "2026-11-22 08:00:02 | INFO | mdm.x:f:1 - next",
    )

    failed, following = read_log(file)

    assert failed.message == "it failed\n[SQL: SELECT 1]"
    assert failed.exception == 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n\nValueError: no'
    assert (following.message, following.line) == ("next", 7)


def test_a_traceback_in_json_is_found(tmp_path: Path) -> None:
    trace = "Traceback (most recent call last):\n  File\nMemoryError: 8 GiB\n"
    described = {"type": "MemoryError", "value": "8 GiB", "traceback": True}
    file = write(
        tmp_path / "mdm.log",
        json_line("a", level="ERROR", exception=described, trace=trace),
        json_line("b", level="ERROR", exception=described),
    )

    assert [record.exception for record in read_log(file)] == [trace.rstrip(), "MemoryError: 8 GiB"]


def test_damaged_json_keeps_what_can_still_be_read(tmp_path: Path) -> None:
    whole = json_line('said "no"', level="ERROR")
    file = write(
        tmp_path / "mdm.log",
        whole[:150],
        '{"text": ',
        '{"record": 1}',
        '{"record": {"time": {"timestamp": 1e99}}}',
        whole,
    )

    records = list(read_log(file))

    assert (records[0].level, records[0].logger, records[0].message) == ("ERROR", "mdm.cli.main", 'said "no" | {}')
    assert [record.level for record in records[1:]] == ["", "", "", "ERROR"]
    assert [record.line for record in records] == [1, 2, 3, 4, 5]


def test_lines_before_the_first_record_are_kept_as_one(tmp_path: Path) -> None:
    file = write(tmp_path / "mdm.log", "", "end of something", "ValueError: lost", json_line("a"))

    first, second = read_log(file)

    assert (first.time, first.level, first.message, first.line) == (None, "", "end of something\nValueError: lost", 2)
    assert second.message == "a"


@pytest.mark.parametrize("moment", ["2026-13-45 08:00:01", "2026-11-22 99:00:01", "0001-01-01 00:00:00"])
def test_an_impossible_time_does_not_lose_the_record(tmp_path: Path, moment: str) -> None:
    (record,) = read_log(write(tmp_path / "mdm.log", f"{moment} | INFO | mdm.x:f:1 - text"))

    assert record.message == "text"


def test_rotated_files_come_first_the_oldest_in_front(tmp_path: Path) -> None:
    write(tmp_path / "mdm.log", json_line("6", 6))
    write(tmp_path / "mdm.log.1", json_line("5", 5))
    write(tmp_path / "mdm.2026-11-22_08-00-00_481973.log", json_line("0", 0))
    for name, pack, second in (
        ("mdm.log.2.gz", gzip.open, 4),
        ("mdm.2026-11-22_08-00-03.log.bz2", bz2.open, 3),
        ("mdm.log.2026-11-22.xz", lzma.open, 2),
    ):
        with pack(tmp_path / name, "wt") as stream:
            stream.write(json_line(str(second), second) + "\n")
    with zipfile.ZipFile(tmp_path / "mdm.2026-11-22_08-00-01.log.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mdm.2026-11-22_08-00-01.log", json_line("1", 1) + "\n")
    for other in ("mdm.log.bak", "mdm.logs", "other.log", "mdm.log.1.txt", "xmdm.log.1", "mdm_extra.log"):
        write(tmp_path / other, json_line("unrelated"))

    assert [record.message for record in read_log(tmp_path / "mdm.log")] == ["0", "1", "2", "3", "4", "5", "6"]


def test_a_log_that_is_not_there_has_no_records_and_no_gap(tmp_path: Path) -> None:
    gaps: list[str] = []

    assert list(read_log(tmp_path / "none" / "mdm.log", gaps.append)) == []
    assert gaps == []


def test_what_is_no_file_is_a_gap_and_no_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mdm.log")
    (tmp_path / "mdm.log.1").mkdir()
    (tmp_path / "mdm.log.2").symlink_to(tmp_path / "gone")
    gaps: list[str] = []

    assert list(read_log(tmp_path / "mdm.log", gaps.append)) == []
    assert sorted(gap.replace(str(tmp_path), "") for gap in gaps) == [
        "/mdm.log is a FIFO",
        "/mdm.log.1 is a folder",
        "/mdm.log.2 is a broken symbolic link",
    ]


def test_a_cut_off_archive_gives_its_records_and_a_gap(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(json_line(str(n)) for n in range(500)).encode())
    (tmp_path / "mdm.log.1.gz").write_bytes(packed[: len(packed) // 2])
    gaps: list[str] = []

    records = list(read_log(tmp_path / "mdm.log", gaps.append))

    assert 10 < len(records) < 500
    assert len(gaps) == 1
    assert "mdm.log.1.gz cannot be read behind line" in gaps[0]


@pytest.mark.parametrize("name", ["mdm.log.1.gz", "mdm.log.1.zip", "mdm.log.1.bz2", "mdm.log.1.xz"])
def test_an_archive_that_is_none_is_a_gap(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "no archive at all")
    gaps: list[str] = []

    assert list(read_log(tmp_path / "mdm.log", gaps.append)) == []
    assert len(gaps) == 1


def test_a_zip_with_other_than_one_log_is_a_gap(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mdm.log.1.zip", "w") as archive:
        archive.writestr("a", json_line("a"))
        archive.writestr("b", json_line("b"))
    gaps: list[str] = []

    assert list(read_log(tmp_path / "mdm.log", gaps.append)) == []
    assert "2 files instead of one log" in gaps[0]


def test_lines_of_any_length_take_bounded_memory(tmp_path: Path) -> None:
    start = b"2026-11-22 08:00:01 | ERROR | mdm.x:f:1 - "
    with (tmp_path / "mdm.log").open("wb") as file:
        file.write(start)
        for _ in range(60):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n" + start + b"next\n")
    tracemalloc.start()
    lengths = [len(record.message) for record in read_log(tmp_path / "mdm.log")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert lengths == [LINE_LIMIT - len(start), 4]
    assert peak < 8 * 1024 * 1024


def test_a_long_traceback_takes_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "mdm.log").open("w", encoding="utf-8") as file:
        file.write("2026-11-22 08:00:01 | ERROR | mdm.x:f:1 - it failed\nTraceback (most recent call last):\n")
        for number in range(100_000):
            file.write(f"  File 'x.py', line {number}, in f\n")
        file.write("RecursionError: too deep\n\n")
    tracemalloc.start()
    (record,) = read_log(tmp_path / "mdm.log")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert record.exception is not None
    assert record.exception.endswith("…\nRecursionError: too deep")
    assert len(record.exception) < 2 * TEXT_LIMIT
    assert peak < 8 * 1024 * 1024


def test_zeros_left_by_a_crash_do_not_hide_the_next_record(tmp_path: Path) -> None:
    line = b"2026-11-22 08:00:01 | INFO | mdm.x:f:1 - text\n"
    (tmp_path / "mdm.log").write_bytes(line + b"\0" * (3 * LINE_LIMIT) + line + b"\0\0\0" + line)

    assert [record.message for record in read_log(tmp_path / "mdm.log")] == ["text"] * 3


def test_unwanted_levels_are_skipped_with_their_further_lines(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mdm.log",
        "2026-11-22 08:00:01 | INFO | mdm.x:f:1 - one",
        "more of one",
        "2026-11-22 08:00:01 | DEBUG | mdm.x:f:1 - two",
        "more of two",
        "2026-11-22 08:00:01 | ERROR | mdm.x:f:1 - DEBUG three",
    )

    messages = [record.message for record in read_log(file, without=("DEBUG", "TRACE"))]

    assert messages == ["one\nmore of one", "DEBUG three"]


def test_bytes_that_are_no_text_do_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "mdm.log").write_bytes(b"2026-11-22 08:00:01 | INFO | mdm.x:f:1 - caf\xe9 \xff\r\n")

    (record,) = read_log(tmp_path / "mdm.log")

    assert record.message == "caf� �"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=400)
    | st.text(alphabet='{"text:record|-\n \\ 2026' + "INFO", max_size=300).map(str.encode)
)
def test_whatever_a_file_holds_is_read_to_its_end(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mdm.log"
    file.write_bytes(content)

    records = list(read_file(file))

    assert [record.line for record in records] == sorted({record.line for record in records})
    assert all(1 <= record.line <= content.count(b"\n") + 1 for record in records)


def test_the_files_of_a_log_are_listed_with_the_one_in_use_last(tmp_path: Path) -> None:
    for name in ("mdm.log", "mdm.log.1", "mdm.log.2.gz"):
        (tmp_path / name).touch()

    assert [file.name for file in log_files(tmp_path / "mdm.log")] == ["mdm.log.1", "mdm.log.2.gz", "mdm.log"]
