"""MIME messages taken apart without recursion: 10,000 nested mails cost no more than their bytes.

The standard library's parser descends into attached messages, each level a generator in a
generator. Here only the headers are its work; bodies are cut at their boundaries, one level of
attached message at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import collapse_rfc2231_value

from ingest.loaders.encoding import NotText, decode, normalise

MAX_PARTS = 2_000
_HEADER_LIMIT = 1_000_000  # bytes
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*\?=)\s+(?==\?)")
_UUENCODED = re.compile(
    rb"^begin [0-7]{3,4} ([^\r\n]+)\r?\n(?:[ -`]{0,90}\r?\n)*end[ \t]*\r?$", re.M
)
_HEADER = re.compile(rb"[!-9;-~]{1,100}:")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message: its headers, and its body as it is written in the file."""

    headers: Message
    body: bytes

    @property
    def kind(self) -> str:
        """`text/plain`, in lower case."""
        return self.headers.get_content_type()

    @property
    def disposition(self) -> str:
        """`attachment`, `inline` or ""."""
        return str(self.headers.get_content_disposition() or "")

    @property
    def file_name(self) -> str:
        """The name that the sender gave, without folders and control characters; may be ""."""
        raw = self.headers.get_param("filename", None, "content-disposition")
        raw = raw if raw is not None else self.headers.get_param("name")
        return safe_name(decoded_words(collapse_rfc2231_value(raw))) if raw else ""

    def header(self, name: str) -> str:
        """A header as people read it, on one line; "" where it is missing."""
        found = (value for key, value in self.headers.raw_items() if key.lower() == name)
        return decoded_words(str(next(found, "")))

    def data(self) -> bytes:
        """The body decoded from base64, quoted-printable or uuencode, damaged or not."""
        encoding = str(self.headers.get("content-transfer-encoding", "")).strip().lower()
        if encoding not in ("base64", "quoted-printable", "x-uuencode", "uuencode", "uue", "x-uue"):
            return self.body
        carrier = Message()
        carrier["content-transfer-encoding"] = encoding
        carrier.set_payload(self.body.decode("ascii", "surrogateescape"))
        decoded = carrier.get_payload(decode=True)
        return decoded if isinstance(decoded, bytes) else self.body

    def text(self) -> str:
        """The body as text; "" where it is none."""
        charset = self.headers.get_param("charset")
        declared = collapse_rfc2231_value(charset) if charset else None
        try:
            return decode(self.data(), declared=declared).text
        except NotText:
            return ""


def parse_message(data: bytes) -> Part:
    """A message's headers and body."""
    data = data.lstrip(b"\r\n \t\xef\xbb\xbf")
    if data.startswith(b"From "):  # the line that mbox puts in front
        data = data.partition(b"\n")[2]
    return _part(data)


def children(part: Part) -> list[Part]:
    """The parts directly inside a multipart; [] for any other part."""
    boundary = part.headers.get_boundary()
    if not part.kind.startswith("multipart/") or not boundary:
        return []
    return [_part(piece) for piece in _pieces(part.body, boundary)][:MAX_PARTS]


def uuencoded_files(part: Part) -> tuple[Part, list[Part]]:
    """A text without the files that mail programs of old wrote into it, and those files."""
    blocks = list(_UUENCODED.finditer(part.body))[:MAX_PARTS] if b"begin " in part.body else []
    files: list[Part] = []
    for block in blocks:
        headers = Message()
        headers["content-type"] = "application/octet-stream"
        name = block[1].decode("ascii", "surrogateescape").replace('"', "")
        headers["content-disposition"] = f'attachment; filename="{name}"'
        headers["content-transfer-encoding"] = "x-uuencode"
        files.append(Part(headers, block[0] + b"\n"))
    return (replace(part, body=_UUENCODED.sub(b"", part.body)) if files else part), files


def decoded_words(value: str) -> str:
    """A header's text: encoded words decoded, raw bytes too, on one line."""
    value = _BETWEEN.sub(r"\1", " ".join(value.split()))
    raw = value.encode("utf-8", "surrogateescape")
    if not raw.isascii():
        value = _text_of(raw, None)
    words: list[tuple[str, bytes | str]] = []  # (charset, bytes), ("", text)
    place = 0
    for match in _WORD.finditer(value):
        if match.start() > place:
            words.append(("", value[place : match.start()]))
        charset, content = match[1].partition("*")[0].lower(), _word(match)
        if words and words[-1][0] == charset and isinstance(before := words[-1][1], bytes):
            words[-1] = (charset, before + content)  # a character may be cut in two
        else:
            words.append((charset, content))
        place = match.end()
    words.append(("", value[place:]))
    texts = (_text_of(w, charset) if isinstance(w, bytes) else w for charset, w in words)
    return " ".join(normalise("".join(texts)).split())


def safe_name(name: str) -> str:
    """The last part of a path, as a file name that cannot lead anywhere."""
    name = " ".join(normalise(name).replace("\\", "/").rstrip("/").rpartition("/")[2].split())
    return name[-120:].strip(". ") if name.strip(". ") else ""


def _word(match: re.Match[str]) -> bytes:
    carrier = Message()
    coding = "base64" if match[2] in "bB" else "quoted-printable"
    carrier["content-transfer-encoding"] = coding
    content = match[3] if coding == "base64" else match[3].replace("_", " ")
    carrier.set_payload(content)
    decoded = carrier.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _text_of(raw: bytes, charset: str | None) -> str:
    try:
        return decode(raw, declared=charset).text
    except NotText:
        return raw.decode("utf-8", "replace")


def _part(data: bytes) -> Part:
    """Headers end at the first empty line; without a header at the top all of it is body."""
    if not _HEADER.match(data):
        return Part(Message(), data.removeprefix(b"\r").removeprefix(b"\n"))
    end = re.compile(rb"\r?\n\r?\n|\r\r").search(data, 0, _HEADER_LIMIT)
    head, body = (data[: end.start()], data[end.end() :]) if end else (data, b"")
    return Part(BytesHeaderParser(policy=compat32).parsebytes(head + b"\n\n"), body)


def _pieces(body: bytes, boundary: str) -> Iterator[bytes]:
    """What stands between the boundary lines; an end that was cut off counts as an end."""
    mark = re.escape(boundary.encode("ascii", "surrogateescape"))
    line = re.compile(rb"(?:^|\r?\n|\r)--" + mark + rb"(--)?[ \t]*(?=\r|\n|\Z)")
    start: int | None = None
    for found in line.finditer(body):
        if start is not None:
            yield _without_break(body[start : found.start()])
        if found[1]:
            return
        start = found.end()
    if start is not None:
        yield _without_break(body[start:])


def _without_break(piece: bytes) -> bytes:
    return piece[2:] if piece.startswith(b"\r\n") else piece[1:]
