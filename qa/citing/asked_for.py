"""Whether a text is about the year, the quarter or the identifier that a question names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from qa.citing.claims import squeezed
from qa.citing.quantities import DATE, UNKNOWN, Quantity, agree, codes, quantities
from retrieval.terms import simplified

_YEARS = range(1500, 2100)
_COUNTED = re.compile(
    r"(?<=\d)(?=[个個次人名位种種件台臺份页頁条條张張只本套])"
)  # 2000个 is no year
_VERSION = re.compile(r"(?:\bv|\bversion\s|版本号?\s?)(\d+(?:\.\d+)+)", re.IGNORECASE)
_QUARTERS = ("1一", "2二", "3三", "4四")
_ORDINALS = ("first", "second", "third", "fourth")
_QUARTER = re.compile(
    rf"(?<![A-Za-z0-9])Q(?P<digit>[1-4])(?!\d)|(?P<zh>[{''.join(_QUARTERS)}])季度"
    rf"|\b(?P<word>{'|'.join(_ORDINALS)}) quarter",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?<![月日年\d])[\d一二三四五六七八九十]+号(?![码召])")
_CODED = re.compile(
    r"(?:\b(?:error|code|status|fault|alarm)s?|错误码?|代码|故障码?|状态码?|报警)"
    r"\s*(?P<number>\d{2,})(?![\d.,年月天个])",
    re.IGNORECASE,
)
_DIGITS = 2  # of an identifier that has no other name
_LONG = 1000  # from here on a number without a unit is more often an identifier than a quantity


def lacks_asked(question: str, told: str) -> bool:
    """Whether `told` has not the year, quarter or identifier that the question asks about."""
    question, told = simplified(question), simplified(told)
    asked = quantities(_COUNTED.sub(" x ", question))
    if any(not _has_year(told, year) for year in filter(_is_year, asked)):
        return True
    named = (match for match in _QUARTER.finditer(question) if not match["word"])
    if not set(map(_quarter, named)) <= set(map(_quarter, _QUARTER.finditer(told))):
        return True
    numbered = quantities(" ".join(_NUMBERED.findall(question)))
    found = quantities(told) if numbered else []
    if any(not any(agree(number, other) for other in found) for number in numbered):
        return True
    if any(not _has_number(told, version) for version in _VERSION.findall(question)):
        return True
    return _lacks_any(told, _identifiers(question, asked)) or _lacks_code(question, told)


def lacks_identifier(question: str, told: str) -> bool:
    """Whether `told` has not the part number or error code (of two digits at least) that the
    question names."""
    question, told = simplified(question), simplified(told)
    return _lacks_any(told, filter(_is_distinct, codes(question))) or _lacks_code(question, told)


def _is_distinct(name: str) -> bool:
    """Whether it has no other name: 2FA may be written out, and the 20th as 20."""
    is_version = name[0].isdigit() and name.replace(".", "").isdigit()
    return (name[0].isalpha() or is_version) and sum(map(str.isdigit, name)) >= _DIGITS


def _lacks_any(told: str, names: Iterable[str]) -> bool:
    written = squeezed(told.lower())
    return any(squeezed(name.lower()) not in written for name in names)


def _lacks_code(question: str, told: str) -> bool:
    found = _CODED.finditer(question)
    return any(not _has_number(told, match["number"]) for match in found)


def _is_year(number: Quantity) -> bool:
    return number.kind in (UNKNOWN, DATE) and number.written in _YEARS


def _has_year(text: str, year: Quantity) -> bool:
    """A date written in one, `20250309`, has its year too."""
    pattern = rf"(?<!\d){year.written:g}(?:(?!\d)|[01]\d[0-3]\d(?!\d))"
    return re.search(pattern, text) is not None


def _has_number(text: str, number: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)", text) is not None


def _quarter(match: re.Match[str]) -> int:
    if match["word"]:  # of a match as well as of a year: no question is doubted for it
        return _ORDINALS.index(match["word"].lower()) + 1
    mark = match["digit"] or match["zh"]
    return next(number for number, marks in enumerate(_QUARTERS, 1) if mark in marks)


def _identifiers(question: str, asked: Sequence[Quantity]) -> Iterator[str]:
    yield from (code for code in codes(question) if not _QUARTER.fullmatch(code))
    for number in asked:
        if number.kind == UNKNOWN and number.written >= _LONG and not _is_year(number):
            yield f"{number.written:.15g}"
