"""Code in Word documents: paragraphs all of whose runs are in type of one width."""

from __future__ import annotations

from typing import Any

from ingest.loaders.docx_cleaning import W, styles_that, text_of
from ingest.loaders.encoding import normalise
from ingest.loaders.listings import ONE_WIDTH


def code_styles(styles: Any | None) -> frozenset[str]:
    """Ids of the styles that set type of one width."""
    return styles_that(styles, _sets_one_width)


def is_code(paragraph: Any, styles: frozenset[str]) -> bool:
    """Whether a paragraph has words, and all of them are in such type."""
    runs = [run for run in paragraph.iterfind(f"{W}r") if text_of(run).strip()]
    return bool(runs) and all(_one_width(run, styles) for run in runs)


def _one_width(run: Any, styles: frozenset[str]) -> bool:
    said = _sets_one_width(run)
    if said is not None:
        return said
    named = (run.find(f"{W}rPr/{W}rStyle"), run.getparent().find(f"{W}pPr/{W}pStyle"))
    return any(one is not None and one.get(f"{W}val") in styles for one in named)


def _sets_one_width(element: Any) -> bool | None:
    """Whether a style or a run sets type of one width; None where it names no type."""
    fonts = element.find(f"{W}rPr/{W}rFonts")
    name = fonts.get(f"{W}ascii") if fonts is not None else None
    return bool(ONE_WIDTH.search(name)) if name else None


def code_text(paragraph: Any) -> str:
    """The lines of a paragraph with their blanks."""
    return normalise(text_of(paragraph)).replace("\xa0", " ")
