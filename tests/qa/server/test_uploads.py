"""Uploads stay in their folder, whatever they are called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadRequest
from qa.server.folders import Folders
from qa.server.problems import Conflict, Forbidden, NotFound, TooLarge, UnsupportedKind
from qa.server.uploads import Uploads, checked_name

pytestmark = pytest.mark.integration

BAD = [
    "", "/etc/passwd", "../up.md", "a/../../up.md", "a//b.md", "./a.md", "a/.", "..", "~/a\0.md",
    "a\0.md", "a\n.md", "C:\\up.md", "a\\..\\up.md", "c:up.md", ".kbqaignore", ".git/config",
    "CON", "nul.txt", "a/LPT1.md", "a.", "a ", "a/ /b", "\ud800.md", "a\u202emd.exe", "x" * 201,
    "a/" * 17 + "a", "node_modules/a.md", "é" * 150, "a?.md",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        checked_name(name)


@pytest.mark.parametrize("name", ["a.md", "手册/第一章.pdf", "a b/c-d_e.f.txt", "Ünïcode.md", "~a"])
def test_good_names_are_kept(name: str) -> None:
    assert checked_name(name) == name


@given(st.text(st.characters() | st.sampled_from("./\\\0:~ "), max_size=40))
def test_no_name_leads_out(name: str) -> None:
    root = Path("/uploads/kb")
    try:
        checked = checked_name(name)
    except BadRequest:
        return
    parts = (root / checked).parts
    assert parts[:3] == root.parts
    assert len(parts) > 3
    assert ".." not in parts


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def keep(uploads: Uploads, name: str, *pieces: bytes) -> str:
    return asyncio.run(uploads.keep("kb", name, body(*pieces)))


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", max_bytes=10)


def test_a_file_is_whole_or_not_there(uploads: Uploads) -> None:
    keep(uploads, "a/b.txt", b"hello", b"12345")
    assert (uploads.root("kb") / "a/b.txt").read_bytes() == b"hello12345"
    with pytest.raises(TooLarge):
        keep(uploads, "a/b.txt", b"hello", b"123456")
    assert (uploads.root("kb") / "a/b.txt").read_bytes() == b"hello12345"
    assert not list(uploads.root(".incoming").iterdir())


def test_what_no_ingest_looks_at_is_not_kept(uploads: Uploads) -> None:
    with pytest.raises(UnsupportedKind, match=r"type \.xyz"):
        keep(uploads, "a.b/x.XYZ", b"hello")
    assert not uploads.root("kb").exists()
    for name in ("a.b/README", "a.xyz/B.TXT"):
        assert keep(uploads, name, b"hello") == name


def test_what_was_on_its_way_is_forgotten_at_the_start(uploads: Uploads, tmp_path: Path) -> None:
    uploads.forget_unfinished()  # of a server that is new
    keep(uploads, "a.md", b"x")
    (tmp_path / "uploads" / ".incoming" / "tmp1").write_bytes(b"half")  # as after kill -9
    uploads.forget_unfinished()
    assert [f.name for f in (tmp_path / "uploads").rglob("*") if f.is_file()] == ["a.md"]


def test_a_link_is_not_followed(uploads: Uploads, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    keep(uploads, "a.txt", b"x")
    (uploads.root("kb") / "link").symlink_to(outside)
    with pytest.raises(BadRequest):
        keep(uploads, "link/b.txt", b"x")
    (outside / "kept.txt").write_text("kept")
    assert not uploads.remove(str(uploads.root("kb") / "link" / "kept.txt"))
    assert not uploads.remove(str(outside / "kept.txt"))
    assert [path.name for path in outside.iterdir()] == ["kept.txt"]


def test_a_folder_and_a_file_do_not_take_each_others_place(uploads: Uploads) -> None:
    keep(uploads, "a/b", b"x")
    for name in ("a", "a/b/c"):
        with pytest.raises(Conflict):
            keep(uploads, name, b"x")


def test_only_listed_folders_are_ingested(tmp_path: Path) -> None:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "docs" / "way-out").symlink_to(tmp_path / "secret")
    folders = Folders([tmp_path / "docs"])
    assert folders.resolve("docs", "sub") == tmp_path / "docs" / "sub"
    for below in ("..", "../secret", "/etc", "way-out", "sub/../../secret", "a\0"):
        with pytest.raises(Forbidden):
            folders.resolve("docs", below)
    for name, below in (("secret", ""), ("docs", "nothing"), ("", "docs"), ("../docs", "")):
        with pytest.raises(NotFound):
            folders.resolve(name, below)
    assert folders.holds(str(tmp_path / "docs" / "sub"))
    assert not folders.holds(str(tmp_path / "docs" / "way-out" / "a"))
    with pytest.raises(BadRequest, match="not a folder"):
        Folders([tmp_path / "nothing"])
