from __future__ import annotations

import pytest

from qa.citing.asked_for import lacks_asked, lacks_identifier


@pytest.mark.parametrize(
    ("question", "told", "expected"),
    [
        ("What was the budget in 2021?", "The budget of 2022 was 5 million.", True),
        ("What was the budget in 2021?", "The budget was 5 million.", True),
        ("What was the budget in 2021?", "Budget 2021\nIt was 5 million.", False),
        ("2021年预算是多少？", "2022年预算为五百万元", True),
        ("2021年预算是多少？", "2021年度预算", False),
        ("2022年3月的故障是什么原因？", "report-20220309.md\n磁盘写满", False),
        ("What does ERR-1042 mean?", "ERR-1043: the door is open", True),
        ("What does ERR-1042 mean?", "ERR_1042: the door is open", False),
        ("What is new in v2.3?", "Release v2.4", True),
        ("错误码40999是什么意思？", "40001 参数缺失", True),
        ("What did West sell in Q3?", "| Region: West | Q3: 1610 ", False),
        ("循环扇三季度销量", "第3季度 10200", False),
        ("循环扇三季度销量", "四季度 10200", True),
        ("what does error 404 mean", "| 409 | `already_collected` |", True),
        ("状态码404", "404：找不到", False),
        ("五号仓的负责人是谁？", "一号仓 负责人 丁海涛", True),
        ("1号仓的负责人是谁？", "一号仓 负责人 丁海涛", False),
        ("May I carry over 10 days?", "Up to 6 days may be carried over.", False),
        ("Can I spend 2000 euros?", "The limit is 65 euros.", False),
        ("Who scored in the third quarter?", "He scored.", False),
        ("How high is it?", "", False),
    ],
)
def test_what_is_asked_about(question: str, told: str, expected: bool) -> None:
    assert lacks_asked(question, told) is expected


@pytest.mark.parametrize(
    ("question", "told", "expected"),
    [
        ("price of the AQ-20", "| AQ-10 | 29 € |", True),
        ("price of the aq10", "| AQ-10 | 29 € |", False),
        ("E09是什么故障", "E01 进水压力不足", True),
        ("what was fixed in 4.4.0", "4.3.0", True),
        ("error 404", "status 409", True),
        ("How do I switch on 2FA?", "two-factor authentication", False),
        ("Is it open on the 20th?", "20 May", False),
        ("Does a 64-bit system need it?", "x", False),
        ("What was the budget in 2021?", "2022", False),
    ],
)
def test_an_identifier_that_is_nowhere(question: str, told: str, expected: bool) -> None:
    assert lacks_identifier(question, told) is expected
