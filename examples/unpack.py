"""Unpack a recorded MDM home so that it works where it lies.

MDM writes absolute paths into its registrations; they are rewritten to the new place, as a restore by hand would.
usage: unpack.py ARCHIVE FOLDER
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path, PurePosixPath

RECORDED_HOME = "/home/ml/.mdm"
RECORDED_SOURCES = "/home/ml/raw"


def unpack(archive: Path, folder: Path) -> Path:
    """Make `folder`, which must not exist yet, the home that is recorded in `archive`; return it."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            place = folder.joinpath(*PurePosixPath(member.name).parts[1:])
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif (content := tar.extractfile(member)) is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.read())
                os.utime(place, (member.mtime, member.mtime))
    for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.json"))):
        text = file.read_text(encoding="utf-8")
        moved = text.replace(RECORDED_HOME, str(folder)).replace(RECORDED_SOURCES, str(folder.parent / "raw"))
        file.write_text(moved, encoding="utf-8")
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - the script and its two arguments
        sys.exit(__doc__)
    print(unpack(Path(sys.argv[1]), Path(sys.argv[2]).absolute()))
