"""Which loader a file gets, and which files get none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from ingest.errors import LoadError, Unsupported
from ingest.loaders import detect_media_type, load, load_bytes, supported_suffixes
from ingest.loaders import media_types as mt
from ingest.loaders.detection import promises_document

from .builders import pdf, word_document
from .child import Child

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100)
MAIL = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n"
PAGE = b'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="x"\n\n--x\n'
NOTEBOOK = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def zipped(*names: str, **contents: str) -> bytes:
    """A ZIP archive of `names`; `contents` gives the text of the members `__` for `/`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
        for name, text in contents.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


def office(main_part: str, *names: str) -> bytes:
    """An Office package that calls its main part so."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        types = f'<Types><Override ContentType="application/{main_part}.main+xml"/></Types>'
        archive.writestr("[Content_Types].xml", types)
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def old_office(*streams: str) -> bytes:
    """What of an OLE file olefile cannot open: the names of its streams stand in it."""
    return OLE + b"".join(stream.encode("utf-16-le") + bytes(64) for stream in streams)


def open_document(kind: str, manifest: str = "<manifest/>") -> bytes:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return zipped("content.xml", mimetype=mimetype, **{"META-INF__manifest.xml": manifest})


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()


BY_CONTENT = {
    mt.PDF: [pdf([["x"]]), b"  \n" + pdf([["x"]])],
    mt.DOCX: [
        word_document(),
        office("vnd.openxmlformats-officedocument.wordprocessingml.document"),
        office("vnd.ms-word.document.macroEnabled", "word/document.xml"),
        zipped("word/document.xml"),
        zipped("word\\document.xml"),
    ],
    mt.XLSX: [
        office("vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        zipped("xl/workbook.xml"),
    ],
    mt.XLSB: [office("vnd.ms-excel.sheet.binary.macroEnabled"), zipped("xl/workbook.bin")],
    mt.PPTX: [office("vnd.openxmlformats-officedocument.presentationml.slideshow", "xl/x.xml")],
    mt.ODT: [open_document("text"), open_document("text-template")],
    mt.ODS: [open_document("spreadsheet")],
    mt.ODP: [open_document("presentation")],
    mt.EPUB: [zipped(mimetype="application/epub+zip"), zipped("META-INF/container.xml")],
    mt.ZIP: [zipped("a.txt"), zipped("notes/word/a.txt"), zipped()],
    mt.DOC: [old_office("WordDocument"), old_office("WordDocument", "Workbook")],
    mt.XLS: [old_office("Workbook"), old_office("Book"), b"\x09\x00\x04\x00\x02\x00\x10\x00"],
    mt.PPT: [old_office("PowerPoint Document")],
    "image/png": [PNG],
    "image/jpeg": [b"\xff\xd8\xff\xe0\0\x10JFIF"],
    "image/tiff": [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"],
    "image/webp": [b"RIFF\x24\0\0\0WEBPVP8 "],
    "image/bmp": [b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"],
    "image/heic": [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"],
    "image/avif": [b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"],
    mt.GZIP: [gzip.compress(b"x", mtime=0)],
    mt.BZIP2: [bz2.compress(b"x")],
    mt.XZ: [lzma.compress(b"x")],
    mt.ZSTD: [b"\x28\xb5\x2f\xfd\x04\0\x01\0\0"],
    mt.SEVEN_ZIP: [b"7z\xbc\xaf\x27\x1c\0\x04"],
    mt.TAR: [tarred()],
    mt.RTF: [b"{\\rtf1\\ansi hello}"],
    mt.HTML: [
        b"<!DOCTYPE html><p>x",
        b"<!-- saved --> <!-- twice -->\n<html lang=de><p>x",
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="x"><p>x',
        "<html><p>hi".encode("utf-16"),
    ],
    mt.XML: [
        b'<?xml version="1.0"?><rss><item/></rss>',
        '<?xml version="1.0"?><a/>'.encode("utf-16"),
    ],
    mt.FB2: [b'<?xml version="1.0"?>\n<FictionBook xmlns="x">'],
    mt.FLAT_OPEN: [b'<?xml version="1.0"?>\n<office:document xmlns:office="x">'],
    mt.VSDX: [office("vnd.ms-visio.drawing")],
    mt.EML: [MAIL + b"\r\nHello\r\n", "".join(map(chr, MAIL)).encode("utf-16")],
    mt.MBOX: [b"From a@b.example Mon Jan  3 10:00:00 2026\n" + MAIL],
    mt.MHTML: [PAGE, b"From: <Saved by Blink>\nSnapshot-Content-Location: http://x\n\n"],
    mt.ICS: [b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"],
    mt.VTT: [b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi"],
    mt.IPYNB: [NOTEBOOK, b'{"cells": [' + b" " * 99_999 + b'], "nbformat": 4}'],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "data"), [(kind, data) for kind, all_of in BY_CONTENT.items() for data in all_of]
)
@pytest.mark.parametrize("suffix", ["", ".docx", ".PDF", ".xyz", ".txt"])
def test_content_comes_before_the_suffix(suffix: str, data: bytes, expected: str) -> None:
    assert detect_media_type(data, f"folder/a{suffix}") == expected


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.pdf", b"junk\n" * 20 + pdf([["x"]]), mt.PDF),
        ("a.md", b"<html> is a tag", mt.MARKDOWN),
        ("A.MARKDOWN", b"x", mt.MARKDOWN),
        ("README", b"x", mt.PLAIN),
        ("what.xyz", b"text", mt.PLAIN),
        ("a.csv", b"a,b", mt.CSV),
        ("a.py", MAIL, "text/x-python"),
        ("a.yaml", b'{"cells": 1, "nbformat": 2}', mt.YAML),
        ("a.json", b'{"a": 1}', mt.JSON),
        ("a.json", NOTEBOOK, mt.IPYNB),
        ("a.xls", b"<table><tr><td>1</table>", mt.HTML),
        ("a.xls", b"a\tb\n1\t2\n", mt.TSV),
        ("a.xlsx", b"a,b\n1,2\n", mt.CSV),
        ("a.doc", b"just words", mt.PLAIN),
        ("a.eml", PAGE, mt.EML),
        ("a.eml", b"Subject: only this\n\nx", mt.EML),
        ("a.mht", MAIL + b"\r\n", mt.MHTML),
        ("a.html", MAIL + b"\r\n<html>", mt.HTML),
        ("a.txt", b"From: me\nTo: you\nSubject: x\n\nA memo.", mt.PLAIN),
        ("a.txt", b"PAR1 is the first chapter of the manual", mt.PLAIN),
        ("a.xml", b"<a/>", mt.XML),
        ("a", "\u6587\u672c\u5728\u6b64".encode("utf-16-le") * 9, mt.PLAIN),
    ],
)
def test_the_suffix_decides_among_kinds_of_text(name: str, data: bytes, expected: str) -> None:
    assert detect_media_type(data, name) == expected


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xps", zipped("FixedDocSeq.fdseq"), "an XPS document"),
        ("a.pages", zipped("Index/Document.iwa"), "an Apple Pages"),
        ("a.jar", zipped("META-INF/MANIFEST.MF"), "a Java archive"),
        ("a.odg", open_document("graphics"), "an OpenDocument drawing"),
        ("a.hwp", old_office("BodyText"), "old Office file"),
        ("old.doc", OLE, "old Office file"),
        ("a.chm", b"ITSF\3\0\0\0", "a CHM help file"),
        ("a.docx", b"\xffWPC\0\0", "a WordPerfect document"),
        ("a.mp3", b"ID3\3\0\0", "an audio file"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "an audio or video file"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0\0\0", "a program"),
        ("a.bin", bytes(range(256)), "binary data of no known kind"),
    ],
)
def test_unsupported_kinds_say_what_they_look_like(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        load_bytes(data, uri=name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("all.zip", b"PK\x03\x04 broken"),
        ("half.docx", word_document()[:900]),
        ("noise.docx", bytes(range(256)) * 4),
        ("words.pdf", b"no header at all"),
        ("noise.pdf", b"\x01\x02\x03\x04" * 40),
    ],
)
def test_damaged_containers_are_named(name: str, data: bytes) -> None:
    with pytest.raises(LoadError, match="damaged") as caught:
        load_bytes(data, uri=name)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", old_office("EncryptedPackage")),
        ("a.odt", open_document("text", "<encryption-data/>")),
    ],
)
def test_an_encrypted_office_file_is_named(name: str, data: bytes) -> None:
    with pytest.raises(LoadError, match="password protected"):
        load_bytes(data, uri=name)


def test_what_an_unknown_suffix_hides_is_worth_a_try_if_it_is_a_document() -> None:
    for data in (pdf([["x"]]), word_document(), PNG, OLE, b"{\\rtf1", open_document("text")):
        assert promises_document(data[:512])
    for data in (b"text", zipped("a.txt"), gzip.compress(b"x"), b"\x7fELF\x02\x01", b""):
        assert not promises_document(data[:512])


@pytest.mark.integration
@pytest.mark.parametrize("start", [b"<!---->", b"<!--", b"<?x?>", b"<", b"From: x\n", b"a:", b"{"])
def test_bait_for_patterns_is_looked_at_once(child: Child, start: bytes) -> None:
    """To end is the test: at two million of them, going back at each would take hours."""
    child.run(detect_media_type, start * 2_000_000, "bait")


def test_a_tar_from_before_ustar_is_known_by_its_checksum() -> None:
    header = bytearray(512)
    header[:5], header[124:136] = b"a.txt", b"00000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert detect_media_type(bytes(header) + bytes(1024), "a.tar") == mt.TAR


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
