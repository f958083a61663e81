from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.documents import Document, Mark, Page, Section
from qa.insertions import inserted

TEXT = "# One\n\nA ![](a.png) picture.\n\n# Two\n\n| a |\n| --- |\n\nEnd."
TWO, TABLE, TABLE_END = TEXT.index("# Two"), TEXT.index("| a |"), TEXT.index("\n\nEnd")
DOCUMENT = Document(
    "a.docx",
    "0" * 64,
    TEXT,
    pages=(Page(1, 0, TWO), Page(2, TWO, len(TEXT))),
    sections=(Section("One", 1, 0, TWO), Section("Two", 1, TWO, len(TEXT))),
    marks=(Mark("image", 9, 20, "a.png"), Mark("table", TABLE, TABLE_END)),
)


def test_a_description_belongs_to_its_page_and_section() -> None:
    document = inserted(DOCUMENT, [(TWO, "[A cat]\n\n", "a.png described")])
    first, second = document.pages
    assert document.text[first.start : first.end].endswith("picture.\n\n[A cat]\n\n")
    assert document.text[second.start :].startswith("# Two")
    assert [(s.start, s.end) for s in document.sections] == [
        (page.start, page.end) for page in document.pages
    ]
    mark = document.marks[1]
    assert document.text[mark.start : mark.end] == "[A cat]\n\n"
    assert (mark.kind, mark.label) == ("image", "a.png described")


def test_a_description_after_a_table_is_not_in_it() -> None:
    document = inserted(DOCUMENT, [(TABLE_END, "\n\n[A cat]", "x")])
    table = next(mark for mark in document.marks if mark.kind == "table")
    assert document.text[table.start : table.end] == "| a |\n| --- |"


def test_nothing_changes_without_additions() -> None:
    assert inserted(DOCUMENT, []) == DOCUMENT


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.text(min_size=1, max_size=9)), max_size=6))
def test_what_was_there_stays_where_it_was(additions: list[tuple[int, str]]) -> None:
    document = inserted(DOCUMENT, [(at, text, "new") for at, text in additions])
    new = [mark for mark in document.marks if mark.label == "new"]
    assert sorted(document.text[m.start : m.end] for m in new) == sorted(t for _, t in additions)
    added = {at for mark in new for at in range(mark.start, mark.end)}

    def without(start: int, end: int) -> str:
        return "".join(document.text[at] for at in range(start, end) if at not in added)

    assert without(0, len(document.text)) == TEXT
    old = [mark for mark in document.marks if mark.label != "new"]
    before = spans_of(DOCUMENT, DOCUMENT.marks)
    assert [without(*span) for span in spans_of(document, old)] == [
        TEXT[slice(*span)] for span in before
    ]


def spans_of(document: Document, marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Where pages, sections and marks stand."""
    pages = [(page.start, page.end) for page in document.pages]
    sections = [(section.start, section.end) for section in document.sections]
    return [*pages, *sections, *((mark.start, mark.end) for mark in marks)]
