from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk
from retrieval.copies import fold
from retrieval.hits import Hit
from retrieval.sketches import ALIKE, SHINGLE, copies, likeness, sketch
from retrieval.terms import analyse_query


def hit(uri: str, text: str) -> Hit:
    return Hit(Chunk(f"{uri}@0", uri, "", 0, len(text), text), 0.5)


SAID = "Every employee has 25 days of annual leave a year."


def test_the_same_words_are_shown_once_with_the_others_named() -> None:
    hits = [
        hit("v1.md", SAID),
        hit("v2.md", SAID.replace(" has", "\nHAS")),
        hit("v3.md", SAID.replace("25", "26")),
        hit("v4.md", SAID[6:]),
        hit("v5.md", f"{SAID} And more."),
        hit("v2.md", SAID),
    ]
    folded = fold(hits)
    assert [(found.uri, found.copies) for found in folded] == [
        ("v1.md", ("v2.md", "v4.md")), ("v3.md", ()), ("v5.md", ()),
    ]  # fmt: skip


MANUALS = {
    "en": (
        "Version {0} of 2 March.\nLet the pump warm up for ten minutes before it measures. Keep "
        "your hands away from the belt, which moves without a warning. Replace the seals every {1} "
        "hours. Grease them before they are put in, and note the date in the book of the machine. "
        "If the lamp stays red, call the service and tell the number that stands on its label. "
        "Never open the housing while the motor runs, and keep the tools for it in the grey box. "
        "Clean the filter with warm water and a soft brush, and let it dry before it goes back.",
        "How long does the pump warm up?",
        "How often are seals replaced?",
    ),
    "zh": (
        "第{0}版。测量之前，水泵需要预热十分钟，指示灯变绿以后才可以开始。传动带随时可能转动，请不要"
        "靠近。密封件每运行{1}小时更换一次。装入新的以前先涂润滑脂，并在设备日志里写下当天的日期。"
        "指示灯一直是红色时，请致电维修部门，并告知标签上的编号。电机运转时不得打开外壳，专用工具放在"
        "灰色箱子里。过滤网用温水和软刷清洗，晾干以后再装回去。",
        "水泵需要预热多久？",
        "密封件多久更换？",
    ),
}


@pytest.mark.parametrize("language", MANUALS)
def test_versions_are_named_where_they_differ_elsewhere_than_asked(language: str) -> None:
    text, elsewhere, there = MANUALS[language]
    hits = [hit(f"v{number}.md", text.format(number, 400 + 100 * number)) for number in (1, 2, 3)]

    def kept(question: str) -> list[tuple[str, ...]]:
        weights = dict.fromkeys(analyse_query(question), 1.0)
        return [(found.uri, *found.copies) for found in fold(hits, weights)]

    assert kept(elsewhere) == [("v1.md", "v2.md", "v3.md")]
    assert kept(there) == [("v1.md",), ("v2.md",), ("v3.md",)]
    assert kept("nothing of it") == [("v1.md",), ("v2.md",), ("v3.md",)]


def test_the_same_sentences_in_another_order_are_the_same() -> None:
    first, other = "The pump runs for ten minutes.", "Then it is warm and can measure."
    hits = [hit("a.md", f"{first} {other}"), hit("b.md", f"{other} {first}")]
    assert [found.uri for found in fold(hits, {"pump": 1.0})] == ["a.md"]


def test_short_passages_and_those_of_one_document_stay() -> None:
    hits = [hit("a", "Yes."), hit("b", "Yes."), hit("c", SAID), hit("c", SAID)]
    assert fold(hits) == hits


def words(some: random.Random, count: int, chinese: bool) -> list[str]:
    alphabet = "水泵手册年假保养密封件寿命价格" if chinese else "abcdefghij"
    return ["".join(some.choice(alphabet) for _ in range(4)) for _ in range(count)]


@pytest.mark.parametrize("chinese", [False, True])
def test_versions_are_alike_and_others_are_not(chinese: bool) -> None:
    some = random.Random(1)
    manual = words(some, 2000, chinese)
    texts = {"other": " ".join(words(some, 2000, chinese))}
    for version in range(5):
        for place in some.sample(range(1, 2000), 20):
            manual[place] = words(some, 1, chinese)[0]
        texts[f"v{version}"] = " ".join(manual)
    sketches = {uri: sketch(text) for uri, text in texts.items()}
    assert copies(sketches) == [["v0", "v1", "v2", "v3", "v4"]]
    assert likeness(sketches["v0"], sketches["other"]) == 0
    assert likeness(sketches["v0"], sketches["v1"]) > ALIKE


def test_white_space_and_case_make_no_difference() -> None:
    text = "The quick brown fox jumps over the lazy dog, again and again."
    assert sketch(text) == sketch(text.upper().replace(" ", "\n\n"))
    assert sketch("short") == ""
    assert copies({"a": "", "b": ""}) == []


@given(st.text(min_size=2 * SHINGLE))
def test_every_text_has_a_sketch_and_is_like_itself(text: str) -> None:
    made = sketch(text)
    assert len(made) <= 344
    if made:
        assert likeness(made, made) == 1
    assert sketch(text * 3)[:0] == ""
