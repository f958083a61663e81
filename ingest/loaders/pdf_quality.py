"""How well a page was read: garbled characters, density, and the summary of a document."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.documents import Scalar
from ingest.loaders.pdf_text import PageText

_GARBLED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
_HYPHEN_MARKS = re.compile("[\x02\xad\ufffe]")
_LATIN_WORD = re.compile(r"(?<![^\s\"'(])[A-Za-z]{4,}(?![^\s\"'),.;:?!])")
_VOWEL = re.compile("[aeiouyAEIOUY]")
_MIN_WORDS = 20
_WITHOUT_VOWELS = 0.5  # of the words of four letters; 2-4 % in English, more in tables of codes


def garbled_share(text: str) -> float:
    """Share of the characters that mean nothing: private use, replaced, control; 1.0 for gibberish.

    Gibberish is a text in Latin letters most of whose words have no vowel: its font's table of
    characters is wrong. Fonts of symbols keep theirs in the private use area: a few are normal.
    """
    words = _LATIN_WORD.findall(text)
    dumb = sum(1 for word in words if not _VOWEL.search(word))
    if len(words) >= _MIN_WORDS and dumb > _WITHOUT_VOWELS * len(words):
        return 1.0
    return meaningless_share(text)


def meaningless_share(text: str) -> float:
    """Share of private, replaced and control characters among those that are no blanks."""
    text = _HYPHEN_MARKS.sub("", text)
    letters = len(text) - sum(map(str.isspace, text))
    return round(len(_GARBLED.findall(text)) / letters, 4) if letters else 0.0


def summary(pages: Sequence[PageText]) -> dict[str, Scalar]:
    """The document's quality: only what is worth a word is in it."""
    facts = [page.quality for page in pages]
    characters = sum(int(fact.get("characters", 0)) for fact in facts)
    garbled = sum(
        float(fact.get("garbled_share", 0.0)) * int(fact.get("characters", 0)) for fact in facts
    )
    read = [float(fact["ocr_confidence"]) for fact in facts if fact.get("ocr_confidence")]
    counted: dict[str, Scalar] = {
        "images": sum(1 for page in pages if page.image),
        "pages_ocr": sum(1 for fact in facts if fact.get("ocr")),
        "pages_empty": sum(1 for fact in facts if not fact.get("characters")),
        "ocr_pages_left": sum(1 for fact in facts if fact.get("ocr_left")),
        "ocr_lines_left": sum(int(fact.get("ocr_lines_left", 0)) for fact in facts),
        "garbled_share": round(garbled / characters, 4) if characters else 0.0,
        "ocr_confidence": round(sum(read) / len(read), 4) if read else 0.0,
    }
    return {name: value for name, value in counted.items() if value}
