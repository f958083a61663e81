"""Cell values as a person sees them: Excel's number formats, as far as search needs them.

Dates are written 2024-03-01 and 2024-03-01 14:30 whatever order the format asks for, so that one
question finds them all; percentages, thousands, decimals and currency signs follow the format.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache

# what the numbers of the built-in formats stand for (ECMA-376 part 1, 18.8.30; 27..58 are the
# dates of Chinese, Japanese and Korean Excel)
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%",
    11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm",
    17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 48: "0.0E+0", 49: "@",
    **dict.fromkeys((*range(27, 32), 34, 35, 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    32: "h:mm", 33: "h:mm:ss", 55: "h:mm", 56: "h:mm:ss",
}  # fmt: skip
# what the codes of errors in the cells of binary workbooks show (MS-XLS 2.5.10)
ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!",
          42: "#N/A"}  # fmt: skip
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')
_BRACKETS = re.compile(r"\[[^\]]*\]")
_CURRENCY = re.compile(r"\[\$([^\]\-]*)[^\]]*\]")
_PLACES = re.compile(r"[0#?][0#?,]*(?:\.[0#?]*)?|\.[0#?]+")
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.I)
_LAST_DAY = 2_958_465  # 9999-12-31, the last day that Excel knows


def render_number(value: float, code: str, *, from_1904: bool = False) -> str:
    """`value` in the number format `code`: 45123 in `yyyy-mm-dd` is 2023-07-16.

    A number that the format cannot show, a date after 9999 for one, is written plainly.
    """
    shape = _shape(code)
    if shape.kind == "general":
        return plain_number(value)
    try:
        if shape.kind == "number":
            return _render_shaped(value, code)
        return _render_serial(value, shape.kind, from_1904) or plain_number(value)
    except OverflowError:  # a day after 9999-12-31, 100 times the number for each of 400 %
        return plain_number(value)


def render_moment(value: date | datetime | time | timedelta) -> str:
    """A date, a time or a span of time; midnight is left out."""
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, time):
        return value.strftime("%H:%M:%S" if value.second else "%H:%M")
    if not isinstance(value, datetime):
        return value.isoformat()
    if not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    return value.isoformat(" ", "seconds" if value.second else "minutes")


def plain_number(value: float) -> str:
    """At most 11 significant digits, like the format General; whole numbers in full."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.11g}"


class _Shape:
    """What a format code asks for."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind  # general, number, date, time, datetime, elapsed


@lru_cache(maxsize=4096)
def _shape(code: str) -> _Shape:
    first = code.split(";", 1)[0]
    if first.strip().lower() in ("", "general", "@", "standard"):
        return _Shape("general")
    if _ELAPSED.search(first):
        return _Shape("elapsed")
    bare = _BRACKETS.sub("", _LITERAL.sub("", first)).lower()
    if "general" in bare:
        return _Shape("general")
    bare = bare.replace("am/pm", "h").replace("上午/下午", "h")
    if "e+" in bare or "e-" in bare:
        return _Shape("number")
    days, clock = bool(re.search(r"[yd]|mmm|[年月日]", bare)), bool(re.search(r"[hs]", bare))
    if days or clock or bare.strip("/.- ") in ("m", "mm"):
        return _Shape("datetime" if days and clock else "time" if clock else "date")
    return _Shape("number" if _PLACES.search(bare) else "general")


def _render_serial(value: float, kind: str, from_1904: bool) -> str:
    if kind == "elapsed":
        return render_moment(timedelta(days=value)) if abs(value) < _LAST_DAY else ""
    if not 0 <= value < _LAST_DAY + 1:
        return ""
    if kind == "time" or value < 1:
        seconds = round(value % 1 * 86_400) % 86_400
        return render_moment(time(seconds // 3600, seconds // 60 % 60, seconds % 60))
    epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)
    if not from_1904 and value < 61:  # Excel believes that 1900 was a leap year
        epoch = datetime(1899, 12, 31)
    moment = epoch + timedelta(seconds=round(value * 86_400))
    return render_moment(moment.date() if kind == "date" else moment)


def _render_shaped(value: float, code: str) -> str:
    """Digits, thousands, percent, currency and other words around the number.

    Raises OverflowError where percent makes it more than a float can be.
    """
    sections = _sections(code)
    section = sections[0]
    if value < 0 and len(sections) > 1:
        section, value = sections[1], -value
    elif value == 0 and len(sections) > 2:
        section = sections[2]
    prefix, places, suffix = section
    if places is None:
        return prefix.strip() or plain_number(value)
    if "E" in suffix[:1].upper() and suffix[1:2] in ("+", "-"):
        return f"{value:.{len(places.partition('.')[2])}E}"
    if "/" in suffix and "?" in suffix:
        return plain_number(value)
    value *= 100 ** (prefix.count("%") + suffix.count("%"))
    if math.isinf(value):
        raise OverflowError(code)
    whole, _, decimals = places.partition(".")
    while whole.endswith(","):
        whole, value = whole[:-1], value / 1000
    digits = f"{abs(value):,.{min(len(decimals), 15)}f}"
    if "," not in whole:
        digits = digits.replace(",", "")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    if optional and "." in digits:
        kept = len(digits) - optional
        digits = (digits[:kept] + digits[kept:].rstrip("0")).rstrip(".")
    width = whole.replace(",", "").lstrip("#?").count("0")
    if width > 1:
        digits = digits.zfill(width + len(digits) - len(digits.partition(".")[0]))
    negative = value < 0 and digits.strip("0.,")
    return f"{'-' if negative else ''}{prefix}{digits}{suffix}".strip()


@lru_cache(maxsize=4096)
def _sections(code: str) -> list[tuple[str, str | None, str]]:
    """(words before, places of the digits, words after) of each section of a format code."""
    return [_section(part) for part in re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*\Z)', code[:500])]


def _section(part: str) -> tuple[str, str | None, str]:
    part = _BRACKETS.sub("", _CURRENCY.sub(lambda match: f'"{match[1]}"', part))
    words: list[str] = []

    def hide(match: re.Match[str]) -> str:
        token = match[0]
        words.append(token[1:-1] if token[0] == '"' else token[1] if token[0] == "\\" else " ")
        return chr(0xE000 + len(words) - 1)

    hidden = _LITERAL.sub(hide, part)

    def shown(text: str) -> str:
        return "".join(
            words[ord(c) - 0xE000] if 0 <= ord(c) - 0xE000 < len(words) else c for c in text
        )

    found = _PLACES.search(hidden)
    if found is None:
        return shown(hidden), None, ""
    return shown(hidden[: found.start()]), found[0], shown(hidden[found.end() :])
