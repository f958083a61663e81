from __future__ import annotations

from dataclasses import replace

from ingest.documents import Chunk, Document, Section
from retrieval.widening import section_around


def test_the_parent_is_the_innermost_section_that_holds_more() -> None:
    text = "a" * 10 + "\n" + "b" * 10 + "\n" + "c" * 10
    sections = (Section("A", 1, 0, 32), Section("B", 2, 11, 32), Section("C", 3, 11, 21))
    document = replace(Document.from_text(text, uri="a"), sections=sections)
    chunk = Chunk(document.id, "a", "", 11, 21, text[11:21])
    parent = section_around(document, chunk)
    assert (parent.start, parent.end, parent.text) == (11, 32, text[11:32])
    assert section_around(replace(document, sections=()), chunk) == chunk
