from __future__ import annotations

import pytest

from qa.citing.contradictions import contradicts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The card is not blocked.", "The card is blocked."),
        ("You cannot carry days over.", "You can carry days over."),
        ("There is a refresh token.", "There is no refresh token."),
        ("The week is not 37.5 hours.", "The week is 37.5 hours."),
        ("Ask after the trip.", "Ask before the trip."),
        ("It holds at most 25 clients.", "It holds at least 25 clients."),
        ("Smoking is allowed.", "Smoking is prohibited."),
        ("需要绑定付款方式", "无需绑定付款方式"),
        ("消耗品在整机保修之内", "消耗品不在整机保修之内"),
        ("届满之后可以购买", "届满之前可以购买"),
        ("至少 5 天", "不超过 5 天"),
    ],
)
def test_contradictions(one: str, other: str) -> None:
    assert contradicts(one, other)
    assert contradicts(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The limit is at most 5 days.", "No more than 5 days are allowed."),
        ("You can pay by card.", "You can pay by card, but not by cheque."),
        ("专业版无需绑定付款方式", "试用专业版不需要绑定付款方式"),
        ("最多 5 天", "不超过 5 天"),
        ("不同的颜色", "有颜色"),
        ("It is open before and after noon.", "It is open after noon."),
    ],
)
def test_no_contradictions(one: str, other: str) -> None:
    assert not contradicts(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("from 12 to 120 connections", "from 120 to 12 connections"),
        ("It was copied to a ticket from the service.", "It was copied from a ticket."),
        ("承运商由华运改为迅捷达", "承运商由迅捷达改为华运"),
        ("按先新后旧的顺序", "按先旧后新的顺序"),
    ],
)
def test_changes_turned_round(one: str, other: str) -> None:
    assert contradicts(one, other)
    assert not contradicts(other, other)


def test_the_clause_that_is_meant_decides() -> None:
    passage = "出差前可以借支备用金，前账未清的不得再借。"
    assert contradicts("前账未清的可以再借。", passage)
    assert not contradicts("出差前可以借支备用金。", passage)


def test_what_stands_under_a_denial_is_denied() -> None:
    one, other = "The contract does not cover moving an analyser.", "Moving an analyser"
    assert contradicts(one, other)
    assert not contradicts(one, other, context="2.3 What is not included")
