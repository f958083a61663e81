from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from ingest.documents import Chunk, Document, Page, Section

TEXT = "0123456789"
DOCUMENT = replace(
    Document.from_text(TEXT, uri="a.txt"),
    pages=(Page(1, 0, 4), Page(2, 4, 4), Page(3, 5, 10)),
    sections=(Section("Top", 1, 1, 9), Section("Sub", 2, 3, 6), Section("Next", 2, 6, 9)),
)


@pytest.mark.parametrize(
    ("offset", "page"), [(0, 1), (3, 1), (4, 2), (5, 3), (9, 3), (10, 3), (99, 3)]
)
def test_page_at_borders(offset: int, page: int) -> None:
    assert DOCUMENT.page_at(offset) == page


def test_page_before_the_first_or_without_pages_is_none() -> None:
    assert replace(DOCUMENT, pages=(Page(1, 2, 9),)).page_at(1) is None
    assert replace(DOCUMENT, pages=()).page_at(0) is None


@pytest.mark.parametrize(
    ("offset", "heading"),
    [
        (0, ()),
        (1, ("Top",)),
        (2, ("Top",)),
        (3, ("Top", "Sub")),
        (5, ("Top", "Sub")),
        (6, ("Top", "Next")),
        (8, ("Top", "Next")),
        (9, ()),
    ],
)
def test_heading_at_borders(offset: int, heading: tuple[str, ...]) -> None:
    assert DOCUMENT.heading_at(offset) == heading


def test_the_version_of_a_text_covers_all_that_is_said() -> None:
    one = Document.from_text("text", uri="a", title="t", metadata={"k": 1, "l": 2})
    same = Document.from_text("text", uri="b", title="t", metadata={"l": 2, "k": 1})
    assert one.sha256 == same.sha256
    others = [
        Document.from_text("text2", uri="a", title="t", metadata={"k": 1, "l": 2}),
        Document.from_text("text", uri="a", title="t2", metadata={"k": 1, "l": 2}),
        Document.from_text("text", uri="a", title="t", metadata={"k": 1}),
        Document.from_text("text", uri="a", title="t", metadata={"k": "1", "l": 2}),
        Document.from_text("tex", uri="a", title="tt", metadata={"k": 1, "l": 2}),
        Document.from_text("text", uri="a", title="t", media_type="text/markdown"),
    ]
    assert len({one.sha256, *(other.sha256 for other in others)}) == 7


def test_lone_surrogates_become_question_marks() -> None:
    document = Document.from_text("a\ud800b😀", uri="a", title="\udcff")
    assert (document.text, document.title) == ("a?b😀", "?")


def test_the_id_holds_uri_and_version() -> None:
    assert DOCUMENT.id == f"a.txt@{DOCUMENT.sha256[:16]}"


def test_documents_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        DOCUMENT.text = ""  # type: ignore[misc]


@pytest.mark.parametrize(
    ("title", "heading", "header"),
    [
        ("", (), ""),
        ("Title", (), "Title"),
        ("", ("One", "Two"), "One > Two"),
        ("Title", ("One", "", "Two"), "Title > One > Two"),
        ("Title", ("Title", "Two"), "Title > Two"),
        ("Title", ("One", "Title"), "Title > One > Title"),
        ("Title", ("Title",), "Title"),
    ],
)
def test_the_header_is_title_and_headings(
    title: str, heading: tuple[str, ...], header: str
) -> None:
    chunk = Chunk("a@1", "a", title, 0, 4, "text", heading)
    assert chunk.header == header
    assert chunk.embedded_text == (f"{header}\ntext" if header else "text")
