from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.core.session import clock
from pytest_mdm_health.mdm.backups.archive import form_by_name, read_archive
from pytest_mdm_health.mdm.backups.archive.members import Limits, Member, Reading, inside, leads_inside
from pytest_mdm_health.mdm.backups.archive.restoring import Restored, Take

FORMS = ("tar", "tar.gz", "zip", "tar.bz2", "tar.xz", "tar.zst")
FLAGS = {"tar": "", "tar.gz": "z", "tar.bz2": "j", "tar.xz": "J"}
CONTENT = {
    "config/datasets/shop.yaml": b"name: shop\n" * 40,
    "datasets/shop/shop.sqlite": b"page" * 40_000,
    "empty": b"",
}


def forever() -> float:
    return clock() + 600


def codes(reading: Reading) -> list[str]:
    return [problem.code for problem in reading.problems]


@pytest.fixture
def tree_folder(tmp_path: Path) -> Path:
    for name, content in CONTENT.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(content)
    return tmp_path / "tree"


@pytest.fixture
def make(tree_folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make a sound archive with the programs that people use."""

    def archive(form: str) -> Path:
        path = tmp_path / f"made.{form}"
        if form == "zip":
            shutil.make_archive(str(path.with_suffix("")), "zip", tree_folder)
        elif form == "tar.zst":
            if shutil.which("zstd") is None:
                pytest.skip("there is no zstd here")
            plain = path.with_suffix(".plain")
            subprocess.run(["tar", "-C", str(tree_folder), "-cf", str(plain), "."], check=True)
            subprocess.run(["zstd", "-q", str(plain), "-o", str(path)], check=True)
        else:
            flag = f"-c{FLAGS[form]}f"
            subprocess.run(["tar", "-C", str(tree_folder), flag, str(path), "."], check=True)
        return path

    return archive


def tar_of(path: Path, *members: tuple[str, bytes, str] | tarfile.TarInfo) -> Path:
    """A tar archive with members that no program would make: name, type, target of the link."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            if not isinstance(member, tarfile.TarInfo):
                info.type, info.linkname = member[1], member[2]
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_archive_is_read_to_its_end(make: Callable[[str], Path], form: str) -> None:
    reading = read_archive(make(form), forever())

    assert (reading.form, reading.problems, reading.gaps) == (form, (), ())
    assert reading.complete
    assert reading.listed
    files = {name: member.size for name, member in reading.members.items() if member.kind == "file"}
    assert files == {name: len(content) for name, content in CONTENT.items()}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_that_was_cut_off_anywhere_is_never_complete(make: Callable[[str], Path], form: str) -> None:
    path = make(form)
    content = path.read_bytes()
    end = len(content.rstrip(b"\0")) if form == "tar" else len(content)
    cuts = {*range(0, end, max(1, end // 60)), end - 1, *(range(512, end, 512) if form == "tar" else ())}
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        reading = read_archive(path, forever())
        assert not reading.complete, cut
        assert codes(reading)[-1] in {"truncated", "damaged", "unknown-format"}, cut


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_a_flipped_byte_in_compressed_data_is_found_anywhere(make: Callable[[str], Path], form: str) -> None:
    path = make(form)
    content = path.read_bytes()
    chance = random.Random(1)  # noqa: S311 - the same bytes in every run
    for _ in range(60):
        position = chance.randrange(10, len(content))  # the ten bytes before say nothing of the data
        flipped = content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        if form == "tar.bz2":  # it has bits that say nothing, as the library that everybody uses will tell
            with contextlib.suppress(OSError, EOFError, ValueError):
                if bz2.decompress(flipped) == bz2.decompress(content):
                    continue
        path.write_bytes(flipped)
        assert not read_archive(path, forever()).complete, position


def test_a_flipped_byte_in_a_zip_member_is_found(make: Callable[[str], Path]) -> None:
    path = make("zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("datasets/shop/shop.sqlite").header_offset
    content = bytearray(path.read_bytes())
    content[start + 30 + len("datasets/shop/shop.sqlite") + 20] ^= 0xFF
    path.write_bytes(content)

    reading = read_archive(path, forever())

    assert codes(reading) == ["damaged"]
    assert not reading.complete


def test_a_damaged_header_within_a_tar_is_not_taken_for_its_end(make: Callable[[str], Path]) -> None:
    path = make("tar")
    content = bytearray(path.read_bytes())
    content[content.index(b"./config/datasets/shop.yaml")] ^= 0xFF
    path.write_bytes(content)

    assert codes(read_archive(path, forever())) == ["damaged"]


def test_members_behind_the_end_mark_of_a_tar_are_damage(make: Callable[[str], Path]) -> None:
    path = make("tar")
    path.write_bytes(path.read_bytes() * 2)

    assert codes(read_archive(path, forever())) == ["damaged"]


def test_garbage_behind_a_compressed_archive_does_no_harm(make: Callable[[str], Path]) -> None:
    path = make("tar.gz")
    with path.open("ab") as file:
        file.write(b"garbage")

    reading = read_archive(path, forever())

    assert codes(reading) == []
    assert reading.complete


@pytest.mark.parametrize("name", ["/etc/passwd", "../../escape", "a/../../escape", "C:/windows", "..\\..\\escape"])
def test_a_member_that_leads_out_is_an_escape(tmp_path: Path, name: str) -> None:
    reading = read_archive(tar_of(tmp_path / "a.tar", (name, tarfile.REGTYPE, "")), forever())

    assert codes(reading) == ["escape"]
    assert reading.members == {}


def test_an_escape_in_a_zip_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../escape", b"x")

    assert codes(read_archive(tmp_path / "a.zip", forever())) == ["escape"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ([("out", tarfile.SYMTYPE, "/etc")], ["link-out"]),
        ([("a/out", tarfile.SYMTYPE, "../../b")], ["link-out"]),
        ([("a/in", tarfile.SYMTYPE, "../b")], []),
        ([("out", tarfile.SYMTYPE, "/etc"), ("out/passwd", tarfile.REGTYPE, "")], ["link-out", "escape"]),
        ([("out", tarfile.LNKTYPE, "../passwd")], ["escape"]),
        ([("lost", tarfile.LNKTYPE, "nowhere")], ["damaged"]),
        ([("one", tarfile.REGTYPE, ""), ("two", tarfile.LNKTYPE, "one")], []),
        ([("pipe", tarfile.FIFOTYPE, ""), ("disk", tarfile.BLKTYPE, "")], []),
        ([("a", tarfile.REGTYPE, ""), ("./a", tarfile.REGTYPE, "")], []),
        ([("a", tarfile.DIRTYPE, ""), ("a/", tarfile.DIRTYPE, "")], []),
    ],
)
def test_members_are_judged_by_what_unpacking_them_would_do(
    tmp_path: Path, members: list[tuple[str, bytes, str]], code: list[str]
) -> None:
    assert codes(read_archive(tar_of(tmp_path / "a.tar", *members), forever())) == code


@pytest.mark.parametrize("target", ["/mnt/shop.sqlite", "/mnt", "/mnt/"])
def test_a_link_to_an_archived_member_leads_nowhere_else(tmp_path: Path, target: str) -> None:
    members = [("shop.sqlite", tarfile.SYMTYPE, target), ("mnt/shop.sqlite", tarfile.REGTYPE, "")]

    assert codes(read_archive(tar_of(tmp_path / "a.tar", *members), forever())) == []


def test_a_link_in_a_zip_is_seen_as_one(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("out")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")

    reading = read_archive(tmp_path / "a.zip", forever())

    assert codes(reading) == ["link-out"]
    assert reading.members["out"].target == "/etc/passwd"


def test_what_unpacks_to_out_of_all_proportion_is_not_read_on(tmp_path: Path) -> None:
    info = tarfile.TarInfo("zeros")
    info.size = 30_000_000
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.addfile(info, io.BytesIO(bytes(info.size)))

    reading = read_archive(tmp_path / "bomb.tar.gz", forever(), limits=Limits(ratio=100, unpacked=5_000_000))

    assert codes(reading) == ["bomb"]
    assert reading.unpacked < 8_000_000
    assert not reading.complete


def test_a_sparse_member_of_endless_size_is_not_read_on(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 40)
    subprocess.run(["tar", "-C", str(tmp_path), "-cSf", str(tmp_path / "a.tar"), "hole"], check=True)

    assert codes(read_archive(tmp_path / "a.tar", forever())) == ["bomb"]


def test_too_many_members_are_not_read_on(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", *((str(number), tarfile.REGTYPE, "") for number in range(20)))

    assert codes(read_archive(path, forever(), limits=Limits(members=10))) == ["bomb"]


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf() + bytes(1 << 20))

    assert codes(read_archive(tmp_path / "a.tar.gz", forever())) == ["damaged"]


def test_headers_upon_headers_are_damage_and_no_crash(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 3
    (tmp_path / "a.tar").write_bytes((info.tobuf() + b"ab\0".ljust(512, b"\0")) * 5000)

    assert codes(read_archive(tmp_path / "a.tar", forever())) == ["damaged"]


def test_a_name_of_a_million_folders_takes_no_time(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a/" * 1_000_000 + "b")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info)
    started = time.perf_counter()

    assert codes(read_archive(tmp_path / "a.tar", forever())) == ["escape"]
    assert time.perf_counter() - started < 120


@pytest.mark.parametrize("bits", [32, 64])
def test_a_zip_with_an_enormous_directory_is_not_loaded(tmp_path: Path, bits: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"")
        start = archive.start_dir
    content = (tmp_path / "a.zip").read_bytes()
    entry = content[start : content.index(b"PK\5\6")]
    many = 70_000_000 // len(entry)
    size = many * len(entry)
    claimed = size if bits == 32 else 0xFFFFFFFF
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, claimed, start, 0)
    if bits == 64:
        record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, many, many, size, start)
        end = record + struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1) + end
    (tmp_path / "a.zip").write_bytes(content[:start] + entry * many + end)

    (problem,) = read_archive(tmp_path / "a.zip", forever()).problems

    assert problem.message == "is damaged: its list of members is absurdly long"


def test_a_zip_with_a_password_is_a_problem_and_never_complete(tmp_path: Path, make: Callable[[str], Path]) -> None:
    content = bytearray(make("zip").read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = content.index(magic, content.index(b"shop.yaml") - 80)
        content[position + offset] |= 1
    (tmp_path / "a.zip").write_bytes(content)

    reading = read_archive(tmp_path / "a.zip", forever())

    assert codes(reading) == ["encrypted"]
    assert reading.problems[0].message == "is encrypted, so that it cannot be read here"
    assert reading.listed
    assert not reading.complete


def test_encrypted_members_are_reported_among_many_problems(make: Callable[[str], Path]) -> None:
    path = make("zip")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(60):
            archive.writestr(f"../{number}", b"")
        archive.writestr("last", b"secret")
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.rindex(magic) + offset] |= 1
    path.write_bytes(content)

    reading = read_archive(path, forever())

    assert set(codes(reading)) == {"escape"}
    assert not reading.complete


def test_when_the_time_is_up_it_says_how_far_it_came(make: Callable[[str], Path]) -> None:
    reading = read_archive(make("tar.gz"), clock() - 1)

    assert reading.problems == ()
    assert not reading.complete
    assert re.fullmatch(r"was not read to its end: the time was up after .* of .*", reading.gaps[0])


@pytest.mark.parametrize("form", ["tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"])
def test_an_archive_that_comes_slowly_is_read_to_its_end(tmp_path: Path, form: str) -> None:
    path = in_pieces(tmp_path, form)
    started = time.monotonic()

    reading = read_archive(path, clock() + 0.4, receiving_after(0.1))

    assert (reading.gaps, reading.problems, reading.complete) == ((), (), True)
    assert time.monotonic() - started > 0.8


def test_an_archive_of_which_no_more_is_read_is_given_up(tmp_path: Path) -> None:
    path = in_pieces(tmp_path, "tar.gz", bytes(4 << 20))

    reading = read_archive(path, clock() + 0.4, receiving_after(0.3))

    assert not reading.complete
    assert re.fullmatch(r"was not read to its end: the time was up after [\d.]+ KiB of [\d.]+ KiB", reading.gaps[0])


def in_pieces(tmp_path: Path, form: str, content: bytes = b"") -> Path:
    """An archive with a file of this content, else of ten MiB that cannot be compressed."""
    (tmp_path / "big").write_bytes(content or os.urandom(10 << 20))
    path = tmp_path / f"big.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "big", "big")
    elif form == "tar.zst":
        with tarfile.open(tmp_path / "big.tar", "w") as tar:
            tar.add(tmp_path / "big", "big")
        subprocess.run(["zstd", "-q", "-1", tmp_path / "big.tar", "-o", path], check=True)
    else:
        mode = f"w:{form.removeprefix('tar').removeprefix('.')}"
        with tarfile.open(path, mode, **({"compresslevel": 1} if mode[2:] in {"gz", "bz2"} else {})) as tar:  # type: ignore[call-overload]
            tar.add(tmp_path / "big", "big")
    return path


def receiving_after(seconds: float) -> Take:
    """Take each piece of content after so many seconds."""

    def receive(_: bytes) -> None:
        time.sleep(seconds)

    return lambda _: contextlib.nullcontext(receive)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "truncated"), (b"<html>no archive</html>", "unknown-format"), (bytes(2000), "unknown-format")],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)

    assert codes(read_archive(tmp_path / "a.tar.gz", forever())) == [code]


def test_an_archive_that_is_just_being_written_is_no_damaged_one(make: Callable[[str], Path]) -> None:
    path = make("tar")
    content = path.read_bytes()
    path.write_bytes(content[:100_000])

    def go_on(member: Member) -> None:
        with path.open("ab") as file:
            file.write(member.name.encode())

    reading = read_archive(path, forever(), go_on)

    assert reading.problems == ()
    assert reading.gaps == ("is being written to",)


def test_a_fifo_is_no_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar.gz")

    assert read_archive(tmp_path / "a.tar.gz", forever()).problems[0].message == "is a FIFO"


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"7z\xbc\xaf\x27\x1c and more", "unknown-form", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "unknown-form", "a RAR archive"),
        (b"Salted__12345678", "encrypted", "encrypted with OpenSSL"),
        (b"-----BEGIN PGP MESSAGE-----\n", "encrypted", "encrypted with OpenPGP"),
        (b"age-encryption.org/v1\n", "encrypted", "encrypted with age"),
    ],
)
def test_an_unreadable_archive_is_named_whatever_its_extension(
    tmp_path: Path, content: bytes, code: str, says: str
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)

    reading = read_archive(tmp_path / "a.tar.gz", forever())

    assert codes(reading) == [code]
    assert says in reading.problems[0].message
    assert not reading.complete


def test_without_the_program_for_it_a_form_is_a_gap(
    tmp_path: Path, make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("tar.zst")
    monkeypatch.setenv("PATH", str(tmp_path))

    reading = read_archive(path, forever())

    assert (reading.form, reading.problems, reading.complete) == ("tar.zst", (), False)
    assert "there is no zstd on the PATH" in reading.gaps[0]


def test_random_bytes_never_raise(tmp_path: Path) -> None:
    chance = random.Random(2)  # noqa: S311 - the same bytes in every run
    for head in (
        b"\x1f\x8b\x08\0",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
        b"PK\3\4",
        b"\0" * 257 + b"ustar\x0000",
        b"",
    ):
        for _ in range(50):
            (tmp_path / "a").write_bytes(head + chance.randbytes(chance.randrange(3000)))
            assert not read_archive(tmp_path / "a", forever()).complete
    (tmp_path / "a").write_bytes(gzip.compress(chance.randbytes(5000)))
    assert not read_archive(tmp_path / "a", forever()).complete


@pytest.mark.parametrize("form", FORMS)
def test_chosen_members_are_restored_into_a_private_folder(make: Callable[[str], Path], form: str) -> None:
    path = make(form)

    with Restored(lambda member: member.name.endswith(".sqlite")) as restored:
        read_archive(path, forever(), restored)
        (file,) = restored.files.values()
        assert file.read_bytes() == CONTENT["datasets/shop/shop.sqlite"]
        assert stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700
        assert file.parent.parent != path.parent
    assert not file.parent.parent.exists()


def test_members_of_one_folder_are_restored_side_by_side(tmp_path: Path) -> None:
    names = ("a/x.sqlite", "a/x.sqlite-wal", "b/x.sqlite")
    path = tar_of(tmp_path / "a.tar", *((name, tarfile.REGTYPE, "") for name in names))

    with Restored(lambda _: True) as restored:
        read_archive(path, forever(), restored)
        folders = [restored.files[name].parent for name in names]

    assert folders[0] == folders[1] != folders[2]


def test_a_member_that_breaks_off_is_not_restored(make: Callable[[str], Path]) -> None:
    path = make("tar")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"pagepage") + 5000])

    with Restored(lambda member: member.name.endswith(".sqlite")) as restored:
        read_archive(path, forever(), restored)

        assert restored.files == {}
        assert restored.refused == {"datasets/shop/shop.sqlite": "could not be read to its end"}


def test_nothing_is_written_for_a_link_a_device_or_an_escape(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "a.tar",
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("disk", tarfile.CHRTYPE, ""),
        ("../escape", tarfile.REGTYPE, ""),
    )

    with Restored(lambda _: True) as restored:
        read_archive(path, forever(), restored)

        assert restored.files == {}
        assert restored.refused == {}


def test_what_there_is_no_room_for_is_refused_with_the_reason() -> None:
    with Restored(lambda _: True) as restored:
        assert restored(Member("huge", "file", 1 << 60)) is None
        assert "there is no room" in restored.refused["huge"]


@pytest.mark.parametrize(
    ("name", "path"), [("./a//b/", "a/b"), (".", ""), ("a/..", None), ("/a", None), ("\0", None), ("...", "...")]
)
def test_names_are_made_plain_or_refused(name: str, path: str | None) -> None:
    assert inside(name) == path


@pytest.mark.parametrize(
    ("name", "target", "stays"),
    [("a/b", "c", True), ("a/b", "../c", True), ("a/b", "../../c", False), ("a", "/etc", False), ("a", "", False)],
)
def test_links_are_followed_on_paper(name: str, target: str, stays: bool) -> None:
    assert leads_inside(name, target) is stays


@pytest.mark.parametrize(("name", "form"), [("x.TGZ", "tar.gz"), ("mdm_backup_1.tar.gz", "tar.gz"), ("x.yaml", None)])
def test_a_name_says_a_form(name: str, form: str | None) -> None:
    assert form_by_name(name) == form


def test_a_checksum_at_the_end_counts(make: Callable[[str], Path]) -> None:
    path = make("tar.gz")
    content = path.read_bytes()
    path.write_bytes(content[:-8] + struct.pack("<L", zlib.crc32(b"other")) + content[-4:])

    assert codes(read_archive(path, forever())) == ["damaged"]
