"""Number formats of spreadsheets taken apart, and numbers put into their digit places.

ECMA-376 part 1, 18.8.31: up to four sections with conditions, literals, and places for digits that
may stand apart (`000-00-0000`). Rounding is that of Excel: 15 digits, halves away from zero.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

_LONGEST = 500  # characters of a code; Excel allows 255
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|[\\!](?P<escaped>.)|(?P<blank>[_*]).|\[\$(?P<currency>[^\]\-]*)[^\]]*\]'
    r"|\[(?P<bracket>[^\]]*)\]|(?P<general>general|standard|@)|(?P<exponent>e[+-])(?=[0#?])"
    r"|(?P<sign>[0#?.,%/;])|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*([+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*\Z", re.I)
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
    "<>": operator.ne,
}  # fmt: skip
_ELAPSED = re.compile(r"(h+|m+|s+)\Z", re.I)
_FRACTION = re.compile(r"[0#?]\s*/\s*[\d#?]")
_EXACT = Context(prec=2_000, rounding=ROUND_HALF_UP)
_MAX_EXPONENT = 308  # of a float


class Token(NamedTuple):
    """A piece of a section: `text` shows "0.00 kg" as digits, a point, digits and literals."""

    kind: str  # literal, digit, point, comma, percent, exponent, slash, general
    text: str


class _Usual(NamedTuple):
    """What Python's own formatting can do of a section: 5 times as fast as place by place."""

    before: str
    grouped: bool
    width: int  # digits before the point, at least
    decimals: int
    percent: bool
    behind: str


@dataclass(frozen=True, slots=True)
class Section:
    """One of the parts between semicolons, and which numbers it is for (None: see `section_for`).

    `kind` is what it shows: number, date, time, datetime, elapsed, general (the number plainly,
    with words around it), words, or plain (nothing but the number, as with fractions).
    """

    tokens: tuple[Token, ...]
    kind: str
    condition: tuple[str, float] | None = None
    usual: _Usual | None = None

    def around(self, number: str) -> str:
        """Its words with `number` in the place of General."""
        return "".join(number if t.kind == "general" else t.text for t in self.tokens)

    def accepts(self, value: float) -> bool:
        """Whether its condition, if it has one, holds for `value`."""
        return self.condition is None or _COMPARED[self.condition[0]](value, self.condition[1])


def section_for(value: float, code: str) -> tuple[Section, bool]:
    """The section for `value`, and whether that says itself that the number is negative."""
    sections = sections_of(code)
    if sections[0].condition or (len(sections) > 1 and sections[1].condition):
        for section in sections[:2]:
            if section.condition and section.accepts(value):
                return section, section.condition[0] in ("<", "<=") and section.condition[1] <= 0
        free = [section for section in sections if section.condition is None]
        if sections[0].condition and len(free) > 1 and value < 0:
            return free[0], True
        return free[-1] if free else _PLAIN, False
    if value < 0 and len(sections) > 1:
        return sections[1], True
    return sections[2 if value == 0 and len(sections) > 2 else 0], False


_PLAIN = Section((), "plain")


@lru_cache(maxsize=4096)
def sections_of(code: str) -> tuple[Section, ...]:
    """The sections for numbers, one at least; that for texts is none of them."""
    tokens: list[list[Token]] = [[]]
    bare, brackets = [""], [list[str]()]
    for match in _TOKEN.finditer(code[:_LONGEST]):
        if match["sign"] == ";":
            tokens.append([])
            brackets.append([])
            bare.append("")
        elif match["bracket"] is not None:
            brackets[-1].append(match["bracket"])
        elif token := _token(match):
            tokens[-1].append(token)
            if match["other"] or match["sign"] or match["general"] or match["exponent"]:
                bare[-1] += match[0].lower()
    found = [_section(*parts) for parts in zip(tokens, bare, brackets, strict=True)][:4]
    if len(found) == 4 or (len(found) > 1 and "@" in bare[len(found) - 1]):
        found.pop()
    return tuple(found)


def fill(section: Section, value: float, *, signed: bool) -> str:
    """`value` in the places of a section that has some; behind a minus if `signed` and below 0.

    Raises OverflowError where percent makes it more than a float can be.
    """
    if section.usual and (quick := _quick(section.usual, value, signed)):
        return quick
    tokens = section.tokens
    number = _EXACT.create_decimal(f"{abs(value):.15g}")
    percent = sum(token.kind == "percent" for token in tokens)
    number = number.scaleb(2 * percent, _EXACT)
    if number and number.adjusted() > _MAX_EXPONENT:
        raise OverflowError(value)
    exponent = next((n for n, token in enumerate(tokens) if token.kind == "exponent"), None)
    if exponent is None:
        shown, negative = _plain(number, tokens)
    else:
        rest = tokens[exponent + 1 :]
        shown, negative = _scientific(number, tokens[:exponent], tokens[exponent], rest)
    return f"-{shown}" if signed and negative and value < 0 else shown


def _token(match: re.Match[str]) -> Token | None:
    for group in ("quoted", "escaped", "currency"):
        if match[group] is not None:
            return Token("literal", match[group])
    if match["blank"]:
        return Token("literal", " ")
    if match["general"]:
        return Token("general", "")
    if match["exponent"]:
        return Token("exponent", match["exponent"])
    sign = match["sign"]
    if sign:
        kinds = {".": "point", ",": "comma", "%": "percent", "/": "slash"}
        return Token(kinds.get(sign, "digit"), sign)
    return Token("literal", match[0])


def _section(tokens: list[Token], bare: str, brackets: list[str]) -> Section:
    conditions = [found for text in brackets if (found := _CONDITION.match(text.strip()))]
    condition = (conditions[0][1], float(conditions[0][2])) if conditions else None
    return Section(tuple(tokens), _kind(tokens, bare, brackets), condition, _usual(tokens))


def _usual(tokens: Sequence[Token]) -> _Usual | None:
    """`0`, `00000`, `#,##0.00`, `0.0%` with words before and behind; None for the unusual."""
    places = "".join("_" if t.kind in ("literal", "percent") else t.text for t in tokens)
    found = re.fullmatch(r"(_*)(?P<whole>#,##0|#*0+)(?:\.(?P<decimals>0+))?(_*)", places)
    percent = sum(token.kind == "percent" for token in tokens)
    if found is None or percent > 1 or len(places) > 60:
        return None
    before, behind = tokens[: found.end(1)], tokens[found.start(4) :]
    return _Usual(
        "".join(token.text for token in before),
        "," in found["whole"],
        found["whole"].count("0"),
        len(found["decimals"] or ""),
        percent > 0,
        "".join(token.text for token in behind),
    )


def _quick(usual: _Usual, value: float, signed: bool) -> str:
    """As `fill`; "" where that must decide: halves are no halves in binary, and huge numbers."""
    digits = f"{abs(value):.15g}"
    shift = 2 * usual.percent
    rest = digits.partition(".")[2]
    if "e" in digits or (rest[-1:] == "5" and len(rest) == usual.decimals + shift + 1):
        return ""
    size = usual.width + (usual.decimals and usual.decimals + 1)
    number = abs(value) * 10**shift
    if usual.grouped:
        shown = f"{number:,.{usual.decimals}f}"
    else:
        shown = f"{number:0{size}.{usual.decimals}f}"
    minus = "-" if signed and value < 0 and shown.strip("0.,") else ""
    return f"{minus}{usual.before}{shown}{usual.behind}"


def _kind(tokens: list[Token], bare: str, brackets: list[str]) -> str:
    """What a section shows; `bare` is what it has outside of literals, in lower case."""
    if any(map(_ELAPSED.match, brackets)):
        return "elapsed"
    if any(token.kind == "general" for token in tokens):
        return "plain" if "@" in bare else "general"
    if not any(token.kind == "exponent" for token in tokens):
        clocked = bare.replace("am/pm", "h").replace("上午/下午", "h")
        days = bool(re.search(r"[yd]|mmm|[年月日]", clocked))
        clock = bool(re.search(r"[hs]", clocked))
        if days or clock or clocked.strip("/.- ") in ("m", "mm"):
            return "datetime" if days and clock else "time" if clock else "date"
    if not any(token.kind == "digit" for token in tokens):
        return "words" if tokens else "plain"
    return "plain" if _FRACTION.search(bare) else "number"


def _plain(number: Decimal, tokens: Sequence[Token]) -> tuple[str, bool]:
    """What is shown, and whether it is more than zeros."""
    point = next((n for n, token in enumerate(tokens) if token.kind == "point"), len(tokens))
    whole, decimals = tokens[:point], tokens[point + 1 :]
    places = [token.text for token in decimals if token.kind == "digit"]
    thousands = _trailing_commas(whole) + _trailing_commas(decimals)
    number = _rounded(number.scaleb(-3 * thousands, _EXACT), len(places))
    digits, _, rest = f"{number:f}".partition(".")
    return _whole(digits.lstrip("0"), whole) + _decimals(rest, decimals), bool(number)


def _trailing_commas(tokens: Sequence[Token]) -> int:
    """Commas behind the last digit, each of which stands for a division by 1,000."""
    last = max((n for n, token in enumerate(tokens) if token.kind == "digit"), default=len(tokens))
    count = 0
    for token in tokens[last + 1 :]:
        if token.kind != "comma":
            break
        count += 1
    return count


def _rounded(number: Decimal, places: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-places), context=_EXACT)


def _whole(digits: str, tokens: Sequence[Token]) -> str:
    """Digits from the right into their places; the first place takes all that are left."""
    at = [n for n, token in enumerate(tokens) if token.kind == "digit"]
    if not at:
        return "".join(_words(tokens)) + digits
    grouped = any(token.kind == "comma" for token in tokens[at[0] : at[-1]])
    zeros = next((place for place in at if tokens[place].text == "0"), at[-1] + 1)
    shown = list(_words(tokens))
    count = 0
    for place in reversed(at):
        first = place == at[0]
        taken = digits if first else digits[-1:]
        digits = "" if first else digits[:-1]
        taken = taken or ("0" if place >= zeros else " " if tokens[place].text == "?" else "")
        for digit in reversed(taken):
            comma = "," if grouped and count and count % 3 == 0 and digit != " " else ""
            shown[place] = f"{digit}{comma}{shown[place]}"
            count += 1
    return "".join(shown)


def _decimals(digits: str, tokens: Sequence[Token]) -> str:
    """The point and the digits behind it, less the zeros that nobody asked for."""
    shown = list(_words(tokens))
    at = [n for n, token in enumerate(tokens) if token.kind == "digit"]
    kept = len(at)
    while kept and tokens[at[kept - 1]].text != "0" and digits[kept - 1] == "0":
        kept -= 1
    for place, digit in zip(at[:kept], digits, strict=False):
        shown[place] = digit
    return ("." if kept else "") + "".join(shown)


def _words(tokens: Sequence[Token]) -> Sequence[str]:
    return ["" if token.kind in ("digit", "comma") else token.text for token in tokens]


def _scientific(
    number: Decimal, mantissa: Sequence[Token], mark: Token, exponent: Sequence[Token]
) -> tuple[str, bool]:
    """As many digits before the point as there are places: `##0.0E+0` goes in steps of 3."""
    point = next((n for n, token in enumerate(mantissa) if token.kind == "point"), len(mantissa))
    step = max(sum(token.kind == "digit" for token in mantissa[:point]), 1)
    places = sum(token.kind == "digit" for token in mantissa[point:])
    power = number.adjusted() // step * step if number else 0
    if number and _rounded(number.scaleb(-power, _EXACT), places).adjusted() >= step:
        power += step
    sign = "-" if power < 0 else "+" if mark.text[1] == "+" else ""
    shown, more = _plain(number.scaleb(-power, _EXACT), mantissa)
    return f"{shown}{mark.text[0].upper()}{sign}{_whole(str(abs(power)), exponent)}", more
