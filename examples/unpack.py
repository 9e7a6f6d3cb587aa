"""Unpack a recorded MDM home so that it works where it lies.

MDM writes absolute paths into its registrations; they are rewritten to the new place, as a restore by hand would.
usage: unpack.py ARCHIVE FOLDER
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

RECORDED_HOME = "/home/ml/.mdm"
RECORDED_SOURCES = "/home/ml/raw"


def unpack(archive: Path, folder: Path) -> Path:
    """Make `folder`, which must not exist yet, the home that is recorded in `archive`; return it."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            _, _, inside = member.name.partition("/")
            if inside:
                tar.extract(member.replace(name=inside, deep=False), folder, filter="data")
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.json"))):
        text = file.read_text(encoding="utf-8")
        moved = text.replace(RECORDED_HOME, str(folder)).replace(RECORDED_SOURCES, str(folder.parent / "raw"))
        file.write_text(moved, encoding="utf-8")
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - the script and its two arguments
        sys.exit(__doc__)
    print(unpack(Path(sys.argv[1]), Path(sys.argv[2]).absolute()))
