from __future__ import annotations

import pytest

from qa.extracting.fields import field_of
from retrieval.terms import analyse


@pytest.mark.parametrize(
    ("line", "question", "is_asked_for", "says_nothing"),
    [
        ("Inspected by: Marta Oliveira", "Who inspected the pump?", True, False),
        ("**Oil pressure**: 4.2 bar", "What was the oil pressure?", True, False),
        ("operating_system: Debian 12", "Which operating system has it?", True, False),
        ("owner: Team Harbour", "Who is the owner of archive-07?", True, False),
        ("乙方：宁波博远泵业有限公司", "合同 CG-118 的乙方是谁？", True, False),
        ("合同编号：CG-118", "合同 CG-118 的乙方是谁？", False, True),
        ("Device: pump FP-310", "Who inspected pump FP-310?", False, True),
        ("Next inspection due: May 2026", "Who inspected the pump?", False, False),
        ("出租方（甲方）：杭州物业", "合同甲方是谁？", True, False),
        ("Lessor (landlord): Quay Ltd", "Who is the landlord?", True, False),
        ("Lessor (party A): Quay Ltd", "Who is the lessor?", True, False),
        ("Lessor (party A): Quay Ltd", "Who is party B?", False, False),
        ("【有效期】24个月", "安舒宁有效期多久？", True, False),
        ("Pump: FP-310", "Is FP-310 a pump?", False, True),
    ],
)
def test_a_field(line: str, question: str, is_asked_for: bool, says_nothing: bool) -> None:
    field = field_of(line)
    assert field is not None
    asked = frozenset(analyse(question))
    assert (field.is_asked_for(asked), field.says_nothing(asked)) == (is_asked_for, says_nothing)


@pytest.mark.parametrize(
    "line",
    [
        "The pump is checked each week.",
        "13:58 — the change is rolled out",
        "https://lumen.example/pumps",
        "| Price: net | 10 € |",
        "To change the filter:",
        "In the evening of the second day, when all had gone, he said: no.",
    ],
)
def test_what_is_no_field(line: str) -> None:
    assert field_of(line) is None
