"""Data that cannot be opened: each reason has its own next step, and a missing permission is only one of them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, close_all
from pytest_mdm_health.checks.data_corruption.conditions import access
from pytest_mdm_health.checks.data_corruption.facts import DataFacts, FileState
from pytest_mdm_health.checks.data_corruption.findings import (
    FILE_ACCESS,
    FREE_MEMORY,
    LOOK_AT_FILE,
    RAISE_LIMIT,
    READ_ERROR,
)
from pytest_mdm_health.core.model import Finding, Result, Severity, Status

Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
ENGINES = ("sqlite", "duckdb")
PERMISSION = "Run this as the user that MDM runs as"


@pytest.fixture
def not_examined(examine: Examine, make_home: MakeHome) -> Callable[[str, Callable[[Path], object]], Finding]:
    """The finding about data that cannot be read, after something was done to its file."""

    def run(engine: str, change: Callable[[Path], object]) -> Finding:
        home = make_home(f"mdm-1.0.6-{engine}")
        change(home / f"datasets/shop/shop.{engine}")
        result = examine("data-corruption", home, "shop", ignore=("metadata-corruption",))
        (finding,) = result.findings
        assert (finding.code, finding.severity) == ("data-corruption.not-examined", Severity.WARN)
        assert result.status is Status.ERROR
        return finding

    return run


NotExamined = Callable[[str, Callable[[Path], object]], Finding]


def behind_a_loop(path: Path) -> None:
    kept = path.parent.rename(path.parent.with_name("kept"))
    path.parent.symlink_to(path.parent.name)
    assert kept.exists()


def unreadable_by_the_disk(path: Path) -> None:
    """What Linux answers for the first bytes of a process's memory is what a broken disk answers."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that gives read errors")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_read_error_sends_to_the_disk(not_examined: NotExamined, engine: str) -> None:
    finding = not_examined(engine, unreadable_by_the_disk)
    assert "Input/output error" in finding.message
    assert "kernel's log" in finding.remedy.text
    assert PERMISSION not in finding.remedy.text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_whose_name_is_a_loop_of_links_is_missing(examine: Examine, make_home: MakeHome, engine: str) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    path = home / f"datasets/shop/shop.{engine}"
    path.unlink()
    path.symlink_to(path.name)
    result = examine("data-corruption", home, "shop", ignore=("metadata-corruption",))
    assert [finding.code for finding in result.findings] == ["data-corruption.missing-file"]
    assert "broken symbolic link" in result.findings[0].message


def encrypt(path: Path) -> None:
    path.unlink()
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{path}' AS secret (ENCRYPTION_KEY 'quack')")
        connection.execute("CREATE TABLE secret.train AS SELECT 1 AS id")


@pytest.mark.skipif(tuple(map(int, duckdb.__version__.split(".")[:2])) < (1, 5), reason="encrypts nothing")
def test_an_encrypted_duckdb_file_is_called_that(not_examined: NotExamined) -> None:
    finding = not_examined("duckdb", encrypt)
    assert "encrypted" in finding.message
    assert finding.remedy.text.startswith("MDM has no key")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_descriptor_left_is_told_from_no_permission(make_home: MakeHome, engine: str) -> None:
    path = make_home(f"mdm-1.0.6-{engine}") / f"datasets/shop/shop.{engine}"
    with Backend(engine, path).open():
        pass  # all is imported
    close_all()
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(CannotOpen) as caught:
            Backend(engine, path).open()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (caught.value.code, "Too many open files" in caught.value.reason) == ("no-descriptors", True)


OPENING = (
    "import os, sys; from pathlib import Path\n"
    "from pytest_mdm_health.backends import Backend, CannotOpen, close_all\n"
    "with Backend({engine!r}, Path({path!r})).open(): pass\n"
    "close_all(); os.chmod({path!r}, 0)\n"
    "if os.getuid() == 0: os.setuid(65534)\n"
    "try: Backend({engine!r}, Path({path!r})).open()\n"
    "except CannotOpen as error: print(error.code)\n"
)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_permission_is_called_that(engine: str, make_home: MakeHome) -> None:
    source = make_home(f"mdm-1.0.6-{engine}") / f"datasets/shop/shop.{engine}"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, source.name)
        path.write_bytes(source.read_bytes())
        code = OPENING.format(engine=engine, path=str(path))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == "no-permission\n"


@pytest.mark.parametrize(
    ("code", "steps"),
    [
        ("no-permission", FILE_ACCESS),
        ("no-descriptors", RAISE_LIMIT),
        ("no-memory", FREE_MEMORY),
        ("io-error", READ_ERROR),
        ("unreadable", LOOK_AT_FILE),
    ],
)
def test_each_reason_has_its_own_next_step(code: str, steps: object) -> None:
    file = FileState(path="/home/x.sqlite", size=1, code=code, reason="cannot be opened")
    facts = DataFacts(examined=0, name="x", home="/home", engine="sqlite", registered=True, file=file)
    assert access(facts) is steps


@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_that_cannot_be_reached_says_why(make_home: MakeHome, engine: str) -> None:
    path = make_home(f"mdm-1.0.6-{engine}") / f"datasets/shop/shop.{engine}"
    behind_a_loop(path)
    with pytest.raises(CannotOpen) as caught:
        Backend(engine, path).open()
    assert (caught.value.code, "symbolic links" in caught.value.reason) == ("unreadable", True)
