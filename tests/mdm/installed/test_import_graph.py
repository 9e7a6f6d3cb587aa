from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.installed.import_graph import Package, Use


def package(folder: Path, **sources: str) -> Package:
    """A package called `app`; `cli_main` is the module `app.cli.main`."""
    for name, source in {"__init__": "", **sources}.items():
        file = folder.joinpath(*name.split("__")).with_suffix(".py") if name != "__init__" else folder / "__init__.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        for parent in {file.parent, *file.parent.parents} - {folder.parent, *folder.parent.parents}:
            (parent / "__init__.py").touch()
        file.write_text(textwrap.dedent(source), encoding="utf-8")
    return Package("app", folder)


def test_modules_are_listed_by_package_without_programs(tmp_path: Path) -> None:
    app = package(tmp_path / "app", core="", cli__main="", cli____main__="")

    assert list(app.modules) == ["app", "app.cli", "app.cli.main", "app.core"]


def test_what_the_entry_point_imports_is_always_needed(tmp_path: Path) -> None:
    app = package(
        tmp_path / "app",
        main="import app.core\nfrom app.tools import cut\n",
        core="import yaml\n",
        tools="",
        left_over="import app.gone\n",
    )

    uses = app.uses(["app.main"])

    assert uses["app.core"] is uses["app.tools"] is uses["yaml"] is uses["app"] is Use.ALWAYS
    assert uses["app.left_over"] is Use.NEVER
    assert "app.gone" not in uses


def test_the_packages_around_a_needed_module_are_needed_too(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="import app.storage.sqlite\n", storage__sqlite="", storage__old="")
    (tmp_path / "app" / "storage" / "__init__.py").write_text("import app.base\n", encoding="utf-8")
    (tmp_path / "app" / "base.py").touch()

    uses = Package("app", tmp_path / "app").uses(["app.main"])

    assert uses["app.storage"] is uses["app.base"] is Use.ALWAYS
    assert uses["app.storage.old"] is Use.NEVER
    assert app.modules["app.storage.sqlite"].name == "sqlite.py"


def test_an_import_in_a_function_is_needed_when_that_is_called(tmp_path: Path) -> None:
    app = package(
        tmp_path / "app", main="import app.core\n", core="def f():\n    import app.late\n", late="import xlrd\n"
    )

    uses = app.uses(["app.main"])

    assert uses["app.late"] is uses["xlrd"] is Use.ON_CALL


def test_what_an_entry_imports_in_its_functions_is_always_needed(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="def add():\n    from app.dataset import commands\n", dataset="commands = 1\n")

    assert app.uses(["app.main"])["app.dataset"] is Use.ALWAYS


def test_relative_imports_are_followed(tmp_path: Path) -> None:
    app = package(
        tmp_path / "app",
        cli__main="from . import batch\nfrom ..core import x\nfrom .. import models\n",
        cli__batch="",
        core="x = 1\n",
        models="",
    )

    uses = app.uses(["app.cli.main"])

    assert {name for name, use in uses.items() if use is Use.ALWAYS} == set(app.modules)


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import app.extra\nexcept ImportError:\n    app = None\n",
        "try:\n    import app.extra\nexcept (KeyError, ModuleNotFoundError):\n    pass\n",
        "try:\n    import app.extra\nexcept Exception:\n    pass\n",
        "try:\n    import app.extra\nexcept:\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.extra\n",
        "import sys\nif sys.platform == 'win32':\n    import app.extra\n",
        "import sys\nif sys.version_info < (3, 11):\n    import app.extra\n",
        "import typing\nif typing.TYPE_CHECKING:\n    import app.extra\n",
    ],
)
def test_what_the_program_can_do_without_is_not_needed(tmp_path: Path, source: str) -> None:
    app = package(tmp_path / "app", main=source, extra="")

    assert app.uses(["app.main"])["app.extra"] is Use.NEVER


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import app.extra\nexcept KeyError:\n    pass\n",
        "def f():\n    try:\n        import app.extra\n    except Exception as error:\n        print(error)\n",
    ],
)
def test_what_is_only_reported_when_it_is_missing_is_needed(tmp_path: Path, source: str) -> None:
    app = package(tmp_path / "app", main=source, extra="")

    assert app.uses(["app.main"])["app.extra"] is Use.ALWAYS


def test_an_own_module_that_is_missing_is_named_as_needed(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="from app.logging import logger\n")

    assert app.uses(["app.main"])["app.logging"] is Use.ALWAYS
    assert "app.logging" not in app.modules


def test_nothing_is_called_unused_where_a_source_cannot_be_read(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="import app.core\n", core="def (:\n", other="")

    assert app.uses(["app.main"])["app.other"] is Use.ALWAYS


def test_modules_that_import_each_other_come_to_an_end(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="import app.other\n", other="import app.main\n")

    assert set(app.uses(["app.main"]).values()) == {Use.ALWAYS}


def test_entries_that_this_version_does_not_have_are_passed_over(tmp_path: Path) -> None:
    app = package(tmp_path / "app", main="")

    assert app.uses(["app.main", "app.api"]) == {"app": Use.ALWAYS, "app.main": Use.ALWAYS}
