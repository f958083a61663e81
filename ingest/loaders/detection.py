"""What kind of file it is: the content decides, the suffix only among kinds of plain text.

Only the ends of a text are looked at; ZIP and OLE containers by what they hold
(detection_containers.py).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ingest.errors import LoadError, Unsupported
from ingest.loaders import media_types as mt
from ingest.loaders.detection_containers import OLE_MAGIC, ZIP_MAGICS, ole_type, zip_type
from ingest.loaders.detection_magic import MAGIC, UNSUPPORTED

_HEAD = 8192  # bytes in which a text shows its kind
_TAR_MAGIC = 257  # offset of `ustar`
_MAX_CONTROLS = 0.02  # share of control characters, as in encoding.py
_CONTROLS = bytes({*range(9), 11, *range(14, 27), *range(28, 32), 127})
_UNICODE_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SHEETS = {mt.XLSX, mt.XLSB, mt.XLS, mt.ODS}
# Under the names of these many a program writes HTML or plain text.
_OFFICE = _SHEETS | {
    mt.VSDX,
    mt.DOCX,
    mt.PPTX,
    mt.DOC,
    mt.PPT,
    mt.ODT,
    mt.ODP,
    mt.RTF,
    mt.MSG,
    mt.EPUB,
}
BINARY = frozenset(
    _OFFICE | {mt.PDF, mt.ZIP, mt.TAR, mt.GZIP, mt.SEVEN_ZIP, mt.BZIP2, mt.XZ, mt.ZSTD} | mt.IMAGES
)
# Texts of these suffixes can look like anything (Markdown begins with HTML, Python quotes a mail).
_SUFFIX_DECIDES = frozenset(
    {mt.MARKDOWN, mt.RST, mt.ORG, mt.ASCIIDOC, mt.TEX, mt.CSV, mt.TSV, mt.JSONL, mt.YAML, mt.SRT}
    | {f"text/x-{language}" for language in mt.SOURCE_CODE}
)
_MAIL_HEADER = re.compile(rb"[!-9;-~]{1,60}:(?:[ \t]|\r?\n[ \t])")
_MAIL_NAMES = re.compile(
    rb"^(from|to|cc|subject|date|message-id|mime-version|received|return-path|reply-to|sender"
    rb"|delivered-to|content-type|snapshot-content-location)[ \t]*:",
    re.I | re.M,
)
_MBOX = re.compile(rb"From \S{1,200} {1,4}\w{3} \w{3} [ \d]\d ")
_HTML_ROOT = re.compile(rb"<(?:!doctype\s+html|html)[\s>/]", re.I)
_HTML_PART = re.compile(
    rb"<(?:head|body|table|div|p|meta|title|style|script|h[1-6]|ul|ol|center|font|span)[\s>]", re.I
)
_XML_ROOTS = {
    b"html": mt.HTML,
    b"xhtml:html": mt.HTML,
    b"fictionbook": mt.FB2,
    b"office:document": mt.FLAT_OPEN,
}
_XML_NAME = re.compile(rb"<(?:!doctype\s+)?([A-Za-z_][\w:.-]*)", re.I)


def supported_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the files worth trying.

    A file without a suffix (README) is tried as well; of others, `promises_document` tells.
    """
    return frozenset(mt.BY_SUFFIX)


def promises_document(head: bytes) -> bool:
    """Whether a file of unknown suffix that begins with `head` (512 bytes or more) is worth trying.

    True for documents that show themselves (PDF, Office, OpenDocument, RTF, images), false for
    archives, programs and texts: of those there are many that nobody means to ask about.
    """
    if head.startswith(ZIP_MAGICS):
        parts = (b"[Content_Types].xml", b"_rels/", b"mimetype", b"docProps/", b"word/", b"xl/")
        return any(part in head for part in parts)
    if head.startswith((OLE_MAGIC, b"%PDF-", b"{\\rtf")):
        return True
    return _by_magic(head) in mt.IMAGES


def detect_media_type(data: bytes, name: str) -> str:
    """Media type of `data`, whose file is called `name`.

    Raises Unsupported for kinds without a loader (the reason says what the content looks like),
    LoadError for what is damaged or password protected.
    """
    suffix = PurePosixPath(name).suffix.lower()
    expected = mt.BY_SUFFIX.get(suffix, "")
    binary = _binary_type(data, name, expected)
    if binary:
        return binary
    head = data[:_HEAD]
    if expected and expected not in BINARY:
        return _text_type(data, expected)
    if not is_text(head):
        raise _unknown_binary(name, suffix, expected)
    kind = _text_type(data, expected)
    if kind == mt.PLAIN and expected in BINARY - _OFFICE:
        raise _unknown_binary(name, suffix, expected)
    return kind


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file can be text in some encoding."""
    if head.startswith(_UNICODE_MARKS):
        return True
    nuls = head.count(b"\0")
    if nuls:  # UTF-16 without a mark: ASCII characters have a NUL as every other byte
        halves = (head[::2].count(b"\0"), head[1::2].count(b"\0"))
        if min(halves) > 0.05 * max(halves):
            return False
        head = head.replace(b"\0", b"")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls <= max(_MAX_CONTROLS * len(head), 2)


def _binary_type(data: bytes, name: str, expected: str) -> str:
    """Type of a file that begins with the mark of its kind; "" where there is none."""
    start = data[:1024]
    if start.lstrip().startswith(b"%PDF-") or (expected == mt.PDF and b"%PDF-" in start):
        return mt.PDF
    if data.startswith(ZIP_MAGICS):
        return zip_type(data, name)
    if data.startswith(OLE_MAGIC):
        return ole_type(data, name)
    kind = _by_magic(data)
    if kind in UNSUPPORTED and expected and expected not in BINARY and is_text(data[:_HEAD]):
        return ""  # "PAR1 is the first chapter": a text that happens to begin so
    if kind in UNSUPPORTED:
        raise Unsupported(name, f"looks like {kind}, which no loader takes")
    if kind:
        return kind
    if data.startswith(b"ustar", _TAR_MAGIC) or (expected == mt.TAR and _is_old_tar(data)):
        return mt.TAR
    return ""


def _by_magic(data: bytes) -> str:
    """A media type, or what people call the kind where nothing reads it; "" where unknown."""
    for offset, magic, kind in MAGIC:
        if data.startswith(magic, offset):
            return kind
    if data.startswith(b"ftyp", 4):
        return _iso_media(data)
    if data.startswith(b"RIFF"):
        return "image/webp" if data[8:12] == b"WEBP" else "an audio or video file"
    if data.startswith(b"BM") and data[6:10] == bytes(4) and data[15:18] == bytes(3):
        return "image/bmp"
    return ""


def _iso_media(data: bytes) -> str:
    brands = data[8:12] + data[16 : min(int.from_bytes(data[:4], "big"), 64)]
    if b"avi" in brands:
        return "image/avif"
    heic = (b"hei", b"hev", b"mif1", b"msf1")
    return "image/heic" if any(brand in brands for brand in heic) else "an audio or video file"


def _is_old_tar(data: bytes) -> bool:
    """A tar from before `ustar`: its first header has the right checksum."""
    header = data[:512]
    try:
        told = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    return len(header) == 512 and told == sum(header[:148]) + 8 * 32 + sum(header[156:])


def _text_type(data: bytes, expected: str) -> str:
    """Type of a text. `expected` is what its suffix says, "" for an unknown one."""
    head = data[:_HEAD].replace(b"\0", b"")
    for mark in _UNICODE_MARKS:
        head = head.removeprefix(mark)
    head = head.lstrip()
    if head.startswith(b"{\\rtf"):
        return mt.RTF
    if expected in _SUFFIX_DECIDES:
        return expected
    if head.startswith(b"{") and (kind := _json_type(data, head, expected)):
        return kind
    return _structured(head, expected) or _by_suffix(head, expected)


def _json_type(data: bytes, head: bytes, expected: str) -> str:
    ends = head + data[-_HEAD:].replace(b"\0", b"")
    notebook = b'"nbformat"' in ends and (b'"cells"' in ends or b'"worksheets"' in ends)
    return mt.IPYNB if notebook or expected == mt.IPYNB else ""


def _structured(head: bytes, expected: str) -> str:
    """Type of a text that begins as its kind must; "" for any other."""
    if head.startswith(b"BEGIN:VCALENDAR"):
        return mt.ICS
    if head.startswith(b"WEBVTT"):
        return mt.VTT
    if expected != mt.XML and (mail := _mail_type(head, expected)):
        return mail
    if not head.startswith(b"<"):
        return ""
    inner = _without_prolog(head)
    loose = expected in BINARY or not expected
    if _HTML_ROOT.match(inner) or (loose and _HTML_PART.match(inner)):
        return mt.HTML
    if head.startswith(b"<?xml") and expected != mt.HTML:
        name = _XML_NAME.match(inner)
        return _XML_ROOTS.get(name[1].lower(), mt.XML) if name else mt.XML
    return ""


def _without_prolog(head: bytes) -> bytes:
    """What follows the XML declaration, processing instructions and comments at the start."""
    while head.startswith((b"<?", b"<!--")):
        close = b"?>" if head.startswith(b"<?") else b"-->"
        _, found, head = head.partition(close)
        if not found:
            return b""
        head = head.lstrip()
    return head


def _mail_type(head: bytes, expected: str) -> str:
    """Type of a text that begins with the headers of a mail or of a saved web page."""
    if _MBOX.match(head):
        return mt.EML if expected == mt.EML else mt.MBOX
    if not _MAIL_HEADER.match(head):
        return ""
    headers = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    names = {name.lower() for name in _MAIL_NAMES.findall(headers)}
    if b"snapshot-content-location" in names or expected == mt.MHTML:
        return mt.MHTML if names else ""
    related = re.search(rb"^content-type[ \t]*:\s*multipart/related", headers, re.I | re.M)
    if related and expected != mt.EML and not names & {b"to", b"received", b"message-id"}:
        return mt.MHTML
    if expected in (mt.EML, mt.MBOX):
        return mt.EML if names else ""
    transported = names & {b"message-id", b"mime-version", b"received", b"return-path"}
    if len(names) >= 4 and b"from" in names and transported and expected != mt.HTML:
        return mt.EML
    return ""


def _by_suffix(head: bytes, expected: str) -> str:
    """A text that shows no kind: what its suffix says, unless that promises something binary."""
    if expected in _SHEETS:
        first = head.partition(b"\n")[0]
        return mt.TSV if b"\t" in first else mt.CSV
    return mt.PLAIN if expected in BINARY else expected or mt.PLAIN


def _unknown_binary(name: str, suffix: str, expected: str) -> LoadError:
    if expected:
        return LoadError(name, f"is damaged or not a {suffix} file: its first bytes are of no kind")
    return Unsupported(name, "is binary data of no known kind, not text")
