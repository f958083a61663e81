"""Code in Word documents: paragraphs all of whose runs are in type of one width."""

from __future__ import annotations

from typing import Any

from ingest.loaders.docx_cleaning import W, inherits, text_of
from ingest.loaders.encoding import normalise
from ingest.loaders.listings import ONE_WIDTH


def code_styles(styles: Any | None) -> frozenset[str]:
    """Ids of the styles that set type of one width, by themselves or by what they are based on."""
    own: dict[str, bool] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{W}style") if styles is not None else ():
        identity = style.get(f"{W}styleId", "")
        base = style.find(f"{W}basedOn")
        bases[identity] = base.get(f"{W}val", "") if base is not None else ""
        fonts = style.find(f"{W}rPr/{W}rFonts")
        if fonts is not None and (name := fonts.get(f"{W}ascii")):
            own[identity] = bool(ONE_WIDTH.search(name))
    return frozenset(identity for identity in bases if inherits(identity, own, bases))


def is_code(paragraph: Any, styles: frozenset[str]) -> bool:
    """Whether a paragraph has words, and all of them are in such type."""
    runs = [run for run in paragraph.iterfind(f"{W}r") if text_of(run).strip()]
    return bool(runs) and all(_one_width(run, styles) for run in runs)


def _one_width(run: Any, styles: frozenset[str]) -> bool:
    fonts = run.find(f"{W}rPr/{W}rFonts")
    if fonts is not None and (name := fonts.get(f"{W}ascii")):
        return bool(ONE_WIDTH.search(name))
    named = (run.find(f"{W}rPr/{W}rStyle"), run.getparent().find(f"{W}pPr/{W}pStyle"))
    return any(one is not None and one.get(f"{W}val") in styles for one in named)


def code_text(paragraph: Any) -> str:
    """The lines of a paragraph with their blanks."""
    return normalise(text_of(paragraph)).replace("\xa0", " ")
