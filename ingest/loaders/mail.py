"""Mails: the text that was written is the document, what was attached are documents of their own.

unstructured and kreuzberg give no attachments, lose Chinese that is split across encoded words, and
kreuzberg starts OCR on attached pictures; so this is our own, on the standard library's headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from html import unescape

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.blocks import heading
from ingest.loaders.encoding import NotText, encoding_of, normalise
from ingest.loaders.mime import Part, children, parse_message, safe_name, uuencoded_files
from ingest.loaders.registry import Member, Source
from ingest.loaders.sections import sections_of

_SHOWN = ("From", "To", "Cc", "Date")
_PLAIN_ENOUGH = 0.9  # of the HTML's different words: the rest is the furniture of a newsletter
_KINDS = {"text/calendar": ".ics", "text/html": ".html", "text/plain": ".txt", "text/csv": ".csv",
          "message/rfc822": ".eml", "application/pdf": ".pdf", "image/png": ".png",
          "image/jpeg": ".jpg", "text/rfc822-headers": ".txt"}  # fmt: skip
_ENVELOPE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\n]*\n(?=[!-9;-~]{1,100}:|\r?\n)")
_UNQUOTE = re.compile(rb"^>(>*From )", re.M)
_REPORTS = ("message/delivery-status", "text/rfc822-headers", "message/disposition-notification")
_WRAPPERS = frozenset(
    f"application/{kind}"
    for kind in ("pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted")
)
_SECRET = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
_MAX_DEPTH = 20  # multiparts in multiparts; mail programs make 4
_UNSAFE = re.compile(r'[/\\:*?"<>|]+')
_TAG = re.compile(r"<[^<>]*>")
_SCRIPT = re.compile(r"<(style|script|head)\b[^<>]*>[^<]*(?:<(?!/\1)[^<]*)*</\1", re.I)
_REPEATED = re.compile(r"\n{3,}")
_WORDS = re.compile("[\u2e80-\u9fff\uac00-\ud7af]|[^\\W\u2e80-\u9fff\uac00-\ud7af]+")


def load_eml(source: Source) -> Document:
    """A mail: subject, sender, receivers, date and text; its attachments come by unpack_eml."""
    message = parse_message(_as_bytes(source.data))
    body = body_text(message, source)
    if not body.strip() and any(part.kind in _SECRET for part, _ in _pieces(message)):
        raise LoadError(source.uri, "is encrypted (S/MIME or PGP)")
    return mail_document(source, message_facts(message), body)


def unpack_eml(source: Source) -> Iterator[Member]:
    """What is attached to a mail, attached mails included."""
    message = parse_message(_as_bytes(source.data))
    names: set[str] = set()
    for number, (part, own) in enumerate(_pieces(message), 1):
        if own or part.kind in _WRAPPERS or part.kind.startswith("multipart/"):
            continue
        name = unique_name(part.file_name or _made_name(part, number), names)
        if part.kind == "application/ms-tnef" or name.lower() == "winmail.dat":
            reason = "is an Outlook TNEF package (winmail.dat), which is not supported"
            yield Member(name, reason=reason)
            continue
        data = part.data()
        if data.strip():
            yield Member(name, data, inline=_is_inline(part))


def unpack_mbox(source: Source) -> Iterator[Member]:
    """The mails of a mailbox, each as it was."""
    names: set[str] = set()
    starts = [match.start() for match in _ENVELOPE.finditer(source.data)] or [0]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
        raw = source.data[start:end]
        if raw.startswith(b"From "):
            raw = raw.partition(b"\n")[2]
        subject = parse_message(raw[:20_000]).header("subject")
        name = safe_name(_UNSAFE.sub(" ", subject)[:60])
        yield Member(
            unique_name(f"{number:05} {name}".strip() + ".eml", names), _UNQUOTE.sub(rb"\1", raw)
        )


def mail_document(source: Source, facts: dict[str, str], body: str) -> Document:
    """The document of a mail with these headers (Subject, From, To, Cc, Date) and this text."""
    subject = facts.get("Subject", "")
    shown = "\n".join(f"{name}: {facts[name]}" for name in _SHOWN if facts.get(name))
    parts = (heading(1, subject), shown, _tidy(body))
    text = "\n\n".join(part for part in parts if part)
    metadata: dict[str, Scalar] = {key.lower(): value for key, value in facts.items() if value}
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=" ".join(subject.split())[:300] or source.stem,
        media_type=source.media_type,
        sections=sections_of(text) if subject else (),
        metadata=metadata,
    )


def message_facts(message: Part) -> dict[str, str]:
    """The headers that people look for; dates as 2024-03-01 14:30 +0100."""
    facts = {name: message.header(name.lower()) for name in ("Subject", "From", "To", "Cc", "Date")}
    facts["Message-ID"] = message.header("message-id")
    facts["Date"] = _date(facts["Date"])
    return facts


def body_text(message: Part, source: Source) -> str:
    """What the mail says: each piece of its text that is no attachment."""
    texts = (part_text(part, source) for part, own in _pieces(message) if own)
    return "\n\n".join(text for text in texts if text)


def part_text(part: Part, source: Source) -> str:
    """The text of a part, HTML as Markdown-like text."""
    if part.kind == "text/html":
        return html_text(part.text(), source)
    return _unflowed(part) if _parameter(part, "format") == "flowed" else part.text()


def html_text(markup: str, source: Source) -> str:
    """HTML as our loader of pages renders it; "" where it says nothing."""
    from ingest.loaders.html import load_html

    page = Source(source.uri, markup.encode("utf-8", "replace"), "text/html", source.sha256)
    return load_html(page).text if markup.strip() else ""


def unique_name(name: str, taken: set[str]) -> str:
    """`name`, or `name (2)` where it is taken; remembers it."""
    stem, dot, suffix = name.rpartition(".")
    stem, dot, suffix = (stem, dot, suffix) if stem else (name, "", "")
    number, found = 1, name
    while found.lower() in taken:
        number += 1
        found = f"{stem} ({number}){dot}{suffix}"
    taken.add(found.lower())
    return found


def _as_bytes(data: bytes) -> bytes:
    """Mail is bytes; some programs save it as UTF-16."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]:
        try:
            encoding = encoding_of(data[:4096])
        except NotText:
            return data
        return data.decode(encoding, "replace").lstrip("\ufeff").encode()
    return data


def _pieces(part: Part, depth: int = 0) -> Iterator[tuple[Part, bool]]:
    """(part, whether it is the mail's own text) of all that the mail holds, in order."""
    inner = children(part) if depth < _MAX_DEPTH else []
    if not inner:
        text, files = uuencoded_files(part) if _is_body(part) else (part, [])
        yield text, _is_body(part)
        yield from ((file, False) for file in files)
        return
    chosen = _alternative(inner) if part.kind == "multipart/alternative" else None
    for number, child in enumerate(inner):
        for piece, own in _pieces(child, depth + 1):
            if chosen is None:
                yield piece, own and not (number and part.kind == "multipart/related")
            elif number == chosen or piece.kind not in ("text/plain", "text/html"):
                yield piece, own


def _is_body(part: Part) -> bool:
    if part.disposition == "attachment" or part.file_name:
        return False
    return part.kind in ("text/plain", "text/html", "text/enriched", *_REPORTS)


def _is_inline(part: Part) -> bool:
    """Whether the mail shows it within its text: programs that write HTML name it by its id."""
    named = bool(part.header("content-id")) and part.disposition != "attachment"
    return named or part.disposition == "inline"


def _alternative(parts: list[Part]) -> int:
    """The plain text, unless the part beside it that says most has words that it lacks."""
    texts = [_plain_text(part) for part in parts]
    longest = max(range(len(texts)), key=lambda number: len(texts[number]))
    plain = next((n for n, part in enumerate(parts) if part.kind == "text/plain"), longest)
    said = set(_WORDS.findall(texts[longest]))
    lacking = said.difference(_WORDS.findall(texts[plain]))
    return longest if len(lacking) > (1 - _PLAIN_ENOUGH) * len(said) else plain


def _plain_text(part: Part) -> str:
    """The text of a part, without markup and blanks in a row."""
    inner = children(part)
    if inner:
        return max(map(_plain_text, inner[:20]), key=len)
    if not _is_body(part):
        return ""
    text = part.text()
    if part.kind == "text/html":
        text = unescape(_TAG.sub(" ", _SCRIPT.sub(" ", text)))
    return " ".join(text.split())


def _made_name(part: Part, number: int) -> str:
    """A name for a part that has none: an attached mail is called like its subject."""
    suffix = _KINDS.get(part.kind, ".bin")
    if part.kind == "message/rfc822":
        subject = parse_message(part.data()[:20_000]).header("subject")
        if name := safe_name(_UNSAFE.sub(" ", subject)[:60]):
            return name + suffix
    return f"part-{number}{suffix}"


def _unflowed(part: Part) -> str:
    """RFC 3676: a line that ends in a blank goes on in the next one."""
    joint = "" if (_parameter(part, "delsp") or "").lower() == "yes" else " "
    lines: list[str] = []
    open_line, last = False, 0
    for raw in part.text().split("\n"):
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:].removeprefix(" ")
        soft = line.endswith(" ") and line != "-- "
        content = line[:-1] if soft else line
        if open_line and lines and depth == last:
            lines[-1] += joint + content
        else:
            lines.append(">" * depth + " " * bool(depth) + content)
        open_line, last = soft, depth
    return "\n".join(lines)


def _parameter(part: Part, name: str) -> str | None:
    value = part.headers.get_param(name)
    return str(value).strip().lower() if value else None


def _date(value: str) -> str:
    try:
        return parsedate_to_datetime(value).strftime("%Y-%m-%d %H:%M %z").strip()
    except (TypeError, ValueError, IndexError, OverflowError):
        return value


def _tidy(body: str) -> str:
    lines = "\n".join(line.rstrip() for line in normalise(body).split("\n"))
    return _REPEATED.sub("\n\n", lines).strip()
