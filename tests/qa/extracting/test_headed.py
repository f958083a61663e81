from __future__ import annotations

import pytest

from ingest.documents import Chunk
from qa.extracting.headed import Headed

TEXT = """\
Labels could not be printed.

## Root cause

A full disk.

### Where

Hall 3.

## 二次影响

一、物流

两小时停运。

第二章 费用

无。
"""


@pytest.mark.parametrize(
    ("sentence", "above"),
    [
        ("Labels", ["Outage"]),
        ("A full", ["Outage", "Root cause"]),
        ("Hall 3", ["Outage", "Root cause", "Where"]),
        ("两小时", ["Outage", "二次影响", "一、物流"]),
        ("无", ["Outage", "二次影响", "第二章 费用"]),
    ],
)
def test_the_headings_above_a_sentence(sentence: str, above: list[str]) -> None:
    chunk = Chunk("d", "d.md", "D", 0, len(TEXT), TEXT, heading=("Outage",))
    assert Headed(chunk).above(TEXT.index(sentence)) == "\n".join(above)
