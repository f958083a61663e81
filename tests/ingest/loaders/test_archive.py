"""Archives as members: which come out, under which names, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Document
from ingest.loaders import archive, members
from ingest.loaders.archive_names import Names
from ingest.loaders.members import LeftOut, Whole, load_all

pytestmark = pytest.mark.integration


def zipped(*files: tuple[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files:
            opened.writestr(name, content)
    return buffer.getvalue()


def tarred(*files: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def seven_zipped(*files: tuple[str, bytes], **options: Any) -> bytes:
    py7zr: Any = import_module("py7zr")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", **options) as opened:
        for name, content in files:
            opened.writestr(content, name)
    return buffer.getvalue()


def zstandard(data: bytes) -> bytes:
    compressed: bytes = import_module("backports.zstd").compress(data)
    return compressed


def outcome(folder: Path, name: str, data: bytes) -> dict[str, str]:
    """Text or reason by uri of all that is in `data`."""
    (folder / name).write_bytes(data)
    pieces = list(load_all(folder / name, uri=name))
    assert isinstance(pieces[-1], Whole)
    found: dict[str, str] = {}
    for piece in pieces:
        if isinstance(piece, Document | LeftOut):
            assert piece.uri not in found
            found[piece.uri] = piece.text if isinstance(piece, Document) else piece.reason
    return found


FILES = (("a.txt", b"First."), ("sub/b.md", b"# Second"))
MAKERS: dict[str, Callable[[], bytes]] = {
    "x.zip": lambda: zipped(*FILES),
    "x.tar": lambda: tarred(*FILES),
    "x.tar.gz": lambda: gzip.compress(tarred(*FILES)),
    "x.tgz": lambda: gzip.compress(tarred(*FILES)),
    "x.tar.bz2": lambda: bz2.compress(tarred(*FILES)),
    "x.tar.xz": lambda: lzma.compress(tarred(*FILES)),
    "x.tar.zst": lambda: zstandard(tarred(*FILES)),
    "x.7z": lambda: seven_zipped(*FILES),
}


@pytest.mark.parametrize("name", MAKERS)
def test_members_are_documents(tmp_path: Path, name: str) -> None:
    assert outcome(tmp_path, name, MAKERS[name]()) == {
        f"{name}!/a.txt": "First.",
        f"{name}!/sub/b.md": "# Second",
    }


@pytest.mark.parametrize("name", MAKERS)
def test_half_an_archive_is_damaged(tmp_path: Path, name: str) -> None:
    data = MAKERS[name]()
    half = 1540 if name == "x.tar" else len(data) // 2  # within the second file, before the padding
    found = outcome(tmp_path, name, data[:half])
    assert any("damaged" in reason for reason in found.values()), found


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_a_compressed_file_is_one_member(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    assert outcome(tmp_path, "a.txt.gz", compress(b"Words.")) == {"a.txt.gz!/a.txt": "Words."}


def test_archives_in_archives(tmp_path: Path) -> None:
    inner = zipped(("c.txt", "Deep."))
    found = outcome(tmp_path, "a.zip", zipped(("b.zip", inner), ("d.txt", "Flat.")))
    assert found == {"a.zip!/b.zip!/c.txt": "Deep.", "a.zip!/d.txt": "Flat."}


def test_nesting_ends(tmp_path: Path) -> None:
    data = zipped(("end.txt", "x"))
    for level in range(20):
        data = zipped((f"{level}.zip", data))
    found = outcome(tmp_path, "a.zip", data)
    assert [reason[:19] for reason in found.values()] == ["is nested deeper th"]


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    data = zipped(
        ("../../up.txt", "x"),
        ("..\\win.txt", "x"),
        ("/abs.txt", "y"),
        ("C:\\c.txt", "z"),
        (link, "x"),
    )
    found = outcome(tmp_path, "a.zip", data)
    assert found.pop("a.zip!/abs.txt") == "y"
    assert found.pop("a.zip!/c.txt") == "z"
    assert found.pop("a.zip!/link.txt") == "is a link"
    assert set(found) == {"a.zip!/up.txt", "a.zip!/win.txt"}
    assert all("leads out of the archive" in reason for reason in found.values())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "is a link to '/etc/passwd'"),
        (tarfile.LNKTYPE, "is a link to '/etc/passwd'"),
        (tarfile.CHRTYPE, "is not a regular file"),
        (tarfile.FIFOTYPE, "is not a regular file"),
    ],
)
def test_tar_members_that_are_no_files(tmp_path: Path, kind: bytes, reason: str) -> None:
    found = outcome(tmp_path, "a.tar", tarred(("x.txt", b""), kind=kind))
    assert found == {"a.tar!/x.txt": reason}


def test_what_a_walk_skips_is_skipped(tmp_path: Path) -> None:
    names = ["__MACOSX/a.txt", ".hidden.txt", ".git/a.txt", "node_modules/a.txt", "a/.b/c.txt",
             "a/~$c.docx"]  # fmt: skip
    found = outcome(tmp_path, "a.zip", zipped(*((name, "x") for name in names), ("a.xyz", "x")))
    assert found == {
        "a.zip!/a.xyz": "files of type .xyz are not supported",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_of_a_name_are_both_kept(tmp_path: Path) -> None:
    found = outcome(tmp_path, "a.zip", zipped(("a.txt", "One."), ("a.txt", "Two.")))
    assert found == {"a.zip!/a.txt": "One.", "a.zip!/a (2).txt": "Two."}
    found = outcome(tmp_path, "a.7z", seven_zipped(("a.txt", b"One."), ("a.txt", b"Two.")))
    assert found == {"a.7z!/a.txt": "One.", "a.7z!/a (2).txt": "Two."}


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp932", "説明書.txt"), ("gb18030", "使用说明.txt"), ("utf-8", "手册.txt")],
)
def test_names_in_the_encodings_of_windows(tmp_path: Path, encoding: str, name: str) -> None:
    placeholder = "x" * len(name.encode(encoding))
    data = zipped((placeholder, "Text.")).replace(placeholder.encode(), name.encode(encoding))
    assert outcome(tmp_path, "a.zip", data) == {f"a.zip!/{name}": "Text."}


def test_protected_members_are_told(tmp_path: Path) -> None:
    data = bytearray(zipped(("a.txt", "x")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    found = outcome(tmp_path, "a.zip", bytes(data))
    assert found == {"a.zip!/a.txt": "is password protected"}
    data = bytearray(seven_zipped(("a.txt", b"x"), password="secret"))
    assert outcome(tmp_path, "a.7z", bytes(data)) == {"a.7z": "is password protected"}


@pytest.mark.parametrize("name", ["a.zip", "a.txt.gz", "a.tar.gz", "a.7z"])
def test_bombs_are_cut_short(tmp_path: Path, name: str) -> None:
    zeros = bytes(archive.RATIO_FLOOR + 10_000_000)
    data = {
        "a.zip": lambda: zipped(("zeros.txt", zeros)),
        "a.txt.gz": lambda: gzip.compress(zeros),
        "a.tar.gz": lambda: gzip.compress(tarred(("zeros.txt", zeros))),
        "a.7z": lambda: seven_zipped(("zeros.txt", zeros)),
    }[name]()
    reasons = list(outcome(tmp_path, name, data).values())
    assert reasons
    assert all("bomb" in reason for reason in reasons)


def test_members_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    data = zipped(("a.txt", bytes(range(256)) * 9))
    start = data.index(b"PK\x01\x02")
    entry = data[start : data.index(b"PK\x05\x06")]
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[8:12] = (50).to_bytes(2, "little") * 2
    end[12:16] = (50 * len(entry)).to_bytes(4, "little")
    found = outcome(tmp_path, "a.zip", data[:start] + entry * 50 + end)
    assert found == {"a.zip": "looks like a bomb: its members lie over each other"}


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 3)
    found = outcome(tmp_path, "a.zip", zipped(*((f"{n}.txt", "x") for n in range(9))))
    assert list(found) == ["a.zip!/0.txt", "a.zip!/1.txt", "a.zip!/2.txt", "a.zip"]
    assert found["a.zip"] == "holds more than 3 files: those after them are left out"


def test_an_empty_archive_is_told(tmp_path: Path) -> None:
    assert outcome(tmp_path, "a.zip", zipped()) == {"a.zip": "holds no files"}


@given(st.lists(st.text(max_size=30), max_size=8))
def test_paths_stay_inside_and_apart(told: list[str]) -> None:
    names = Names()
    places = [place for name in told if (place := names.place(name)) is not None]
    paths = [place.path for place in places]
    assert len(set(paths)) == len(paths)
    for path in paths:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "\\" not in path
