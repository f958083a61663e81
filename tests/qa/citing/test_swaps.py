from __future__ import annotations

import pytest

from qa.citing.swaps import misplaces, swaps, takes_role


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


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        ("三天及以上的年假须上传证明", True),
        ("三天及以上的病假须上传证明", False),
    ],
)
def test_one_character_may_swap_a_word(one: str, expected: bool) -> None:
    assert swaps(one, "三天及以上的病假须上传证明") is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("以 186 个样品验证", "以 186 个样品建模，以 62 个样品验证", True),
        ("以 62 个样品验证", "以 186 个样品建模，以 62 个样品验证", False),
        ("Part-time staff get 13 days.", "Full-time staff get 26 days, part-time 13 days.", False),
        ("The stock is 68.", "| part: BX | price: 68 | stock: 14 ", True),
        ("The price is 68.", "| part: BX | price: 68 | stock: 14 ", False),
        ("It has no number.", "| part: BX | price: 68 ", False),
    ],
)
def test_a_number_of_another_thing(one: str, other: str, expected: bool) -> None:
    assert misplaces(one, other) is expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        ("Tom Rey was the chair.", True),
        ("Hanna Lind was the chair.", False),
        ("Tom Rey was present.", False),
    ],
)
def test_a_role_of_another(one: str, expected: bool) -> None:
    assert takes_role(one, "Present: Hanna Lind (chair), Tom Rey") is expected


def test_a_long_line_without_roles_is_soon_read() -> None:
    assert not takes_role("Hanna Lind was the chair.", " " * 100_000)
    assert not takes_role("Hanna Lind was the chair.", "a" * 100_000)
