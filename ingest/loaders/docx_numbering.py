"""The numbers before list items and headings in Word, which their text does not hold."""

from __future__ import annotations

from typing import Any

from ingest.loaders.docx_cleaning import W

_MAX_LEVEL = 9
_DIGITS = "〇一二三四五六七八九"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
          (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


class Numbering:
    """Counts as Word does. `label` is to be called once for each numbered paragraph, in order."""

    def __init__(self, numbering: Any | None, styles: Any | None) -> None:
        abstract: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, list[int]] = {}
        self._styles = dict(_numbered_styles(styles))
        for element in numbering.iter(f"{W}abstractNum") if numbering is not None else ():
            abstract[_value(element, "abstractNumId", own=True)] = dict(_levels(element))
        for element in numbering.iter(f"{W}num") if numbering is not None else ():
            identity = _value(element, "numId", own=True)
            self._abstract[identity] = _value(element, "abstractNumId")
            levels = dict(abstract.get(self._abstract[identity], {}))
            for override in element.iter(f"{W}lvlOverride"):
                levels.update(_levels(override))
            self._levels[identity] = levels

    def label(self, paragraph: Any) -> tuple[str, int]:
        """(label, depth): `2.1.`, `a)`, `-` for a bullet, "" for what is no item."""
        identity, depth = self._place(paragraph)
        if not identity or identity == "0":
            return "", 0
        levels = self._levels.get(identity, {})
        kind, pattern, _ = levels.get(depth, ("bullet", "", 1))
        counts = self._counts.setdefault(self._abstract.get(identity, identity), [])
        while len(counts) <= depth:
            counts.append(levels.get(len(counts), ("", "", 1))[2] - 1)
        del counts[depth + 1 :]
        counts[depth] += 1
        if kind in ("bullet", "none", ""):
            return ("-" if kind == "bullet" else ""), depth
        for number in range(depth + 1):
            shown = _shown(counts[number], levels.get(number, ("decimal", "", 1))[0])
            pattern = pattern.replace(f"%{number + 1}", shown)
        return " ".join(pattern.split()) or "-", depth

    def _place(self, paragraph: Any) -> tuple[str, int]:
        properties = paragraph.find(f"{W}pPr")
        if properties is None:
            return "", 0
        style = self._styles.get(_value(properties, "pStyle"), ("", 0))
        own = properties.find(f"{W}numPr")
        if own is None:
            return style
        depth = _value(own, "ilvl")
        level = int(depth) if depth.isdigit() else style[1]
        return _value(own, "numId") or style[0], min(level, _MAX_LEVEL - 1)


def _numbered_styles(styles: Any | None) -> dict[str, tuple[str, int]]:
    """(list, depth) by style id, inherited along `basedOn`."""
    own: dict[str, tuple[str, int]] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{W}style") if styles is not None else ():
        identity = _value(style, "styleId", own=True)
        bases[identity] = _value(style, "basedOn")
        place = style.find(f"{W}pPr/{W}numPr")
        if place is not None and _value(place, "numId"):
            depth = _value(place, "ilvl")
            own[identity] = (_value(place, "numId"), int(depth) if depth.isdigit() else 0)
    found = dict(own)
    for identity in bases:
        base = identity
        for _ in range(20):  # styles may be based on each other in a circle
            if base in own:
                found[identity] = own[base]
                break
            base = bases.get(base, "")
    return found


def _levels(element: Any) -> list[tuple[int, tuple[str, str, int]]]:
    """(depth, (kind of number, pattern, start)) of each level."""
    found = []
    for level in element.iter(f"{W}lvl"):
        depth, start = _value(level, "ilvl", own=True), _value(level, "start")
        if depth.isdigit() and int(depth) < _MAX_LEVEL:
            first = int(start) if start.isdigit() and len(start) < 7 else 1
            found.append((int(depth), (_value(level, "numFmt"), _value(level, "lvlText"), first)))
    return found


def _value(element: Any, name: str, *, own: bool = False) -> str:
    """An attribute of the element itself, or the value of its child `name`."""
    if own:
        return str(element.get(f"{W}{name}", ""))
    child = element.find(f"{W}{name}")
    return str(child.get(f"{W}val", "")) if child is not None else ""


def _shown(number: int, kind: str) -> str:
    if kind in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(97 + (number - 1) % 26) * min((number - 1) // 26 + 1, 10)
        return letters if kind == "lowerLetter" else letters.upper()
    if kind in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = _roman(number)
        return roman if kind == "lowerRoman" else roman.upper()
    if kind.startswith(("chinese", "japaneseCounting", "taiwanese", "ideograph")) and number < 100:
        return _chinese(number)
    return f"{number:02}" if kind == "decimalZero" else str(number)


def _roman(number: int) -> str:
    letters = ""
    for value, letter in _ROMAN:
        letters += letter * (number // value)
        number %= value
    return letters


def _chinese(number: int) -> str:
    tens, ones = divmod(max(number, 0), 10)
    if not tens:
        return _DIGITS[ones]
    return (_DIGITS[tens] if tens > 1 else "") + "十" + (_DIGITS[ones] if ones else "")
