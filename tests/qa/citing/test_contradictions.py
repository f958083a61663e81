from __future__ import annotations

import pytest

from qa.citing.contradictions import contradicts, swaps


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
    ("one", "other", "expected"),
    [
        ("Part-time staff get 26 days.", "Full-time staff get 26 days.", True),
        ("企业版可以免费试用45天。", "专业版可以免费试用45天，无需绑定付款方式；", True),
        ("Full-time staff get 26 days.", "Full-time staff get 26 days.", False),
        ("The pump was intended for oil.", "The pump was meant for oil.", False),
        ("Something else altogether.", "Full-time staff get 26 days.", False),
    ],
)
def test_swaps(one: str, other: str, expected: bool) -> None:
    assert swaps(one, other) is expected


def test_staff_may_get_what_they_receive() -> None:
    source = "Full-time employees receive 26 days of paid annual leave per calendar year."
    assert not swaps("Full-time employees get 26 days of annual leave.", source)
    assert swaps("Part-time employees receive 26 days of annual leave.", source)
