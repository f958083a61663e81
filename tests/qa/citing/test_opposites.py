from __future__ import annotations

import pytest

from qa.citing.opposites import opposed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The alarm is enabled.", "The alarm is disabled."),
        ("Memory use increased.", "Memory use was reduced."),
        ("The minimum is 5.", "The maximum is 5."),
        ("Smoking is allowed.", "Smoking is not permitted."),
        ("You may enter.", "You may not enter."),
        ("Cables longer than 5 m", "Cables shorter than 5 m"),
        ("the inbound port", "the outbound port"),
        ("It is valid.", "It is invalid."),
        ("该功能默认启用。", "该功能默认禁用。"),
        ("允许吸烟。", "不允许吸烟。"),
        ("孕妇可以服用。", "孕妇禁用。"),
        ("最大存量为 5 升", "最小存量为 5 升"),
        ("周期延长到 6 周", "周期缩短到 6 周"),
        ("指标收紧", "指標放寬"),
        ("周一开放", "周一闭馆"),
        ("第三季度之前", "第三季度之后"),
    ],
)
def test_opposites(one: str, other: str) -> None:
    assert opposed(one, other)
    assert opposed(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is not allowed.", "It is forbidden."),
        ("It must not be touched.", "It cannot be touched."),
        ("No later than May, before noon.", "before noon"),
        ("不得吸烟", "禁止吸烟"),
        ("不超过 5 天", "最多 5 天"),
        ("没有启用", "已停用"),
        ("It opens at 9 and closes at 5.", "It is open."),
        ("", "It is open."),
    ],
)
def test_no_opposites(one: str, other: str) -> None:
    assert not opposed(one, other)
    assert not opposed(other, one)
