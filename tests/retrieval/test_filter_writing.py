from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.errors import BadRequest
from retrieval.conditions import And, Compare, Condition, Not, Or
from retrieval.filter_text import from_options, parse
from retrieval.filter_writing import filter_text


def unplaced(condition: Condition) -> Condition:
    """Without the positions in the text."""
    if isinstance(condition, Compare):
        return replace(condition, position=-1)
    if isinstance(condition, Not):
        return Not(unplaced(condition.part))
    assert isinstance(condition, And | Or)
    return type(condition)(tuple(map(unplaced, condition.parts)))


@pytest.mark.parametrize(
    "options",
    [
        ["type:pdf"],
        ["path:handbook/** type:(pdf, docx) date>=2024-01 -lang:zh"],
        ["(type:pdf OR NOT (page>3 title='Two \"words\" \\\\ more'))"],
        ["metadata.size=7", "metadata.size=\"7\"", "title=Two words"],
        ["title:手册 （lang:zh OR lang:en）"],
        ["metadata.note=a,b", "metadata.note=c"],
        ["metadata.note=a，b", "metadata.note=c"],
        ['metadata."a \\"b":x metadata.dc.title=y'],
    ],
    ids=" + ".join,
)  # fmt: skip
def test_a_filter_survives_the_way_over_text(options: list[str]) -> None:
    condition = from_options(options)
    assert condition is not None
    again = parse(filter_text(condition))
    if "note=a" not in options[0]:
        assert unplaced(again) == unplaced(condition)
    assert isinstance(again, type(condition))


def test_what_is_text_or_nothing_stays() -> None:
    assert filter_text(None) == ""
    assert filter_text("type:pdf") == "type:pdf"
    with pytest.raises(BadRequest, match="as text"):
        filter_text({"uri": "a"})
