from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.extracting.kinds import (
    Kind,
    asks_whether,
    counts_the_same,
    holds,
    kind_of,
    names_price,
    told_by_heading,
)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When does the shop open?", "time"),
        ("In which year did the bridge fall?", "time"),
        ("On which days does the shop open?", "time"),
        ("商店什么时候开门？", "time"),
        ("橋在哪一年倒塌？", "time"),
        ("How many rooms are there?", "number"),
        ("What is the list price of a lamp?", "number"),
        ("有多少个房间？", "number"),
        ("一盏灯要几元？", "number"),
        ("Who opens the shop?", "person"),
        ("谁来开门？", "person"),
        ("新疆的负责人是哪位？", "person"),
        ("Why is the shop closed?", "reason"),
        ("商店为什么关门？", "reason"),
        ("What is a ratchet?", None),
        ("什么是棘轮？", None),
        ("", None),
    ],
)
def test_what_a_question_asks_for(question: str, kind: Kind | None) -> None:
    assert kind_of(question) == kind


@pytest.mark.parametrize(
    ("kind", "question", "yes", "no"),
    [
        ("time", "When does it open?", "It opens on 3 May.", "It opens early."),
        ("time", "它什么时候开门？", "它九点开门。", "它开门很早。"),
        ("time", "What happened after 1990?", "It fell in 1994.", "It fell after 1990."),
        ("number", "How many rooms?", "It has twelve rooms.", "It has rooms."),
        ("number", "有多少房间？", "共有三十间。", "有很多房间。"),
        ("person", "Who opens it?", "It is opened by Ann Lee.", "it is opened by hand."),
        ("person", "谁来开门？", "李经理开门。", "门自动打开。"),
        ("reason", "Why?", "It is closed because of rain.", "It is closed."),
        ("reason", "为什么？", "由于下雨而关门。", "门关着。"),
    ],
)
def test_whether_a_sentence_holds_it(kind: Kind, question: str, yes: str, no: str) -> None:
    assert holds(kind, question, yes) > 0
    assert holds(kind, question, no) == 0


@pytest.mark.parametrize(
    ("question", "sentence", "same"),
    [
        ("How many weeks of notice?", "Notice is 6 weeks.", True),
        ("How many weeks of notice?", "The number is 6.", False),
        ("休几天年假？", "年假8天。", True),
        ("休几天年假？", "年假8周。", False),
        ("Where is it?", "6 weeks", False),
    ],
)
def test_counts_the_same(question: str, sentence: str, same: bool) -> None:
    assert counts_the_same(question, sentence) == same


@pytest.mark.parametrize(
    ("question", "whether"),
    [
        ("Is it open?", True),
        ("Can I park here?", True),
        ("可以停车吗？", True),
        ("这里能否停车", True),
        ("What is open?", False),
        ("几点开门？", False),
    ],
)
def test_asks_whether(question: str, whether: bool) -> None:
    assert asks_whether(question) == whether


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_looked_at(question: str, sentence: str) -> None:
    for kind in ("time", "number", "person", "reason"):
        assert 0 <= holds(kind, question, sentence) <= 1
    counts_the_same(question, sentence)


@pytest.mark.parametrize(
    ("question", "sentence", "under", "told"),
    [
        ("When did dark mode come?", "New: dark mode", "App\n2.3 (May 2024)", "2.3 (May 2024)"),
        ("When did dark mode come?", "It came in June.", "App\n2.3 (May 2024)", ""),
        ("When did dark mode come?", "New: dark mode", "2.3 (May 2024)\nDisplay", ""),
        ("When did dark mode come?", "dark mode", "App\n2.3 (May 2024)\nNew", "2.3 (May 2024)"),
        ("Which version has dark mode?", "dark mode", "App 9.0\nDisplay", ""),
        ("Who wrote dark mode?", "New: dark mode", "2.3 (May 2024)", ""),
        ("Which version has dark mode?", "New: dark mode", "2.3", "2.3"),
        ("Which version has dark mode?", "2.2 had no dark mode", "2.3", ""),
        ("哪个版本加了深色模式？", "新增：深色模式", "4.0.0（2024年）", "4.0.0（2024年）"),
        ("深色模式是什么时候加的？", "新增：深色模式", "4.0.0（2024年）", "4.0.0（2024年）"),
        ("When did dark mode come?", "New: dark mode", "", ""),
    ],
)
def test_what_the_heading_tells(question: str, sentence: str, under: str, told: str) -> None:
    assert told_by_heading(question, sentence, under) == told


def test_a_person_whom_the_question_names_is_not_the_one_asked_for() -> None:
    assert holds("person", "谁是培顿·曼宁的教练？", "培顿·曼宁破了纪录。") == 0
    assert holds("person", "谁是培顿·曼宁的教练？", "教练是加里·库比亚克。") == 1


@pytest.mark.parametrize(
    ("question", "sentence", "told"),
    [
        ("流明云基础版价格是多少？", "| 年费 | 3,600元 | 16,800元 |", True),
        ("流明云基础版价格是多少？", "| 云端存储 | 100 GB | 1 TB |", False),
        ("What does the small plan cost?", "Small: €9 a month.", True),
        ("How much is the filter?", "The filter is 12.50 euros.", True),
        ("How much is the filter?", "The filter is 12 cm wide.", False),
        ("How wide is the filter?", "The filter is €12.", False),
        ("运费多少钱？", "全国统一12元。", True),
        ("运费多少钱？", "型号12,3，重1,200.50元以下", True),
        ("运费多少钱？", "编号1,200,300。", False),
    ],
)
def test_a_price_is_an_amount_of_money(question: str, sentence: str, told: bool) -> None:
    assert names_price(question, sentence) is told
