"""The files that a PDF carries: attachments, and the members of a portfolio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pypdfium2

from ingest.errors import LoadError
from ingest.loaders.pdf import locked, open_pdf
from ingest.loaders.registry import Member, Source

MAX_ATTACHMENTS = 1_000


def unpack_pdf(source: Source) -> Iterator[Member]:
    """Each attachment; a name is a name, whatever path it claims to be.

    A PDF that cannot be opened has none: its loader says why.
    """
    try:
        with locked(), closing(open_pdf(source)) as pdf:
            members = list(_members(pdf))
    except LoadError:
        return
    yield from members


def _members(pdf: pypdfium2.PdfDocument) -> Iterator[Member]:
    names: set[str] = set()
    count = pdf.count_attachments()
    for index in range(min(count, MAX_ATTACHMENTS)):
        attachment = pdf.get_attachment(index)
        name = _free_name(_name(attachment) or f"attachment-{index + 1}", names)
        try:
            yield Member(name, bytes(attachment.get_data()))
        except pypdfium2.PdfiumError:
            yield Member(name, reason="attachment cannot be read")
    if count > MAX_ATTACHMENTS:
        yield Member("", reason=f"has {count:,} attachments, {MAX_ATTACHMENTS:,} are read")


def _name(attachment: pypdfium2.PdfAttachment) -> str:
    try:
        name = str(attachment.get_name())
    except pypdfium2.PdfiumError:
        return ""
    name = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return "".join(letter for letter in name if letter.isprintable()).strip(" .")


def _free_name(name: str, names: set[str]) -> str:
    """The name, numbered where another attachment has it."""
    free, number = name, 1
    while free in names:
        number += 1
        stem, dot, suffix = name.rpartition(".")
        free = f"{stem or suffix}-{number}{dot if stem else ''}{suffix if stem else ''}"
    names.add(free)
    return free
