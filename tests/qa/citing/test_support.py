from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.citing.support import SUPPORTED, support

LEAVE = "Full-time employees receive 26 days of paid annual leave per calendar year."
TRIAL = "专业版可以免费试用45天，无需绑定付款方式；"


@pytest.mark.parametrize(
    ("passage", "true", "false"),
    [
        (LEAVE, "You have 26 days of annual leave.", "You have 28 days of annual leave."),
        (
            LEAVE,
            "Employees receive 26 days of leave.",
            "Employees do not receive 26 days of leave.",
        ),
        (LEAVE, LEAVE, LEAVE.replace("Full-time", "Part-time")),
        (LEAVE, LEAVE, "The furnace heats steel."),
        (LEAVE, LEAVE, LEAVE.replace("days", "weeks")),
        (TRIAL, "专业版可免费试用45天。", "专业版可免费试用30天。"),
        (TRIAL, "试用专业版不需要绑定付款方式。", "试用专业版需要绑定付款方式。"),
        (TRIAL, TRIAL, TRIAL.replace("专业", "企业")),
        ("It is rated B (approved).", "It is rated B.", "It is rated C."),
        ("建议把 B 套母版移走", "建议把 B 套母版移走", "建议把 A 套母版移走"),
        ("a cable of 50 metres", "a cable of 50 m", "a cable of 50 millimetres"),
        ("Piotr Zielinski owns it.", "It is owned by Piotr Zielinski.", "Hannah Okafor owns it."),
    ],
)
def test_true_and_false(passage: str, true: str, false: str) -> None:
    assert support(true, passage) >= SUPPORTED > support(false, passage)


def test_context_helps_a_statement_but_not_its_numbers() -> None:
    statement, passage = "The LS-400 weighs 12 kg.", "It weighs 12 kg."
    assert support(statement, passage) < SUPPORTED <= support(statement, passage, context="LS-400")
    assert support("It weighs 12 kg.", "It weighs 9 kg.", context="12 kg") < SUPPORTED


@pytest.mark.parametrize(
    ("statement", "passage", "context"),
    [
        (
            "Benedict Shaw is the project lead of Osprey.",
            "Sponsor: Benedict Shaw",
            "Project Osprey",
        ),
        ("Pavel is responsible for the move.", "Cc: Pavel Novak", "Warehouse move"),
        ("There is a discount on Solo.", "| Solo | $9 |", ""),
        ("乙方可以转租。", "承租方（乙方）：岚海科技", ""),
    ],
)
def test_a_name_alone_supports_nothing(statement: str, passage: str, context: str) -> None:
    assert support(statement, passage, context=context) < SUPPORTED


def test_meaning_counts_as_far_as_the_embedder_knows_the_words() -> None:
    statement, passage = "Staff may stay at home on Friday.", "Friday is a remote day."
    low = support(statement, passage)
    assert support(statement, passage, cosine=0.8, known=0.0) == low
    assert support(statement, passage, cosine=0.8, known=1.0) > low


def test_nothing_said_is_not_supported() -> None:
    assert support("", LEAVE) == support("the of", LEAVE) == support("...", LEAVE) == 0.0


@given(
    st.text("ab 12天水泵不，.|-\n€%", max_size=60), st.text("ab 12天水泵不，.|-\n€%", max_size=60)
)
def test_support_is_a_share(statement: str, passage: str) -> None:
    assert 0.0 <= support(statement, passage, cosine=0.5, known=1.0) <= 1.0
