"""The files a dataset came from are found where they are likely to be, and not made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.sources import source_of, suffix_of

Register = Callable[[object], Registration]


@pytest.fixture
def register(tmp_path: Path) -> Register:
    def make(source: object) -> Registration:
        root = tmp_path / "ml" / "home"
        root.mkdir(parents=True, exist_ok=True)
        file = root / "config/datasets/shop.yaml"
        return Registration(name="shop", file=file, root=root, shape="full", data={"source": source})

    return make


def put(file: Path, text: str = "a\n1\n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize("source", [None, "", 7, ["a"], "a\0b"])
def test_what_is_no_path_is_no_source(register: Register, source: object) -> None:
    assert source_of(register(source)) is None


def test_an_absolute_path_is_looked_for_nowhere_else(register: Register, tmp_path: Path) -> None:
    found = source_of(register(str(tmp_path / "gone.csv")))
    assert found is not None
    assert (found.path, found.tried, found.files) == (None, (tmp_path / "gone.csv",), {})


@pytest.mark.parametrize("base", ["ml/home", "ml", "cwd", "shell", "user"])
def test_a_relative_path_is_found_in_each_likely_place(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PWD", str(tmp_path / "shell"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    file = put(tmp_path / base / "raw/shop.csv")
    found = source_of(register("raw/shop.csv"))
    assert found is not None
    assert found.files == {"data": file}
    assert tmp_path / "ml/home/raw/shop.csv" in found.tried


def test_in_a_folder_the_usual_names_are_the_tables(register: Register, tmp_path: Path) -> None:
    train = put(tmp_path / "raw/training.csv")
    val = put(tmp_path / "raw/val.parquet")
    put(tmp_path / "raw/other.csv")
    found = source_of(register(str(tmp_path / "raw")))
    assert found is not None
    assert found.files == {"train": train, "validation": val}


def test_without_usual_names_every_data_file_is_a_table(register: Register, tmp_path: Path) -> None:
    packed = put(tmp_path / "raw/sales.csv.gz")
    put(tmp_path / "raw/readme.txt")
    (tmp_path / "raw/folder.csv").mkdir()
    found = source_of(register(str(tmp_path / "raw")))
    assert found is not None
    assert found.files == {"sales": packed}


def test_of_two_files_for_one_table_the_first_loaded_counts(register: Register, tmp_path: Path) -> None:
    put(tmp_path / "raw/train.parquet")
    csv = put(tmp_path / "raw/train.csv")
    found = source_of(register(str(tmp_path / "raw")))
    assert found is not None
    assert found.files == {"train": csv}


def test_the_ending_is_the_longest_that_fits() -> None:
    assert [suffix_of(Path(name)) for name in ("a.CSV.GZ", "a.csv", "a.txt", "csv")] == [".csv.gz", ".csv", "", ""]
