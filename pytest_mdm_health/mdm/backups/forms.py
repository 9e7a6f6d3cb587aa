"""Backups whose name says that they cannot be looked into: encrypted, split, or of a form that is not read here."""

from __future__ import annotations

import re
from collections.abc import Collection

from pytest_mdm_health.mdm.backups.archive import ENDINGS, closed_form
from pytest_mdm_health.mdm.backups.archive.members import Problem, ProblemCode

_ENCRYPTED = {
    ".gpg": "encrypted with GnuPG",
    ".pgp": "encrypted with OpenPGP",
    ".asc": "encrypted with OpenPGP",
    ".age": "encrypted with age",
    ".enc": "encrypted",
    ".aes": "encrypted",
    ".cpt": "encrypted with ccrypt",
}
_OTHER_FORMS = {
    ".7z": "a 7z archive",
    ".rar": "a RAR archive",
    ".tar.lz4": "a tar.lz4 archive",
    ".tar.lz": "a tar.lz archive",
    ".tar.lzma": "a tar.lzma archive",
    ".tar.lzo": "a tar.lzo archive",
    ".tar.br": "a tar.br archive",
    ".tar.z": "a tar.Z archive",
    ".cpio": "a cpio archive",
    ".cpio.gz": "a cpio archive",
    ".dar": "a dar archive",
    ".squashfs": "a SquashFS image",
    ".sqsh": "a SquashFS image",
    ".wim": "a WIM image",
    ".iso": "a disk image",
    ".img": "a disk image",
    ".qcow2": "a disk image",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
_PIECE = re.compile(
    r"(?P<whole>.+?)[._-](?:\d{2,4}|(?:part[._-]?)?a[a-z]|part[._-]?\d+|z\d{2}|part\d+\.rar)", re.IGNORECASE | re.DOTALL
)
_PIECE_OF = (*ENDINGS, *_OTHER_FORMS, *_ENCRYPTED)
_REPOSITORIES = (
    ({"config", "data", "index", "keys", "snapshots"}, "a repository of restic"),
    ({"README", "config", "data", "nonce"}, "a repository of Borg"),
    ({"kopia.repository.f"}, "a repository of Kopia"),
    ({"README", "config", "data"}, "a repository of Borg"),
)


def closed_file(name: str, beside: Collection[str], of_data: Collection[str]) -> Problem | None:
    """What a file's name says that keeps it from being looked into; None if nothing does.

    Args:
        name: of the file.
        beside: the names of all files of the folder, to tell a signature by what it signs.
        of_data: the endings that a file with the data of one dataset has.
    """
    lower = name.lower()
    if _ending(lower, (".sig", ".asc")) and name.rpartition(".")[0] in beside:
        return None
    for code, forms in (("encrypted", _ENCRYPTED), ("unknown-form", _OTHER_FORMS)):
        if ending := _ending(lower, forms):
            return _problem(code, forms[ending])
    if piece_of(name):
        return _problem("unknown-form", "a piece of a split archive")
    if (ending := _ending(lower, _COMPRESSED)) and lower.removesuffix(ending).endswith(tuple(of_data)):
        return _problem("unknown-form", "a compressed file of one dataset")
    return None


def closed_folder(names: Collection[str]) -> Problem | None:
    """What the names in a folder say if it is the store of another program; None if it is none that is known."""
    what = next((what for marks, what in _REPOSITORIES if marks <= set(names)), None)
    return _problem("unknown-form", what) if what else None


def piece_of(name: str) -> str:
    """The name of the split archive that a file is a piece of; empty if it is none."""
    found = _PIECE.fullmatch(name)
    whole = found["whole"] if found else ""
    return whole if _ending(whole.lower(), _PIECE_OF) or name.lower().endswith(".rar") else ""


def _ending(name: str, endings: Collection[str]) -> str:
    return max((each for each in endings if name.endswith(each)), key=len, default="")


def _problem(code: str, what: str) -> Problem:
    codes: dict[str, ProblemCode] = {"encrypted": "encrypted", "unknown-form": "unknown-form"}
    return closed_form(codes[code], what)
