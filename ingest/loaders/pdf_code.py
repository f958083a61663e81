"""Code in a PDF: lines in type of one width get their indentation and their blanks back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.loaders.pdf_pieces import HYPHENS
from ingest.loaders.pdf_text import PageText, Passage

_SAME = 0.015  # of the width of a letter; words of other type differ by a fifth
_SURE = 3  # different words of letters that are all as wide as long
_MOST = 0.9  # of a text in such type: a typewriter wrote it, and none of it is code
_MAX_INDENT = 200  # letters

Words = Sequence[tuple[float, float, str]]


def set_code(pages: Sequence[PageText]) -> None:
    """Mark the passages that are lines of code, and set their text as it was typed."""
    typeset = (page for page in pages if not page.quality.keys() & {"ocr", "ocr_layer"})
    found = [run for page in typeset for run in _runs(page.passages)]
    typed = sum(len(passage.text) for run, _ in found for passage in run)
    if typed > _MOST * sum(len(passage.text) for page in pages for passage in page.passages):
        return
    for run, pitch in found:
        margin = min(passage.line.left for passage in run)
        for passage in run:
            passage.text = _typed(passage.line.words, margin, pitch)
            passage.code = True


def _runs(passages: Sequence[Passage]) -> Iterator[tuple[list[Passage], float]]:
    """Lines of code that follow each other, and the width of a letter in them."""
    run: list[Passage] = []
    pitch = 0.0
    for passage in passages:
        width = _letter(passage)
        below = bool(run) and run[-1].line.top < passage.line.top
        if not (below and width and _same(width, pitch)):
            if _is_code(run):
                yield run, pitch
            run, pitch = [], width
        if width:
            run.append(passage)
    if _is_code(run):
        yield run, pitch


def _letter(passage: Passage) -> float:
    """The width of every letter in a line; 0 where they differ, as they do in most type."""
    line, pitch = passage.line, 0.0
    for left, right, word in line.words:
        if word.isascii():
            width = (right - left) / len(word)
            pitch = pitch or width
            if not _same(width, pitch):
                return 0.0
    if passage.level or passage.kind or line.turned or "```" in line.text:
        return 0.0
    return pitch if passage.text == " ".join(line.text.split()) else 0.0


def _same(width: float, pitch: float) -> bool:
    return abs(width - pitch) <= _SAME * pitch


def _is_code(run: Sequence[Passage]) -> bool:
    words = (word for passage in run for *_, word in passage.line.words)
    told = {word for word in words if word.isascii() and sum(map(str.isalpha, word)) >= _SURE}
    return len(run) > 1 and len(told) >= _SURE


def _typed(words: Words, margin: float, pitch: float) -> str:
    text = ""
    for left, _, word in words:
        column = min(round((left - margin) / pitch), len(text) + _MAX_INDENT)
        blanks = max(column - len(text), 1 if text else 0)
        text += " " * blanks + word.translate(_HYPHEN)
    return text


_HYPHEN = str.maketrans(dict.fromkeys(HYPHENS, "-"))
