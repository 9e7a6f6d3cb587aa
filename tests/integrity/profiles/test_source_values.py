from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pytest_mdm_health.integrity.profiles.source_values import HEAD, SourceColumn, look_at
from pytest_mdm_health.mdm.files import Unreadable


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_leading_zeros_and_long_digits_are_seen(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "code,ref\n007,1\n42,12345678901234567\nx9,\n")
    look = look_at(file, ["code", "ref"])
    assert look.complete
    assert look.columns["code"] == SourceColumn(values=3, numbers=2, padded=1, narrowest=2, widest=3)
    assert look.columns["ref"] == SourceColumn(values=2, numbers=2, long=1, narrowest=1, widest=17)


def test_two_texts_that_are_one_number_are_seen(tmp_path: Path) -> None:
    assert look_at(written(tmp_path / "a.csv", "code\n007\n7\n"), ["code"]).columns["code"].merged
    assert not look_at(written(tmp_path / "b.csv", "code\n007\n007\n8\n"), ["code"]).columns["code"].merged


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_the_columns(tmp_path: Path, delimiter: str) -> None:
    file = written(tmp_path / "a.csv", "\ufeff" + delimiter.join(("id", '"the code"')) + f'\n1{delimiter}"01"\n')
    assert look_at(file, ["id", "the code"]).columns["the code"].padded == 1


def test_a_value_with_a_line_break_is_one_value(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", 'id,note\n1,"first\n02,second"\n3,x\n')
    assert look_at(file, ["id", "note"]).columns["id"] == SourceColumn(values=2, numbers=2, narrowest=1, widest=1)


def test_compressed_text_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(b"code\n007\n"))
    assert look_at(file, ["code"]).columns["code"].padded == 1


def test_only_the_start_of_a_large_file_is_read_by_default(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "code\n" + "1234567\n" * (HEAD // 8) + "007\n")
    beginning, whole = look_at(file, ["code"]), look_at(file, ["code"], within_s=30)
    assert (beginning.complete, beginning.columns["code"].padded) == (False, 0)
    assert (whole.complete, whole.columns["code"].padded) == (True, 1)


def test_reading_all_of_it_ends_with_the_time(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "code\n" + "1\n" * 5000)
    look = look_at(file, ["code"], within_s=-1)
    assert not look.complete
    assert look.columns["code"].values < 5000


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.parquet", b"PAR1", "is no text"),
        ("a.csv", b"other,columns\n1,2\n", "has other columns"),
        ("a.csv", b"", "has other columns"),
        ("a.csv", "code\n1\n".encode("utf-16"), "has other columns"),
        ("a.csv.gz", b"no gzip at all", "cannot be read"),
        ("a.csv.gz", gzip.compress(b"code\n" + os.urandom(1000))[:-500], "cannot be read"),
        ("a.csv", b"code\n" + b"1" * 200_000 + b"\n", "cannot be read"),
    ],
)
def test_what_does_not_tell_is_said(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=complaint):
        look_at(tmp_path / name, ["code"], within_s=30)


def test_a_fifo_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(Unreadable, match="is a FIFO"):
        look_at(tmp_path / "a.csv", ["code"])
