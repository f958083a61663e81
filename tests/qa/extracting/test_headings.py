from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk
from qa.extracting.headings import headings

NOTICE = """\
PRIVACY NOTICE

1. Who is responsible
Quay Ltd is, with its seat in Kolding.

2. What we collect

2.1 From you
Your name, your address and what you order.
"""
MANUAL = """\
3. 拨打电话，通知值班人员。
3.4 火灾
用干沙灭火。
3.5 漏水
关闭总阀。
"""
MINUTES = """\
1. Housing
   The lid stays grey.

2. Windows 10
   Support ends in May.
"""
STEPS = "1. Switch it off\n2. Open the lid\nThen wait.\n"
WRAPPED = "1. Switch the pump off and open\nthe lid with a key.\n"
COLONS = "1. Springs: none\nAll prices are net.\n"
SETTINGS = """\
name: gateway
database:
  engine: postgres
  hosts:
    - db-1
    - db-2
  port: 5433
level: info
"""


def chunk(text: str, start: int = 0) -> Chunk:
    return Chunk("d", "a.txt", "", start, start + len(text), text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            NOTICE,
            ["PRIVACY NOTICE", "1. Who is responsible", "2. What we collect", "2.1 From you"],
        ),
        (MANUAL, ["3.4 火灾", "3.5 漏水"]),
        (MINUTES, ["1. Housing", "2. Windows 10"]),
        (SETTINGS, ["database:", "hosts:"]),
        ("台北服務中心\n\n各位顧客：\n本中心搬遷。", ["台北服務中心"]),
        (STEPS, []),
        (WRAPPED, []),
        (COLONS, []),
        ("Bring along\n- a pen\n", []),
        ("Only a line", []),
        ("The pump is old.\nIt leaks.\n", []),
        ("12 litres of water", []),
    ],
)
def test_headings_without_signs(text: str, found: list[str]) -> None:
    plain = [heading for heading in headings(chunk(text)) if heading.plain]
    assert [text[heading.start : heading.end].strip() for heading in plain] == found


def test_a_passage_from_the_middle_has_no_title() -> None:
    assert not headings(chunk("PRIVACY NOTICE\n\nQuay Ltd is.", start=40))


@given(
    st.lists(
        st.sampled_from(
            ["# A", "1. B", "1.1 C", "二、D", "key:", "  k:", "    v: 1", "- x", "", "E."]
        ),
        max_size=9,
    )
)
def test_headings_are_lines_in_order(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = headings(chunk(text))
    assert [heading.start for heading in found] == sorted(heading.start for heading in found)
    assert all(0 <= heading.start <= heading.end <= len(text) for heading in found)
