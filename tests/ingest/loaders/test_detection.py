"""Which loader a file gets, and which files get none."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from ingest.errors import LoadError, Unsupported
from ingest.loaders import detect_media_type, load, load_bytes, supported_suffixes

from .builders import pdf, word_document

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", pdf([["x"]]), "application/pdf"),
        ("a.pdf", b"junk\n" * 20 + pdf([["x"]]), "application/pdf"),
        ("a.bin", word_document(), DOCX),
        ("a.pdf", b"<html><p>hello", "text/html"),
        ("a.txt", "\ufeff<!DOCTYPE html><p>hi".encode(), "text/html"),
        ("a.htm", "<html><p>hi".encode("utf-16"), "text/html"),
        ("a.md", b"<html> is a tag", "text/markdown"),
        ("A.MARKDOWN", b"x", "text/markdown"),
        ("README", b"x", "text/plain"),
        ("a.csv", b"a,b", "text/plain"),
    ],
)
def test_content_comes_before_the_suffix(name: str, data: bytes, expected: str) -> None:
    assert detect_media_type(data, name) == expected


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("photo.txt", PNG, "looks like a PNG image"),
        ("photo.docx", PNG, "looks like a PNG image"),
        ("book.xlsx", zipped("xl/workbook.xml"), "an Excel workbook"),
        ("all.zip", zipped("a.txt"), "a ZIP archive"),
        ("all.zip", b"PK\x03\x04 broken", "damaged ZIP"),
        ("old.doc", OLE, "old Office file"),
        ("what.xyz", b"text", "no loader for .xyz files"),
    ],
)
def test_unsupported_kinds_say_what_they_look_like(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        load_bytes(data, uri=name)


def test_an_encrypted_office_file_is_named() -> None:
    with pytest.raises(LoadError, match="password protected"):
        load_bytes(OLE + "EncryptedPackage".encode("utf-16-le"), uri="a.docx")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "README"])
def test_binary_content_is_never_text(name: str) -> None:
    noise = bytes((index * 7919 + index // 251) % 256 for index in range(5000))
    for data in (noise, b"\x00\x01\x02\x03" * 500, b"text " + noise):
        with pytest.raises(LoadError, match="not text"):
            load_bytes(data, uri=name)


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".md", ".txt", ".html", ".docx", ".pdf"} <= supported_suffixes()
    assert all(suffix.startswith(".") and suffix.islower() for suffix in supported_suffixes())


def test_load_reads_a_path(tmp_path: Path) -> None:
    path = tmp_path / "名前 & “x”.md"
    path.write_text("# 标题\n正文。", encoding="utf-8")
    assert load(path).uri == path.as_posix()
    assert load(path, uri="x/y.md").title == "标题"


def test_load_reports_what_is_no_readable_file(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.md").write_text(" \n\t\n" * 50)
    os.mkfifo(tmp_path / "pipe.txt")
    expected = {
        "missing.txt": "no such file",
        "": "is a folder",
        "empty.txt": "is empty",
        "blank.md": "holds no text",
        "pipe.txt": "not a regular file",
        "nul\0.txt": "cannot be read",
        "x" * 300 + ".txt": "cannot be read",
    }
    for name, reason in expected.items():
        with pytest.raises(LoadError, match=reason):
            load(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(LoadError, match="permission denied"):
        load(path)
