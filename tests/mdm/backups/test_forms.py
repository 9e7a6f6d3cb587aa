from __future__ import annotations

import pytest

from pytest_mdm_health.mdm.backups.forms import closed_file, closed_folder, piece_of

OF_DATA = (".sqlite", ".parquet", ".csv")


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("a.tar.gz.001", "a.tar.gz"),
        ("a.tar.gz.aa", "a.tar.gz"),
        ("a.zip.002", "a.zip"),
        ("a.7z.001", "a.7z"),
        ("a.tar.gz.gpg.ab", "a.tar.gz.gpg"),
        ("a.part1.rar", "a"),
        ("a.tar.gz.partaa", "a.tar.gz"),
        ("a.tar.gz.part-ab", "a.tar.gz"),
        ("a.tar.xz_00", "a.tar.xz"),
        ("a.zip.part3", "a.zip"),
        ("a.zip.z01", "a.zip"),
        ("a.tar.gz.1", ""),  # put aside by its number
        ("a.tar.gz", ""),
        ("a.tar.gz.ok", ""),
        ("notes.de", ""),
        ("shop.csv.001", ""),
    ],
)
def test_pieces_of_a_split_archive_are_told_by_their_names(name: str, whole: str) -> None:
    assert piece_of(name) == whole


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.tar.gz.gpg", "encrypted"),
        ("A.TAR.GZ.AGE", "encrypted"),
        ("a.7z", "unknown-form"),
        ("a.tar.lz4", "unknown-form"),
        ("a.tar.gz.001", "unknown-form"),
        ("shop.parquet.zst", "unknown-form"),
        ("a.tar.gz.asc", ""),
        ("other.asc", "encrypted"),
        ("a.tar.gz.sha256", ""),
        ("notes.txt.gz", ""),
        ("README.md", ""),
    ],
)
def test_what_cannot_be_looked_into_is_told_by_its_name(name: str, code: str) -> None:
    found = closed_file(name, {"a.tar.gz"}, OF_DATA)

    assert (found.code if found else "") == code


def test_the_store_of_another_program_is_told_by_what_is_in_it() -> None:
    restic, borg = ["config", "data", "index", "keys", "locks", "snapshots"], ["README", "config", "data", "index.5"]

    assert "restic" in str(closed_folder(restic))
    assert "Borg" in str(closed_folder(borg))
    assert closed_folder(["config", "datasets", "mdm.yaml"]) is None
