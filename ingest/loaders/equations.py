"""Equations on one line: `1/2`, `10^6`, `(a+b)/c`, `x_1`, `sqrt(2)`.

The signs of an equation one behind the other say something else: 12 for a half, 106 for a million.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from selectolax.lexbor import LexborNode

from ingest.loaders.office_zip import local_name

_PLAIN, _COMPOSED, _FRACTION = 0, 1, 2
_Part = tuple[str, int]  # what a part says, and of which of these kinds it is

_ATOM = re.compile(
    r"\d+(?:[.,]\d+)*|\S|[^\W\d_]{3,}|[\u4e00-\u9fff]+|ln|lg"  # one number, sign or word
)
_EXPONENT = re.compile(r"[-−–+]?\d")
_SIMPLE_FRACTION = re.compile(r"\d+\s*[/⁄]\s*\d+")
_UNSEEN = str.maketrans({0x2061: "", 0x2062: "", 0x2063: "", 0x2064: " "})
_DEEPEST = 60  # levels; below them an equation is its signs
_LEFT_OUT = frozenset(("del", "moveFrom", "annotation", "annotation-xml", "mphantom", "none"))


def raised(before: str, text: str) -> str:
    """What separates the superscript `text` from what is `before` it.

    Only behind a digit, where 10 to the 6th would become 106 and 2 1/2 would become 21/2.
    """
    if not before[-1:].isdigit():
        return ""
    if _SIMPLE_FRACTION.fullmatch(text.strip()):
        return " "
    return "^" if _EXPONENT.match(text.strip()) else ""


def spaced(before: str, equation: str, after: str = "") -> str:
    """`equation` as it stands between two texts: digits on both sides stay two numbers."""
    if before[-1:].isdigit() and equation[:1].isdigit():
        equation = f" {equation}"
    if after[:1].isdigit() and equation[-1:].isdigit():
        equation += " "
    return equation


def office_equation(element: Any) -> str:
    """An equation of Office (`m:oMath` or anything in it) as text."""
    return _joined(_office_parts(element, 0))


def mathml(node: LexborNode) -> str:
    """The MathML below a `<math>` as text."""
    return " ".join(_joined(_math_parts(_children(node), 0)).split())


# How parts are put together


def _joined(parts: Iterable[_Part]) -> str:
    """The parts in a row; a space where two would be read as one number or name."""
    text, last = "", _PLAIN
    for part, kind in parts:
        if not part:
            continue
        before, first = text[-1:], part[0]
        apart = before.isalnum() and first.isalnum()
        digits = before.isdigit() and first.isdigit()
        if apart and (last or kind == _FRACTION or (kind and digits)):
            text += " "
        text += part
        last = kind
    return text


def _grouped(text: str) -> str:
    """`text` in brackets where it is more than a number, a sign or a word."""
    return text if _ATOM.fullmatch(text) or _is_bracketed(text) else f"({text})"


def _is_bracketed(text: str) -> bool:
    """True for `(a+b)`, not for `(a)+(b)`."""
    depths = accumulate((char == "(") - (char == ")") for char in text)
    return text[:1] == "(" and next((n for n, d in enumerate(depths, 1) if not d), 0) == len(text)


def _fraction(above: str, below: str) -> _Part:
    if not above or not below:
        return above or below, _PLAIN
    return f"{_grouped(above)}/{_grouped(below)}", _FRACTION


def _scripted(base: str, below: str = "", above: str = "") -> _Part:
    base, kind = _grouped(base) if base else "", _PLAIN
    if below:
        base, kind = f"{base}_{_grouped(below)}", _COMPOSED
    if above and above in "′″‴°∘'":
        return base + above.replace("∘", "°"), kind
    return (f"{base}^{_grouped(above)}", _COMPOSED) if above else (base, kind)


def _root(inside: str, degree: str = "") -> _Part:
    if degree in ("", "2"):
        return f"sqrt({inside})", _COMPOSED
    return f"root({degree}, {inside})", _COMPOSED


def _rows(rows: Iterable[Iterable[str]]) -> str:
    return "; ".join(", ".join(cells) for cells in rows)


# Office


def _office_parts(element: Any, depth: int) -> list[_Part]:
    if depth > _DEEPEST:
        return [("".join(node.text or "" for node in element.iter("{*}t")), _PLAIN)]
    parts: list[_Part] = []
    for child in element:
        kind = local_name(child)
        if kind == "t":
            parts.append((child.text or "", _PLAIN))
        elif kind in _OFFICE:
            parts.append(_OFFICE[kind](child, depth + 1))
        elif kind not in _LEFT_OUT and not kind.endswith("Pr"):
            parts += _office_parts(child, depth + 1)
    return parts


def _said(element: Any, name: str, depth: int) -> str:
    """What the children of this name say."""
    found = (_joined(_office_parts(child, depth)) for child in element.iterfind(f"{{*}}{name}"))
    return ", ".join(text.strip() for text in found)


def _property(element: Any, name: str, default: str) -> str:
    """A value among the properties of an element."""
    found = element.find(f"{{*}}{local_name(element)}Pr/{{*}}{name}")
    if found is None:
        return default
    return next((v for k, v in found.attrib.items() if k.rpartition("}")[2] == "val"), "")


def _office_fraction(element: Any, depth: int) -> _Part:
    above, below = _said(element, "num", depth), _said(element, "den", depth)
    if _property(element, "type", "bar") == "noBar":  # one above the other, as in n over k
        return f"{above}, {below}", _PLAIN
    return _fraction(above, below)


def _office_scripts(element: Any, depth: int) -> _Part:
    return _scripted(
        _said(element, "e", depth), _said(element, "sub", depth), _said(element, "sup", depth)
    )


def _office_limit(element: Any, depth: int) -> _Part:
    base, limit = _said(element, "e", depth), _said(element, "lim", depth)
    below = local_name(element) == "limLow"
    return _scripted(base, limit) if below else _scripted(base, above=limit)


def _office_before(element: Any, depth: int) -> _Part:
    scripts, _ = _scripted("", _said(element, "sub", depth), _said(element, "sup", depth))
    return f"{scripts} {_said(element, 'e', depth)}".strip(), _COMPOSED


def _office_brackets(element: Any, depth: int) -> _Part:
    opened, closed = _property(element, "begChr", "("), _property(element, "endChr", ")")
    separator = _property(element, "sepChr", "|")
    inside = [_joined(_office_parts(child, depth)) for child in element.iterfind("{*}e")]
    return opened + separator.join(inside) + closed, _PLAIN


def _office_sum(element: Any, depth: int) -> _Part:
    sign = _property(element, "chr", "∫")
    head, _ = _scripted(sign, _said(element, "sub", depth), _said(element, "sup", depth))
    return f"{head} {_said(element, 'e', depth)}", _COMPOSED


def _office_function(element: Any, depth: int) -> _Part:
    name, inside = _said(element, "fName", depth), _said(element, "e", depth)
    return name + ("" if inside.startswith("(") else " ") + inside, _COMPOSED


def _office_root(element: Any, depth: int) -> _Part:
    return _root(_said(element, "e", depth), _said(element, "deg", depth))


def _office_matrix(element: Any, depth: int) -> _Part:
    rows = (
        [_joined(_office_parts(cell, depth)) for cell in row.iterfind("{*}e")]
        for row in element.iterfind("{*}mr")
    )
    return _rows(rows), _PLAIN


def _office_lines(element: Any, depth: int) -> _Part:
    lines = [_joined(_office_parts(child, depth)) for child in element.iterfind("{*}e")]
    return "; ".join(lines), _PLAIN


_OFFICE: dict[str, Callable[[Any, int], _Part]] = {
    "f": _office_fraction,
    **dict.fromkeys(("sSup", "sSub", "sSubSup"), _office_scripts),
    "sPre": _office_before,
    **dict.fromkeys(("limLow", "limUpp"), _office_limit),
    "d": _office_brackets,
    "nary": _office_sum,
    "func": _office_function,
    "rad": _office_root,
    "m": _office_matrix,
    "eqArr": _office_lines,
}


# MathML


def _children(node: LexborNode) -> list[LexborNode]:
    return [child for child in node.iter(include_text=True) if child.tag not in _LEFT_OUT]


def _math_parts(nodes: Sequence[LexborNode], depth: int) -> list[_Part]:
    parts: list[_Part] = []
    for node in nodes:
        tag = node.tag or ""
        if tag == "-text":
            parts.append((" ".join((node.text_content or "").translate(_UNSEEN).split()), _PLAIN))
        elif depth > _DEEPEST:
            parts.append((node.text().translate(_UNSEEN), _PLAIN))
        elif tag == "msqrt":
            parts.append(_root(_joined(_math_parts(_children(node), depth + 1))))
        elif tag in _MATHML:
            inside = [child for child in _children(node) if child.tag != "-text"]
            texts = [_joined(_math_parts([child], depth + 1)) for child in inside]
            parts.append(_MATHML[tag](node, texts))
        elif tag in ("mtext", "ms"):
            parts.append((f" {node.text()} ", _PLAIN))
        else:
            parts += _math_parts(_children(node), depth + 1)
    return parts


def _math_fraction(node: LexborNode, texts: list[str]) -> _Part:
    above, below = (*texts, "", "")[:2]
    if re.match(r"0(?![.\d]*[1-9])", node.attributes.get("linethickness") or "1"):
        return f"{above}, {below}", _PLAIN
    return _fraction(above, below)


def _math_scripts(node: LexborNode, texts: list[str]) -> _Part:
    base, first, second = (*texts, "", "", "")[:3]
    if node.tag in ("msup", "mover"):
        if node.tag == "mover" and not any(map(str.isalnum, first)):
            return base, _PLAIN  # a bar, an arrow
        return _scripted(base, above=first)
    if node.tag == "munder" and not any(map(str.isalnum, first)):
        return base, _PLAIN
    return _scripted(base, first, second)


def _math_root(node: LexborNode, texts: list[str]) -> _Part:
    inside, degree = (*texts, "", "")[:2]
    return _root(inside, degree)


def _math_fenced(node: LexborNode, texts: list[str]) -> _Part:
    opened, closed = node.attributes.get("open", "("), node.attributes.get("close", ")")
    return (opened or "") + ", ".join(texts) + (closed or ""), _PLAIN


def _math_table(node: LexborNode, texts: list[str]) -> _Part:
    return "; ".join(texts), _PLAIN


def _math_row(node: LexborNode, texts: list[str]) -> _Part:
    return ", ".join(texts), _PLAIN


_MATHML: dict[str, Callable[[LexborNode, list[str]], _Part]] = {
    "mfrac": _math_fraction,
    **dict.fromkeys(("msup", "msub", "msubsup", "mover", "munder", "munderover"), _math_scripts),
    "mroot": _math_root,
    "mfenced": _math_fenced,
    "mtable": _math_table,
    **dict.fromkeys(("mtr", "mlabeledtr"), _math_row),
}
