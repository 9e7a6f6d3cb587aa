from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.host.permissions import barrier

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
ASK = """
import json, sys
from pathlib import Path
from pytest_mdm_health.mdm.host.permissions import barrier
found = barrier(Path(sys.argv[1]))
print(json.dumps(found and [found.path, found.own]))
"""


def as_a_user(path: Path) -> object:
    """The barrier to somebody who is not above permissions."""
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    done = subprocess.run([*bound, sys.executable, "-c", ASK, path], check=True, capture_output=True, timeout=60)
    return json.loads(done.stdout)


def test_the_outermost_folder_that_lets_nobody_through_is_named(tmp_path: Path) -> None:
    file = tmp_path / "outer" / "inner" / "file"
    file.parent.mkdir(parents=True)
    file.touch(0o000)
    for folder in (file, file.parent, file.parent.parent):
        folder.chmod(0o000)
    for step in (file.parent.parent, file.parent, file):
        assert as_a_user(file) == [str(step), True]
        step.chmod(0o700)
    assert as_a_user(file) is None


def test_a_folder_behind_a_link_is_named_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep" / "file")
    (tmp_path / "real").chmod(0o600)
    assert as_a_user(tmp_path / "link") == [str(tmp_path / "real"), True]
    (tmp_path / "real").chmod(0o700)


def test_missing_or_invalid_paths_are_no_matter_of_permissions(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    for path in ("gone", "loop", "file/below", "x" * 5000, "a\0b"):
        assert barrier(tmp_path / path) is None
