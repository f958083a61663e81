"""Quantities in a text: values with their units, in Chinese and English, however written.

`1,200`, `1.2 thousand` and 一千二百 are one value, `90 minutes` and `1.5 h` one quantity. A date is
its numbers: `2025-03-18`, `18 March 2025` and `2025年3月18日` agree.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

UNKNOWN, DATE, CLOCK, ORDINAL = "", "date", "clock", "ordinal"


class Quantity(NamedTuple):
    """A value in the base unit of its `kind` (`time`: seconds); `kind` is "" without a known unit.

    `written` is the value as it stands in the text, `certain` is false for words that are often no
    numbers: one, half, 一.
    """

    value: float
    written: float
    kind: str = UNKNOWN
    certain: bool = True


def agree(one: Quantity, other: Quantity) -> bool:
    """Whether the two may be the same: a missing unit is no contradiction."""
    if one.kind == other.kind:
        return _same(one.value, other.value)
    return not (one.kind and other.kind) and _same(one.written, other.written)


def quantities(text: str) -> list[Quantity]:
    """All quantities of `text`, in order. Digits inside identifiers (`LS-400`) are none."""
    return list(_found(unicodedata.normalize("NFKC", text)))


def months(text: str) -> bool:
    """Whether `text` is the name of a month."""
    return text.lower() in _MONTHS


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6)


_MONTHS = {
    name: float(number)
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
         "august aug", "september sep sept", "october oct", "november nov", "december dec"), 1
    )
    for name in names.split()
}  # fmt: skip
_UP_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_FROM_TWENTY = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES, _TENS = _UP_TO_NINETEEN.split(), _FROM_TWENTY.split()
_WORDS = {
    **{word: float(value) for value, word in enumerate(_ONES)},
    **{word: 10.0 * value for value, word in enumerate(_TENS, 2)},
}
_DOUBTFUL = {"one": 1.0, "once": 1.0, "twice": 2.0, "half": 0.5, "dozen": 12.0}
_DIGITS = {
    digit: value
    for value, digits in enumerate(
        ("零〇", "一", "二两兩", "三", "四", "五", "六", "七", "八", "九")
    )
    for digit in digits
}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_MULTIPLES = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "billion": 1e9,
    **{name: float(size) for name, size in (_PLACES | _MYRIADS).items() if size > 10},
}  # fmt: skip
_WRITTEN: dict[str, dict[float, str]] = {
    "time": {1: "s sec second seconds 秒", 60: "min minute minutes 分 分钟 分鐘",
             3600: "h hr hrs hour hours 小时 小時", 86400: "day days 天",
             604800: "week weeks 周 週 星期"},
    "months": {1: "month months 个月 個月", 12: "year years 年"},
    "percent": {1: "% percent"},
    "EUR": {1: "€ EUR euro euros 欧元 歐元"},
    "USD": {1: "$ USD dollar dollars 美元"},
    "GBP": {1: "£ GBP pound pounds 英镑 英鎊"},
    "CNY": {1: "¥ CNY RMB yuan 元 块 塊 人民币 人民幣"},
    "mass": {1e-3: "mg milligram milligrams 毫克", 1: "g gram grams 克",
             1e3: "kg kilogram kilograms 公斤 千克", 1e6: "t 吨 噸"},
    "length": {1e-9: "nm nanometre nanometres nanometer nanometers 纳米 奈米", 1e-6: "μm um 微米",
               1e-3: "mm millimetre millimetres millimeter millimeters 毫米",
               1e-2: "cm centimetre centimetres centimeter centimeters 厘米",
               1: "m metre metres meter meters 米",
               1e3: "km kilometre kilometres kilometer kilometers 公里 千米"},
    "volume": {1e-3: "ml millilitre millilitres milliliter milliliters 毫升",
               1: "l litre litres liter liters 升"},
    "degree": {1: "°C ° degrees degree 度 摄氏度 攝氏度"},
    "data": {1: "byte bytes", 1e3: "kB", 1e6: "MB", 1e9: "GB", 1e12: "TB"},
    "voltage": {1e-3: "mV", 1: "V volt volts 伏", 1e3: "kV"},
    "current": {1e-3: "mA", 1: "A ampere amperes 安"},
    "power": {1: "W watt watts 瓦", 1e3: "kW 千瓦"},
    "frequency": {1: "Hz 赫兹", 1e3: "kHz", 1e6: "MHz", 1e9: "GHz"},
    "pressure": {1: "Pa", 1e3: "kPa", 1e5: "bar", 1e6: "MPa"},
    "torque": {1: "Nm"},
    "times": {1: "次 times"},
    "people": {1: "人 people persons"},
    DATE: {1: "月 日 号 號"},
    CLOCK: {1: "点 點 o'clock"},
}  # fmt: skip
_UNITS = {
    unicodedata.normalize("NFKC", unit): (kind, float(size))
    for kind, sizes in _WRITTEN.items()
    for size, units in sizes.items()
    for unit in units.split()
}
_UNITS_LOWER = {unit.lower(): meaning for unit, meaning in reversed(_UNITS.items())}
_SYMBOLS = "€$£¥"

_NUMERAL = "".join((*_DIGITS, *_PLACES, *_MYRIADS))


def _either(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_CJK_UNITS = _either(unit for unit in _UNITS if unit[0] > "\u2e80")
_LATIN_UNITS = _either(unit for unit in _UNITS if unit[0].isalpha() and unit[0] < "\u2e80")
_UNIT = rf"(?:{_LATIN_UNITS})(?![A-Za-z])|{_CJK_UNITS}|°[CF]?|[%{_SYMBOLS}]"
_MEASURES = f"{_CJK_UNITS}|%|[个個次人名位种種倍件台臺份页頁条條级級层層只支本套折成]"
_NUMBER = r"(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+|\d+)(?:\.\d+)?"
_CODE = re.compile(
    r"(?<![A-Za-z0-9_.-])(?=[A-Za-z0-9])(?=[A-Za-z0-9_.-]*\d)"
    r"(?:(?=[0-9_.-]*[A-Za-z])[A-Za-z0-9_]+(?:[-.][A-Za-z0-9_]+)*|\d+(?:\.\d+){2,})"
)
_MEASURED = re.compile(rf"v?{_NUMBER}(?:[-\s]?(?:{_UNIT}|k|am|pm))?", re.IGNORECASE)
_PATTERN = re.compile(
    rf"""
    (?=[\d{_SYMBOLS}EUGCR−-])(?:
    (?P<y>(?<![\d.-])\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?![\d-])
  | (?P<hour>(?<![\d:.])\d{{1,2}}):(?P<minute>\d{{2}})(?![\d:])(?:\s?(?P<half>[ap]m)\b)?
  | (?:(?P<symbol>[{_SYMBOLS}]|(?:EUR|USD|GBP|CNY|RMB)(?=[\s\d]))\s?)?
    (?P<number>(?:(?<![\d)\].])[-−])?(?<![.\d]){_NUMBER})
    (?:\s?(?P<times>(?:hundred|thousand|million|billion|k)(?![A-Za-z])|[百千万萬亿億]{{1,2}}))?
    (?:[\s-]?(?P<unit>{_UNIT}))?)
  | 百分之(?P<share>[{_NUMERAL}]+|\d+(?:\.\d+)?)
  | 第\s?(?P<nth>[{_NUMERAL}]+|\d+)
  | (?P<numeral>[{_NUMERAL}]+)(?P<measure>{_MEASURES})
  | \b(?=[zotfsendh])(?P<word>{_either((*_WORDS, *_DOUBTFUL))})\b
    (?:[\s-](?P<ones>{_either(_ONES[1:10])})\b)?
    (?:\s(?P<word_times>hundred|thousand|million)\b)?(?:[\s-](?P<word_unit>{_UNIT}))?
  | \b(?=[jfmasond])(?P<month>{_either(_MONTHS)})\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def without_quantities(text: str) -> str:
    """`text` with a blank in the place of each quantity."""
    return _PATTERN.sub(" ", text)


def codes(text: str) -> list[str]:
    """Identifiers with digits in them: `LS-400`, `ERR_DATA-2019`, `5.1.0`; no quantities."""
    return [match.group() for match in _CODE.finditer(text) if not _MEASURED.fullmatch(match[0])]


def _without_codes(text: str) -> str:
    return _CODE.sub(lambda found: found[0] if _MEASURED.fullmatch(found[0]) else " ", text)


def _found(text: str) -> Iterator[Quantity]:
    for match in _PATTERN.finditer(_without_codes(text)):
        found = match.groupdict()
        if found["y"]:
            yield from (_bare(float(found[part]), DATE) for part in "ymd")
        elif found["hour"]:
            yield _clock(found)
        elif found["number"]:
            yield _number(found)
        elif found["share"]:
            yield _bare(_numeral(found["share"]), "percent")
        elif found["nth"]:
            yield _bare(_numeral(found["nth"]), ORDINAL)
        elif found["numeral"]:
            yield _chinese(found["numeral"], found["measure"])
        elif found["word"]:
            yield _spelled(found)
        elif found["month"][0].isupper():  # "may" is a verb
            yield _bare(_MONTHS[found["month"].lower()], DATE)


def _clock(found: dict[str, str]) -> Quantity:
    hour = int(found["hour"]) + int(found["minute"]) / 60
    afternoon = (found["half"] or "").lower() == "pm" and hour < 12
    return _bare(hour + 12 * afternoon, CLOCK)


def _number(found: dict[str, str]) -> Quantity:
    digits = re.sub(r"[,\u00a0\u202f]", "", found["number"]).replace("−", "-")
    value = float(digits)
    for name in _multiples(found["times"]):
        value *= _MULTIPLES[name]
    return _in_units(value, found["symbol"] or found["unit"])


def _multiples(times: str | None) -> list[str]:
    if not times:
        return []
    return [times.lower()] if times.isascii() else list(times)


def _bare(value: float, kind: str = UNKNOWN) -> Quantity:
    return Quantity(value, value, kind)


def _in_units(value: float, unit: str | None) -> Quantity:
    meaning = _UNITS.get(unit or "") or _UNITS_LOWER.get((unit or "").lower())
    if meaning is None:
        return _bare(value)
    kind, size = meaning
    if unit == "年" and value >= 1000:  # a year of the calendar
        return _bare(value, DATE)
    return Quantity(value * size, value, kind)


def _chinese(numeral: str, measure: str) -> Quantity:
    value = _numeral(numeral)
    quantity = _in_units(value, measure)
    return quantity._replace(certain=numeral != "一")


def _numeral(text: str) -> float:
    """Value of a Chinese numeral, `1204` for 一千二百零四, `2025` for 二〇二五; or of digits."""
    if text[0].isdigit() and text[0] not in _DIGITS:
        return float(text)
    if len(text) > 1 and all(character in _DIGITS for character in text):
        return float("".join(str(_DIGITS[character]) for character in text))
    total, section, digit = 0, 0, 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _PLACES:
            section += (digit or 1) * _PLACES[character]
            digit = 0
        else:
            total += (section + digit or 1) * _MYRIADS[character]
            section = digit = 0
    return float(total + section + digit)


def _spelled(found: dict[str, str]) -> Quantity:
    word = found["word"].lower()
    value = _DOUBTFUL.get(word, _WORDS.get(word, 0.0))
    if found["ones"]:
        value += _WORDS[found["ones"].lower()]
    if found["word_times"]:
        value *= _MULTIPLES[found["word_times"].lower()]
    return _in_units(value, found["word_unit"])._replace(certain=word not in _DOUBTFUL)
