from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.documents import Document, Page
from ingest.errors import BadRequest
from qa.passages import passage_of, passages_of
from qa.turn import Citation

LINES = [f"Line {number} of the text." for number in range(1, 11)]
DOCUMENT = replace(Document.from_text("\n".join(LINES), uri="a.txt"), first_line=1)
QUOTE = LINES[4]
START = DOCUMENT.text.index(QUOTE)
CITED = Citation(2, "a.txt", None, START, START + len(QUOTE), QUOTE, True)


def test_a_passage_has_its_line_and_what_stands_around_it() -> None:
    passage = passage_of(CITED, DOCUMENT)
    assert (passage.line, passage.page, passage.moved) == (5, None, False)
    assert passage.before.split("\n")[:-1] == LINES[1:4]
    assert passage.quote == QUOTE
    assert passage.after.split("\n")[1:] == LINES[5:8]


def test_at_the_ends_of_a_document_there_is_less() -> None:
    whole = replace(CITED, start=0, end=len(DOCUMENT.text), quote=DOCUMENT.text)
    passage = passage_of(whole, DOCUMENT)
    assert (passage.before, passage.after, passage.line) == ("", "", 1)


def test_long_lines_are_cut() -> None:
    document = Document.from_text(f"{'x' * 2000}{QUOTE}{'y' * 2000}", uri="a.txt")
    passage = passage_of(replace(CITED, start=2000, end=2000 + len(QUOTE)), document)
    assert passage.line is None
    assert passage.before.startswith("...x")
    assert passage.after.endswith("y...")
    assert len(passage.before) < 500


def test_a_quote_that_has_moved_is_shown_where_it_stands_now() -> None:
    text = f"A new beginning.\n{DOCUMENT.text}\n{QUOTE}"
    changed = replace(DOCUMENT, text=text, pages=(Page(1, 0, 17), Page(2, 17, len(text))))
    passage = passage_of(CITED, changed)
    assert passage.moved
    assert passage.line == 6  # the nearer of the two
    assert passage.page == 2
    assert changed.text[passage.start : passage.end] == QUOTE


def test_a_quote_that_is_gone_is_told() -> None:
    changed = Document.from_text("Something else.", uri="a.txt")
    with pytest.raises(BadRequest, match=r"'a\.txt' has changed .* \"Line 5 of the text"):
        passage_of(CITED, changed)


def test_all_quotes_of_a_number_are_shown() -> None:
    cited = [CITED, replace(CITED, start=0, end=15, quote=LINES[0][:15]), replace(CITED, number=1)]
    assert len(passages_of(2, cited, lambda uri: DOCUMENT)) == 2
    with pytest.raises(BadRequest, match="no citation 3: it has 1, 2"):
        passages_of(3, cited, lambda uri: DOCUMENT)
    with pytest.raises(BadRequest, match="no citation 1: it cites nothing"):
        passages_of(1, [], lambda uri: DOCUMENT)
