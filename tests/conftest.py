"""What all tests share: real homes, fresh for each test."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import pytest

from pytest_mdm_health.model import HOME, Kind, Result, Target
from pytest_mdm_health.options import Options
from pytest_mdm_health.run import Run

HERE = Path(__file__).parent
ARCHIVES = {
    **{path.name.removesuffix(".tar.gz"): path for path in (HERE / "homes").glob("*.tar.gz")},
    "mdm-1.0.6-sqlite": HERE.parent / "examples" / "mdm-1.0.6-sqlite.tar.gz",
}
HOMES = tuple(sorted(name for name in ARCHIVES if name.startswith("mdm-")))

MakeHome = Callable[..., Path]


@pytest.fixture(scope="session")
def _unpack() -> Callable[[Path, Path], Path]:
    spec = importlib.util.spec_from_file_location("unpack_example", HERE.parent / "examples" / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[Path, Path], Path]", module.unpack)


@pytest.fixture
def make_home(tmp_path: Path, _unpack: Callable[[Path, Path], Path]) -> MakeHome:
    """Unpack a real home, by default the one after the refactoring on SQLite: `make_home("mdm-0.1.0-duckdb")`."""

    def make(name: str = "mdm-1.0.6-sqlite", folder: str = "home") -> Path:
        return _unpack(ARCHIVES[name], tmp_path / folder)

    return make


@pytest.fixture
def home(make_home: MakeHome) -> Path:
    """A healthy real home, free to damage."""
    return make_home()


@pytest.fixture(params=HOMES)
def each_home(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    """Each of the real homes in turn."""
    return make_home(request.param)


def tree_of(root: Path) -> dict[str, tuple[int, int, int, int, str]]:
    """Every name below a folder with its mode, size, mtime and inode, and the digest of its content."""
    tree = {}
    for path in sorted((root, *root.rglob("*"))):
        info = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
        tree[str(path.relative_to(root))] = (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino, digest)
    return tree


@pytest.fixture
def tree() -> Callable[[Path], dict[str, tuple[int, int, int, int, str]]]:
    """What must be the same before and after an examination."""
    return tree_of


@pytest.fixture
def copy_tree() -> Callable[[Path, Path], Path]:
    """Copy a folder with its times."""

    def copy(source: Path, destination: Path) -> Path:
        shutil.copytree(source, destination, symlinks=True)
        return destination

    return copy


class Examine(Protocol):
    """Runs one check as the plugin would."""

    def __call__(
        self,
        check: str,
        home: Path,
        dataset: str | None = None,
        environ: dict[str, str] | None = None,
        **options: object,
    ) -> Result: ...


@pytest.fixture
def examine() -> Examine:
    """Run one check on a home, in the sandbox: `examine("sqlite-locking", home, "shop", depth="full")`."""

    def run_check(
        check: str, home: Path, dataset: str | None = None, environ: dict[str, str] | None = None, **options: object
    ) -> Result:
        run = Run(Options(home=home, **options), environ=environ or {})  # type: ignore[arg-type] # as the test says
        try:
            return run.result(run.modules[check], Target(Kind.DATASET, dataset) if dataset else HOME)
        finally:
            run.close()

    return run_check
