"""The XML of a part of a .docx file made plain: its visible text once, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

from lxml import etree

from ingest.loaders.encoding import normalise
from ingest.loaders.equations import office_equation, raised, spaced
from ingest.loaders.symbols import has_symbols, symbol, with_symbols

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_WRAPPERS = "sdt sdtContent ins moveTo smartTag customXml hyperlink fldSimple"
_DROPPED = (
    "del moveFrom sdtPr sdtEndPr customXmlPr smartTagPr headerReference footerReference drawing"
    " pict object rt instrText delText footnoteRef endnoteRef annotationRef commentReference"
    " footnoteReference endnoteReference sectPrChange pPrChange rPrChange tblPrChange"
)
_CODE = re.compile(r"[0-9a-fA-F]{1,5}\Z")
_TABS = (f"{W}tab", f"{W}ptab")
PAGE_BREAK = "\f"  # which no XML can contain
BREAK = f"{W}lastRenderedPageBreak"


def text_of(element: Any) -> str:
    """The text of a paragraph or run: tabs and line breaks are characters."""
    return "".join(text for text in texts_of(element) if text != PAGE_BREAK)


def texts_of(element: Any) -> Iterator[str]:
    """The parts of a text, and PAGE_BREAK where a page ended."""
    for node in element.iter():
        if node.tag == f"{W}t":
            yield node.text or ""
        elif node.tag in _TABS and node.getparent().tag == f"{W}r":
            yield "\t"
        elif node.tag in (f"{W}br", f"{W}cr"):
            yield "\n"
        elif node.tag == f"{W}noBreakHyphen":
            yield "-"
        elif node.tag == BREAK:
            yield PAGE_BREAK


def flat_lines(text: str) -> str:
    """Lines without blanks at their ends, no empty lines, one space where there were several."""
    lines = (" ".join(line.split()) for line in normalise(text).split("\n"))
    return "\n".join(line for line in lines if line)


def page_breaks(element: Any) -> tuple[int, int]:
    """Page breaks before the first character of an element, and after it."""
    before = after = 0
    seen = False
    for node in element.iter(BREAK, f"{W}t"):
        if node.tag == BREAK:
            before, after = (before, after + 1) if seen else (before + 1, after)
        else:
            seen = seen or bool((node.text or "").strip())
    return (before, after) if seen else (0, before)


def clean(document: Any, hidden: frozenset[str]) -> None:
    """The root of a part: its visible text once, each paragraph beside the others."""
    _drop_contents(document)
    _drop_prompts(document)
    _unfold_alternatives(document)
    _lift_text_boxes(document)
    _drop_hidden(document, hidden)
    _spell_fields(document)
    _spell_symbols(document)
    _spell_equations(document)
    etree.strip_elements(document, *(W + name for name in _DROPPED.split()), with_tail=False)
    etree.strip_tags(document, *(W + name for name in _WRAPPERS.split()))
    _mark_superscripts(document)


def _drop_contents(document: Any) -> None:
    """A generated table of contents says everything twice."""
    for gallery in list(document.iter(f"{W}docPartGallery")):
        control = next(gallery.iterancestors(f"{W}sdt"), None)
        if gallery.get(f"{W}val") == "Table of Contents" and control is not None:
            control.getparent().remove(control)


def _drop_prompts(document: Any) -> None:
    """A control that nobody has filled in shows what to do: Click here to enter text."""
    for prompt in list(document.iter(f"{W}showingPlcHdr")):
        control = next(prompt.iterancestors(f"{W}sdt"), None)
        for run in list(control.iter(f"{W}r")) if control is not None and _is_on(prompt) else ():
            run.getparent().remove(run)


def _unfold_alternatives(document: Any) -> None:
    """mc:AlternateContent holds the same thing twice: keep the first form."""
    etree.strip_elements(document, f"{COMPATIBILITY}Fallback", with_tail=False)
    etree.strip_tags(document, f"{COMPATIBILITY}AlternateContent", f"{COMPATIBILITY}Choice")


def _lift_text_boxes(document: Any) -> None:
    """The paragraphs of a text box go behind the paragraph that it hangs on."""
    for box in reversed(list(document.iter(f"{W}txbxContent"))):
        anchor = next(box.iterancestors(f"{W}p"), None)
        if anchor is None:
            continue
        for block in reversed([child for child in box if child.tag in (f"{W}p", f"{W}tbl")]):
            anchor.addnext(block)


def hidden_styles(styles: Any | None) -> frozenset[str]:
    """Ids of the styles whose text is not shown."""

    def is_hidden(style: Any) -> bool | None:
        vanish = style.find(f"{W}rPr/{W}vanish")
        return None if vanish is None else _is_on(vanish)

    return styles_that(styles, is_hidden)


def styles_that(styles: Any | None, says: Callable[[Any], bool | None]) -> frozenset[str]:
    """Ids of the styles of which `says` holds, of themselves or, where it is None, of the nearest
    one that they are based on."""
    own: dict[str, bool | None] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{W}style") if styles is not None else ():
        identity = style.get(f"{W}styleId", "")
        own[identity], bases[identity] = says(style), _value(style.find(f"{W}basedOn"))

    def holds(identity: str) -> bool:
        for _ in range(20):  # styles may be based on each other in a circle
            if own.get(identity) is not None or identity not in bases:
                break
            identity = bases[identity]
        return bool(own.get(identity))

    return frozenset(filter(holds, own))


def _drop_hidden(document: Any, hidden: frozenset[str]) -> None:
    """Hidden text and rows of tables: no reader sees them."""
    for mark in list(document.iter(f"{W}hidden")):
        row = next(mark.iterancestors(f"{W}tr"), None)
        if _is_on(mark) and row is not None and mark.getparent().tag == f"{W}trPr":
            row.getparent().remove(row)
    if not hidden and next(document.iter(f"{W}vanish"), None) is None:
        return
    for run in list(document.iter(f"{W}r")):
        if _is_hidden(run, hidden):
            run.getparent().remove(run)


def _is_hidden(run: Any, hidden: frozenset[str]) -> bool:
    own = run.find(f"{W}rPr/{W}vanish")
    if own is not None:
        return _is_on(own)
    paragraph = next(run.iterancestors(f"{W}p"), None)
    styles = [run.find(f"{W}rPr/{W}rStyle")]
    if paragraph is not None:
        styles.append(paragraph.find(f"{W}pPr/{W}pStyle"))
    return any(_value(style) in hidden for style in styles)


def _is_on(switch: Any) -> bool:
    return switch.get(f"{W}val", "true") not in ("0", "false", "off")


def _value(element: Any | None) -> str:
    return element.get(f"{W}val", "") if element is not None else ""


def _spell_fields(document: Any) -> None:
    """What stands in a form: the entry that was chosen from a list, boxes that are ticked."""
    for data in list(document.iter(f"{W}ffData")):
        choice, box = data.find(f"{W}ddList"), data.find(f"{W}checkBox")
        said = ""
        if choice is not None:
            chosen = _value(choice.find(f"{W}result")) or _value(choice.find(f"{W}default")) or "0"
            entries = [_value(entry) for entry in choice.iterfind(f"{W}listEntry")]
            said = dict(zip(map(str, range(len(entries))), entries, strict=True)).get(chosen, "")
        elif box is not None:
            state = box.find(f"{W}checked")
            state = box.find(f"{W}default") if state is None else state
            said = "☒" if state is not None and _is_on(state) else "☐"
        run = next(data.iterancestors(f"{W}r"), None)
        if said and run is not None:
            etree.SubElement(run, f"{W}t").text = said


def _spell_symbols(document: Any) -> None:
    """The characters of symbol fonts, by their meaning."""
    for node in list(document.iter(f"{W}sym")):
        code = node.get(f"{W}char", "")
        node.text = symbol(node.get(f"{W}font", ""), int(code, 16) if _CODE.match(code) else 0)
        node.tag = f"{W}t"
    for node in document.iter(f"{W}t"):
        if has_symbols(node.text or ""):
            fonts = node.getparent().find(f"{W}rPr/{W}rFonts")
            font = fonts.get(f"{W}ascii", "") if fonts is not None else ""
            node.text = with_symbols(node.text, font)


def _spell_equations(document: Any) -> None:
    """An equation becomes a run of its symbols."""
    for tag in (f"{_MATH}oMathPara", f"{_MATH}oMath"):
        for equation in list(document.iter(tag)):
            parent = equation.getparent()
            if parent is None:
                continue
            run = etree.Element(f"{W}r")
            text = etree.SubElement(run, f"{W}t")
            text.text = spaced(
                _words(equation.getprevious()), _spelled(equation), _words(equation.getnext())
            )
            run.tail = equation.tail
            parent.replace(equation, run)


def _spelled(equation: Any) -> str:
    lines = equation.findall(f"{_MATH}oMath") or [equation]
    return " ".join(office_equation(line) for line in lines)


def _words(element: Any | None) -> str:
    return text_of(element) if element is not None else ""


def _mark_superscripts(document: Any) -> None:
    """A superscript behind a digit is told from it: 10^6 is not 106."""
    for run in list(document.iter(f"{W}r")):
        before = next(run.itersiblings(f"{W}r", preceding=True), None)
        if not _is_raised(run) or before is None or _is_raised(before):
            continue
        following = takewhile(_is_raised, run.itersiblings(f"{W}r"))
        texts = map(text_of, (run, *following))
        first = run.find(f"{W}t")
        if first is not None:
            first.text = raised(text_of(before), "".join(texts)) + (first.text or "")


def _is_raised(element: Any) -> bool:
    place = element.find(f"{W}rPr/{W}vertAlign")
    return place is not None and place.get(f"{W}val") == "superscript"


def mark_page_breaks(document: Any) -> None:
    """Word records where pages ended when it last drew them; other writers only ask for breaks."""
    if next(document.iter(BREAK), None) is not None:
        return
    for line_break in list(document.iter(f"{W}br")):
        if line_break.get(f"{W}type") == "page":
            line_break.addnext(etree.Element(BREAK))
            line_break.getparent().remove(line_break)
