from __future__ import annotations

from pathlib import Path

import pytest
from packaging.markers import default_environment

from pytest_mdm_health.mdm.installed.installation import Distribution
from pytest_mdm_health.mdm.installed.requirements import (
    Conflict,
    Unclear,
    Wanted,
    allows,
    conflicts,
    direct_requirements,
    needed_by,
    read_requirements,
)

HERE = {key: str(value) for key, value in default_environment().items()}


def installed(**described: tuple[str, ...]) -> dict[str, Distribution]:
    """`name=(version, requirement, …)`; an underscore in a name stands for a dash."""
    return {
        name.replace("_", "-"): Distribution(name, version, tuple(requires))
        for name, (version, *requires) in described.items()
    }


def test_met_requirements_are_no_conflicts() -> None:
    found = conflicts(
        installed(mdm=("1.0", "pandas>=2", "Duckdb_Engine"), pandas=("2.3",), duckdb_engine=("0.17",)), HERE
    )

    assert list(found) == []


def test_missing_and_unfit_distributions_are_conflicts() -> None:
    found = conflicts(installed(mdm=("1.0", "pandas[sql]>=2", "psutil"), pandas=("1.5",)), HERE)

    assert list(found) == [
        Conflict("mdm", "pandas", "pandas[sql]>=2", "1.5"),
        Conflict("mdm", "psutil", "psutil", None),
    ]


@pytest.mark.parametrize("marker", ["python_version < '3'", "extra == 'dev'", "sys_platform == 'nowhere'"])
def test_requirements_for_other_circumstances_do_not_count(marker: str) -> None:
    assert list(conflicts(installed(mdm=("1.0", f"gone; {marker}")), HERE)) == []


def test_markers_are_evaluated_for_the_examined_interpreter() -> None:
    old = {**HERE, "python_version": "2.7"}

    assert [found.name for found in conflicts(installed(mdm=("1.0", "enum34; python_version < '3'")), old)] == [
        "enum34"
    ]


def test_a_pre_release_meets_a_requirement() -> None:
    assert list(conflicts(installed(mdm=("1.0", "pandas>=2"), pandas=("3.0rc1",)), HERE)) == []


def test_damaged_requirements_and_versions_are_passed_over() -> None:
    assert list(conflicts(installed(mdm=("1.0", "what is this >", "old>=1"), old=("2004-dev-x",)), HERE)) == []


def test_an_address_is_never_repeated() -> None:
    (found,) = conflicts(installed(mdm=("1.0", "gone @ https://ml:hunter2@host/gone.whl")), HERE)

    assert found.needs == "gone"


def test_indirect_requirements_are_followed_even_in_circles() -> None:
    here = installed(mdm=("1", "a"), a=("1", "b"), b=("1", "A"), other=("1", "c"))

    assert needed_by("mdm", here, HERE) == {"mdm", "a", "b"}
    assert direct_requirements(here["mdm"], HERE) == {"a": "a"}


@pytest.mark.parametrize(
    ("specifier", "version", "answer"),
    [(">=2", "2.1", True), ("==1.0", "1.1", False), ("", "1", True), ("?", "1", True)],
)
def test_versions_are_compared(specifier: str, version: str, answer: bool) -> None:
    assert allows(specifier, version) is answer


def test_a_file_of_requirements_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "requirements_migration.txt"
    file.write_text(
        "# pinned for the migration\n"
        "--index-url https://ml:hunter2@host/simple\n"
        "\n"
        "SQLAlchemy==2.0.41  # newest that works\n"
        "pandas == 2.3.1 ; python_version >= '3'\n"
        "gone==1 ; python_version < '3'\n"
        "numpy==2.2.0 \\\n"
        "    --hash=sha256:0123 \\\n"
        "    --hash=sha256:4567\n"
        "typer[all]>=0.9,<1 --config-settings=x\n",
        encoding="utf-8",
    )

    wanted, unclear = read_requirements(file, HERE)

    assert wanted == [
        Wanted("sqlalchemy", "SQLAlchemy==2.0.41", "==2.0.41", str(file), 4),
        Wanted("pandas", "pandas==2.3.1", "==2.3.1", str(file), 5),
        Wanted("numpy", "numpy==2.2.0", "==2.2.0", str(file), 7),
        Wanted("typer", "typer[all]<1,>=0.9", "<1,>=0.9", str(file), 10),
    ]
    assert unclear == []


def test_included_files_and_constraints_are_read_once_each(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text(
        "-r base.txt\n--requirement=base.txt\n-c limits.txt\n-r all.txt\n", encoding="utf-8"
    )
    (tmp_path / "base.txt").write_text("pandas>=2\n", encoding="utf-8")
    (tmp_path / "limits.txt").write_text("numpy<2.3\n", encoding="utf-8")

    wanted, unclear = read_requirements(tmp_path / "all.txt", HERE)

    assert [(each.needs, each.optional) for each in wanted] == [("pandas>=2", False), ("numpy<2.3", True)]
    assert unclear == []


def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "r.txt"
    file.write_text("pandas=2\n-e ./mdm\n./wheels/x.whl\n-r gone.txt\n", encoding="utf-8")

    wanted, unclear = read_requirements(file, HERE)

    assert wanted == []
    assert unclear == [
        Unclear("is no requirement", str(file), 1),
        Unclear("is installed from a source tree, so its version is open", str(file), 2, wrong=False),
        Unclear("names a file or an address", str(file), 3, wrong=False),
        Unclear("does not exist", str(tmp_path / "gone.txt")),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_that_editors_write_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "r.txt").write_text("pandas>=2  # für später\n", encoding=encoding)

    assert [each.needs for each in read_requirements(tmp_path / "r.txt", HERE)[0]] == ["pandas>=2"]
