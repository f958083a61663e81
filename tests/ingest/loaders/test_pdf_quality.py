"""What counts as garbled, and what a document says of its pages."""

from __future__ import annotations

import pytest

from ingest.documents import Scalar
from ingest.loaders.pdf_quality import garbled_share, summary
from ingest.loaders.pdf_text import PageText

from .pdf_builders import PROSE


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("plain words, 数字 и слова", 0.0),
        ("four\ufffdmarks\ue001", 0.1818),
        ("a hyphen\x02ated word and a soft\xadhyphen", 0.0),
    ],
)
def test_share_of_characters_without_meaning(text: str, share: float) -> None:
    assert garbled_share(text) == share


def test_words_without_vowels_are_gibberish() -> None:
    """What a font with a wrong table of characters gives: each letter is another one."""
    assert garbled_share(PROSE) == 0.0
    assert garbled_share(PROSE.translate(str.maketrans("aeiouy", "bcdfgh"))) == 1.0


def page(**facts: Scalar) -> PageText:
    return PageText(1, [], dict(facts))


def test_summary_of_pages() -> None:
    pages = [
        page(characters=90, garbled_share=0.1),
        page(characters=10, ocr=True, ocr_confidence=0.9),
        page(characters=0, ocr_left=True),
    ]
    assert summary(pages) == {
        "pages_ocr": 1,
        "pages_empty": 1,
        "ocr_pages_left": 1,
        "garbled_share": 0.09,
        "ocr_confidence": 0.9,
    }
    assert summary([page(characters=5)]) == {}
