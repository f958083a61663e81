"""Outlook messages (.msg): the properties of MS-OXMSG in their streams, attachments included.

Our own reading on olefile: kreuzberg and unstructured join the lines of a mail, and give neither
its attachments nor attached messages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.encoding import NotText, decode, normalise
from ingest.loaders.mail import html_text, mail_document, message_facts, unique_name
from ingest.loaders.mime import parse_message, safe_name
from ingest.loaders.ole import OleFile
from ingest.loaders.registry import Member, Source

_TEXT = "__substg1.0_"
_SUBJECT, _HEADERS, _SENDER, _SENDER_MAIL, _SENDER_SMTP = "0037", "007D", "0C1A", "0C1F", "5D01"
_TO, _CC, _BODY, _HTML, _RTF, _CLASS = "0E04", "0E03", "1000", "1013", "1009", "001A"
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _DATA = "3707", "3704", "3001", "3701"
_CONTENT_ID = "3712"  # by which the HTML of the mail shows it
_SENT = (0x0039, 0x0E06)  # client submit time, delivery time
_CODE_PAGES = (0x3FDE, 0x3FFD)  # of the internet, of the message
_PAGES = {65001: "utf-8", 936: "gb18030", 950: "big5", 54936: "gb18030"}
_RTF_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_MAX_RTF = 50_000_000


def load_msg(source: Source) -> Document:
    """A message: subject, sender, receivers, date and text."""
    with OleFile(source.data, source.uri) as ole:
        if not any(name.startswith("__properties_version1.0") for name in ole.names):
            raise LoadError(source.uri, "is damaged: no Outlook message inside")
        return _document(ole, "", source)


def unpack_msg(source: Source) -> Iterator[Member]:
    """Its attachments; attached messages as mails of their text."""
    with OleFile(source.data, source.uri) as ole:
        names: set[str] = set()
        folders = {n.partition("/")[0] for n in ole.names if n.startswith("__attach_version1.0_")}
        for number, folder in enumerate(sorted(folders), 1):
            yield _member(ole, f"{folder}/", number, names, source)


def _member(ole: OleFile, prefix: str, number: int, names: set[str], source: Source) -> Member:
    page = _code_page(ole, "")
    found = (_string(ole, prefix, tag, page) for tag in (_LONG_NAME, _SHORT_NAME, _SHOWN_NAME))
    name = next((safe for one in found if (safe := safe_name(one))), "")
    inner = f"{prefix}{_TEXT}{_DATA}000D/"
    if any(other.startswith(inner) for other in ole.names):
        document = _document(ole, inner, source)
        mail = unique_name(f"{safe_name(document.title[:60]) or f'message-{number}'}.eml", names)
        return Member(mail, _as_mail(document))
    name = unique_name(name or f"attachment-{number}", names)
    data = ole.read(f"{prefix}{_TEXT}{_DATA}0102")
    if not data:
        return Member(name, reason="is not in the file, only linked")
    return Member(name, data, inline=bool(_string(ole, prefix, _CONTENT_ID, page)))


def _as_mail(document: Document) -> bytes:
    """An attached message as .eml: its streams cannot stand alone."""
    facts = document.metadata
    lines = [
        f"{name}: {facts[name.lower()]}"
        for name in ("Subject", "From", "To", "Cc", "Date")
        if facts.get(name.lower())
    ]
    body = document.text.split("\n\n", 2 if facts.get("subject") else 1)[-1]
    lines += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return "\r\n".join([*lines, "", body]).encode()


def _document(ole: OleFile, prefix: str, source: Source) -> Document:
    page = _code_page(ole, prefix)
    facts = {
        "Subject": _string(ole, prefix, _SUBJECT, page),
        "From": _sender(ole, prefix, page),
        "To": _string(ole, prefix, _TO, page),
        "Cc": _string(ole, prefix, _CC, page),
        "Date": _sent(ole, prefix),
    }
    headers = _string(ole, prefix, _HEADERS, page)
    if headers:
        sent = message_facts(parse_message(headers.encode("utf-8", "replace")))
        facts = {key: facts.get(key) or value for key, value in sent.items()}
    body = _body(ole, prefix, page, source)
    kind = _string(ole, prefix, _CLASS, page).upper()
    secret = "SMIME" in kind and "MULTIPARTSIGNED" not in kind
    if not body.strip() and (secret or _is_pgp(ole, prefix)):
        raise LoadError(source.uri, "is encrypted (S/MIME or PGP)")
    flat = {key: " ".join(normalise(value).split()) for key, value in facts.items()}
    return mail_document(source, flat, body)


def _is_pgp(ole: OleFile, prefix: str) -> bool:
    names = (_string(ole, f"{n.rpartition('/')[0]}/", _LONG_NAME, "cp1252") for n in ole.names
             if n.startswith(f"{prefix}__attach_version1.0_"))  # fmt: skip
    return any("pgp-encrypted" in name for name in names)


def _body(ole: OleFile, prefix: str, page: str, source: Source) -> str:
    """The plain text; the HTML or the RTF where there is none."""
    if (text := _string(ole, prefix, _BODY, page)).strip():
        return text
    html = ole.read(f"{prefix}{_TEXT}{_HTML}0102")
    if html.strip():
        try:
            return html_text(decode(html, declared=page).text, source)
        except NotText:
            return ""
    if html_string := _string(ole, prefix, _HTML, page):
        return html_text(html_string, source)
    return _rtf_text(ole.read(f"{prefix}{_TEXT}{_RTF}0102"), source)


def _rtf_text(packed: bytes, source: Source) -> str:
    from ingest.loaders.rtf import load_rtf

    data = unpack_rtf(packed)
    if not data.startswith(b"{\\rtf"):
        return ""
    return load_rtf(Source(source.uri, data, "application/rtf", source.sha256)).text


def unpack_rtf(packed: bytes) -> bytes:
    """Compressed RTF (MS-OXRTFCP) unpacked; b"" where it is damaged."""
    if len(packed) < 16:
        return b""
    _, size, kind = struct.unpack_from("<III", packed)
    if kind == 0x414C454D:  # stored
        return packed[16 : 16 + min(size, _MAX_RTF)]
    if kind != 0x75465A4C:
        return b""
    window = bytearray(_RTF_START) + bytearray(4096 - len(_RTF_START))
    write, place, out = len(_RTF_START), 16, bytearray()
    while place < len(packed) and len(out) < min(size, _MAX_RTF):
        control = packed[place]
        place += 1
        for bit in range(8):
            if control >> bit & 1:
                if place + 2 > len(packed):
                    return bytes(out)
                token = packed[place] << 8 | packed[place + 1]
                place += 2
                start, length = token >> 4, (token & 0xF) + 2
                if start == write:
                    return bytes(out)
                for step in range(length):
                    byte = window[(start + step) % 4096]
                    out.append(byte)
                    window[write] = byte
                    write = (write + 1) % 4096
            elif place < len(packed):
                out.append(packed[place])
                window[write] = packed[place]
                write = (write + 1) % 4096
                place += 1
    return bytes(out)


def _string(ole: OleFile, prefix: str, tag: str, page: str) -> str:
    """A property as text: Unicode, or in the message's code page."""
    wide = ole.read(f"{prefix}{_TEXT}{tag}001F")
    if wide:
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    narrow = ole.read(f"{prefix}{_TEXT}{tag}001E").rstrip(b"\0")
    try:
        return decode(narrow, declared=page).text if narrow else ""
    except NotText:
        return ""


def _sender(ole: OleFile, prefix: str, page: str) -> str:
    name = _string(ole, prefix, _SENDER, page)
    mails = (_string(ole, prefix, tag, page) for tag in (_SENDER_SMTP, _SENDER_MAIL))
    mail = next((one for one in mails if "@" in one), "")
    return f"{name} <{mail}>" if name and mail and name != mail else name or mail


def _fixed(ole: OleFile, prefix: str) -> dict[int, bytes]:
    """The 8 bytes of each property of fixed size, by its number."""
    stream = ole.read(f"{prefix}__properties_version1.0")
    start = 24 if prefix else 32
    return {
        int.from_bytes(stream[at + 2 : at + 4], "little"): stream[at + 8 : at + 16]
        for at in range(start, len(stream) - 15, 16)
    }


def _sent(ole: OleFile, prefix: str) -> str:
    fixed = _fixed(ole, prefix)
    for tag in _SENT:
        ticks = int.from_bytes(fixed.get(tag, b""), "little")  # of 100 ns since 1601
        if 0 < ticks < 2**61:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
            return moment.strftime("%Y-%m-%d %H:%M %z")
    return ""


def _code_page(ole: OleFile, prefix: str) -> str:
    fixed = _fixed(ole, prefix)
    numbers = (int.from_bytes(fixed.get(tag, b"")[:4], "little") for tag in _CODE_PAGES)
    number = next((n for n in numbers if n), 1252)
    return _PAGES.get(number, f"cp{number}")
