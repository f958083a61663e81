"""Cell values as a person sees them: Excel's number formats, as far as search needs them.

No library that we use renders them (openpyxl, xlrd, calamine and pandas give the bare number), so
number_sections.py does.

Dates are written 2024-03-01 and 2024-03-01 14:30 whatever order the format asks for, so that one
question finds them all; percentages, thousands, decimals and currency signs follow the format.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta

from ingest.loaders.number_sections import fill, section_for

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
_LAST_DAY = 2_958_465  # 9999-12-31, the last day that Excel knows


def render_number(value: float, code: str, *, from_1904: bool = False) -> str:
    """`value` in the number format `code`: 45123 in `yyyy-mm-dd` is 2023-07-16.

    A number that the format cannot show, a date after 9999 for one, is written plainly.
    """
    if not math.isfinite(value):
        return plain_number(value)
    section, says_minus = section_for(value, code)
    try:
        if section.kind == "number":
            return fill(section, value, signed=not says_minus).strip()
        if section.kind == "general":
            shown = section.around(plain_number(abs(value))).strip()
            return shown if says_minus or value >= 0 else f"-{shown}"
        if section.kind == "words":
            return section.around("").strip() or plain_number(value)
        return _render_serial(value, section.kind, from_1904) or plain_number(value)
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


def _render_serial(value: float, kind: str, from_1904: bool) -> str:
    if kind == "plain":
        return ""
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
