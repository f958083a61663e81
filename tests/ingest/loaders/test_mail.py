"""Mails, mailboxes and saved web pages: which of their parts are read, and as what."""

from __future__ import annotations

import base64
import binascii
import struct
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes, registry
from ingest.loaders import media_types as mt
from ingest.loaders.image import NO_TEXT
from ingest.loaders.mail import unpack_eml
from ingest.loaders.members import LeftOut, load_all
from ingest.loaders.mime import decoded_words, safe_name
from ingest.loaders.msg import unpack_rtf
from ingest.loaders.registry import Member, Source, unpacker_of

from .builders import CHINESE, ENGLISH
from .office_builders import outlook
from .test_office_contract import mail

LETTER = "Dear Ann, the pumps of the western station were taken apart in May as every year."


def load(data: bytes, media_type: str = mt.EML) -> Document:
    return load_bytes(data, uri="a.x", media_type=media_type)


def members(data: bytes, media_type: str) -> list[Member]:
    unpack = unpacker_of(media_type)
    assert unpack
    return list(unpack(Source("a", data, media_type, "")))


def uuencoded(name: str, data: bytes) -> str:
    lines = [binascii.b2a_uu(data[at : at + 45]).decode() for at in range(0, len(data), 45)]
    return f"begin 644 {name}\n{''.join(lines)}`\nend\n"


def test_files_written_into_the_text_of_a_mail_are_attachments() -> None:
    files = uuencoded("one.txt", b"first " * 20) + "and\n" + uuencoded('two "x".txt', b"second")
    data = f"Subject: x\n\nHere they are:\n{files}Bye\n\nbegin 644 none\n".encode()
    assert load(data).text == "# x\n\nHere they are:\n\nand\n\nBye\n\nbegin 644 none"
    members = list(unpack_eml(Source("a", data, mt.EML, "")))
    assert [(m.path, m.data) for m in members] == [
        ("one.txt", b"first " * 20),
        ("two x.txt", b"second"),
    ]


@pytest.mark.parametrize(
    ("plain", "html", "shown"),
    [
        (LETTER, f"<p>{LETTER}</p>", LETTER),
        (f"{LETTER}\nAnn", f"<p>{LETTER}</p>", f"{LETTER}\nAnn"),
        (LETTER, f"<p>{LETTER}</p><p>See &uuml;ber&nbsp;x</p>", f"{LETTER}\n\nSee über x"),
        ("每年检查一次密封件。", "<p>每年检查一次</p><p>密封件。</p>", "每年检查一次密封件。"),
        (
            LETTER,
            f"<p>{LETTER}</p><table><tr><th>Part<th>Price<tr><td>Seal<td>12</table>",
            f"{LETTER}\n\n| Part | Price |\n| --- | --- |\n| Seal | 12 |",
        ),
    ],
)
def test_of_two_forms_the_one_that_lacks_nothing_is_read(plain: str, html: str, shown: str) -> None:
    message = EmailMessage()
    message.set_content(plain)
    message.add_alternative(html, subtype="html")
    assert load(message.as_bytes()).text == shown


def test_pages_in_the_frames_of_a_saved_page() -> None:
    pages = ["<h1>Pumps</h1><p>Outer", "<h2>Seals</h2><p>Inner", "<h2>Seals</h2><p>Inner", " "]
    parts = "".join(f"--B\nContent-Type: text/html\n\n{page}\n" for page in pages)
    data = f"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=B\n\n{parts}--B--\n"
    document = load(data.encode(), mt.MHTML)
    assert document.text == "# Pumps\n\nOuter\n\n## Seals\n\nInner"
    assert document.heading_at(document.text.index("Inner")) == ("Pumps", "Seals")


def test_mails() -> None:
    document = load(mail(), mt.EML)
    assert document.text == (
        "# 水泵 pumps\n\nFrom: Ann <ann@a.org>\nTo: b@b.org\nDate: 2024-03-01 14:30 +0100\n\n"
        f"{ENGLISH}\n\n{CHINESE}"
    )
    assert document.title == document.metadata["subject"] == "水泵 pumps"
    assert members(mail(), mt.EML) == [Member("价格.csv", b"a,b\r\n1,2\r\n".replace(b"\r", b""))]


def test_mails_of_html_alone_and_flowed_text() -> None:
    html = b"Subject: a\r\nContent-Type: text/html; charset=gbk\r\n\r\n<p>" + CHINESE.encode("gbk")
    assert load(html, mt.EML).text == f"# a\n\n{CHINESE}"
    flowed = (
        b"Subject: a\nContent-Type: text/plain; format=flowed\n\none \ntwo\n> q \n> r\n-- \nAnn\n"
    )
    assert load(flowed, mt.EML).text == "# a\n\none two\n> q r\n--\nAnn"


def test_nested_mails_come_out_one_at_a_time() -> None:
    data = b"Subject: base\n\ninnermost"
    for level in range(300):
        head = f"Subject: level {level}\nContent-Type: multipart/mixed; boundary=b{level}\n\n"
        part = f"--b{level}\nContent-Type: message/rfc822\n\n"
        data = (head + part).encode() + data + f"\n--b{level}--\n".encode()
    [inner] = members(data, mt.EML)
    assert inner.path == "level 298.eml"
    depth = 1
    while inner.data and (found := members(inner.data, mt.EML)):
        [inner] = found
        depth += 1
    assert depth == 300
    assert load(inner.data or b"", mt.EML).text == "# base\n\ninnermost"


def test_attachments_that_cannot_be_read_are_named() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/ms-tnef;"
        b' name="winmail.dat"\nContent-Transfer-Encoding: base64\n\neJ8+\n--b--\n'
    )
    [member] = members(data, mt.EML)
    assert member.data is None
    assert "TNEF" in member.reason


LOGO = (
    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png; name=logo.png\n"
    "Content-Transfer-Encoding: base64\nPLACE\n\nDATA\n--b--\n"
)


@pytest.mark.parametrize(
    ("place", "skipped"),
    [
        ("Content-Disposition: inline", True),
        ("Content-ID: <logo>", True),
        ("Content-ID: <logo>\nContent-Disposition: attachment", False),
        ("Content-Disposition: attachment", False),
    ],
)
def test_a_picture_without_words_in_a_mail_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, skipped: bool
) -> None:
    def load_logo(source: Source) -> Document:
        raise LoadError(source.uri, NO_TEXT)

    monkeypatch.setitem(registry._registered, "image/png", load_logo)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    data = LOGO.replace("PLACE", place).replace("DATA", picture)
    (tmp_path / "a.eml").write_text(f"Subject: pumps\n{data}")
    left = [p for p in load_all(tmp_path / "a.eml", uri="a.eml") if isinstance(p, LeftOut)]
    assert left == [LeftOut("a.eml!/logo.png", NO_TEXT, skipped)]


def test_pictures_shown_within_outlook_messages() -> None:
    streams = outlook({"1000": "text"}, {"a.png": b"a", "b.png": b"b"}, shown=("a.png",))
    assert [(m.path, m.inline) for m in members(streams, mt.MSG)] == [
        ("a.png", True),
        ("b.png", False),
    ]


def test_a_mailbox_is_only_its_mails(tmp_path: Path) -> None:
    text = "From a@a.org Mon Jan  3 10:00:00 2026\nSubject: x\nFrom: a@a.org\n\nThe pump leaks.\n"
    for name in ("a.mbox", "mails"):
        (tmp_path / name).write_text(text)
        documents = [
            piece
            for piece in load_all(tmp_path / name, uri=name)
            if isinstance(piece, Document | LeftOut)
        ]
        assert [document.uri for document in documents] == [f"{name}!/00001 x.eml"]


def test_mailboxes() -> None:
    data = (
        b"From a Mon\nSubject: one/two\n\nfirst\n>From here\n\nFrom b Tue\nSubject: x\n\nsecond\n"
    )
    assert members(data, mt.MBOX) == [
        Member("00001 one two.eml", b"Subject: one/two\n\nfirst\nFrom here\n\n"),
        Member("00002 x.eml", b"Subject: x\n\nsecond\n"),
    ]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("=?utf-8?B?5rA=?= =?utf-8?B?tOazsw==?=", "水泳"),  # a character cut in two
        ("=?gb2312?B?y66xww==?= pumps", "水泵 pumps"),
        ("=?iso-8859-1?Q?caf=E9_au?= lait", "café au lait"),
        ("=?x-nope?Q?=41?=", "A"),
        ("a\r\n b\0c", "a bc"),
    ],
)
def test_encoded_words(raw: str, shown: str) -> None:
    assert decoded_words(raw) == shown


@given(st.text())
def test_names_lead_nowhere(name: str) -> None:
    safe = safe_name(name)
    assert not set("/\\\0\n") & set(safe)
    assert safe.strip(".") == safe
    assert len(safe) <= 120


def test_outlook_messages() -> None:
    data = outlook(
        {"0037": "水泵", "0C1A": "Ann", "5D01": "a@a.org", "1000": "one\r\ntwo"}, {"a.txt": b"hey"}
    )
    assert load(data, mt.MSG).text == "# 水泵\n\nFrom: Ann <a@a.org>\n\none\ntwo"
    [member] = members(data, mt.MSG)
    assert (member.path, (member.data or b"").rstrip(b"\0")) == ("a.txt", b"hey")


def test_compressed_rich_text() -> None:
    """Flag bits, then a reference of 11 characters into the preset dictionary, then literals."""
    packed = b"\x01\x00\x09 hi}" + b"\x00"
    head = struct.pack("<III", len(packed) + 12, 15, 0x75465A4C) + bytes(4)
    assert unpack_rtf(head + packed).startswith(rb"{\rtf1\ansi hi}")
    stored = struct.pack("<III", 20, 8, 0x414C454D) + bytes(4) + rb"{\rtf1 }"
    assert unpack_rtf(stored) == rb"{\rtf1 }"
    assert unpack_rtf(b"short") == b""
