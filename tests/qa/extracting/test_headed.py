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


def test_keys_of_settings_are_headings_of_what_is_indented_below() -> None:
    text = "database:\n  engine: postgres\n  pool:\n    size: 5\n  port: 1\nlevel: info\n"
    headed = Headed(Chunk("d", "d.yaml", "D", 0, len(text), text))
    above = {key: headed.above(text.index(key)) for key in ("engine", "size", "port", "level")}
    assert above == {
        "engine": "database",
        "size": "database\npool",
        "port": "database",
        "level": "",
    }


def test_a_key_that_is_the_heading_of_the_passage_ends_with_what_is_indented_below() -> None:
    text = "server:\n  port: 8443\ndatabase:\n  port: 5432\n"
    headed = Headed(Chunk("d", "d.yaml", "D", 0, len(text), text, heading=("server",)))
    assert [headed.above(text.index(port)) for port in ("port: 8", "port: 5")] == [
        "server",
        "database",
    ]


def test_a_plain_heading_is_told_and_reaches_to_the_next() -> None:
    text = "1. Scope\nAll of the plant in Kolding.\n2. Fees\nNone for the first year.\n"
    headed = Headed(Chunk("d", "d.txt", "D", 9, 9 + len(text), text))
    assert headed.is_one(text.index("Scope"))
    assert not headed.is_one(text.index("All"))
    assert text[slice(*headed.reach(text.index("All")))].strip() == "All of the plant in Kolding."
    assert headed.above(text.index("None")) == "2. Fees"
