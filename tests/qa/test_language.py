from __future__ import annotations

import pytest

from qa.language import NOT_ANSWERED, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long?", "en"),
        ("保修多久？", "zh"),
        ("LS-200 的 firmware 怎么 upgrade？", "zh"),
        ("臺灣服務站在哪裡", "zh"),
        ("", "en"),
        ("42 €?", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_refusal_is_in_the_language_of_the_question() -> None:
    assert {language: language_of(text) for language, text in NOT_ANSWERED.items()} == {
        "en": "en",
        "zh": "zh",
    }
