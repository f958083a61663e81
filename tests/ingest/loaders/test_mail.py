"""Mails and saved web pages: which of their parts are read."""

from __future__ import annotations

import binascii
from email.message import EmailMessage

import pytest

from ingest.documents import Document
from ingest.loaders import load_bytes
from ingest.loaders import media_types as mt
from ingest.loaders.mail import unpack_eml
from ingest.loaders.registry import Source

LETTER = "Dear Ann, the pumps of the western station were taken apart in May as every year."


def load(data: bytes, media_type: str = mt.EML) -> Document:
    return load_bytes(data, uri="a.x", media_type=media_type)


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
