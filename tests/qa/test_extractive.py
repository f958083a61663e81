from __future__ import annotations

import re

import pytest

from ingest.documents import Document
from qa.extracting.scores import SHOWN, Candidate
from qa.extractive import ENOUGH, LEAST, LEAST_ELSEWHERE, NAME, choose
from qa.knowledge_base import KnowledgeBase
from qa.language import NOT_ANSWERED
from qa.turn import Answer, Message
from tests.qa.conftest import CHINESE
from tests.qa.test_plugins import hit

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("question", "answer", "uri"),
    [
        ("How many days of annual leave does an employee have?", "25 days", "handbook.md"),
        ("How much may a hotel cost a night?", "120 euros", "handbook.md"),
        ("What does alarm E-17 mean?", "the door is open", "furnace.pdf"),
        ("水泵运行多久需要加注润滑油？", "五百小时", "产品/手册.md"),
        ("备用密封件多少钱？", "38 元", "产品/手册.md"),
    ],
)
def test_answers_with_quotes(kb: KnowledgeBase, question: str, answer: str, uri: str) -> None:
    answered = kb.ask(question)
    assert answer in answered.text
    assert answered.model == NAME
    assert not answered.abstained
    assert uri in {citation.uri for citation in answered.citations}
    assert 1 <= len(answered.citations) <= SHOWN
    for citation in answered.citations:
        text = kb.document(citation.uri).text
        assert citation.quote == text[citation.start : citation.end]
        assert citation.verified


def test_each_sentence_of_the_answer_is_a_quote_with_its_mark(kb: KnowledgeBase) -> None:
    answered = kb.ask("How many days of annual leave does an employee have?")
    lines = answered.text.split("\n")
    assert len(lines) == len(answered.citations)
    for number, (line, citation) in enumerate(zip(lines, answered.citations, strict=True), 1):
        assert citation.number == number
        assert line == f"{' '.join(citation.quote.split())} [{number}]"


def test_the_sentence_that_answers_stands_first(kb: KnowledgeBase) -> None:
    answered = kb.ask("When does annual leave of employees expire?")
    assert answered.citations[0].quote == "Leave that is not used by 31 March expires."
    assert len({citation.quote for citation in answered.citations}) == len(answered.citations)


def test_pages_and_headings(kb: KnowledgeBase) -> None:
    alarm = kb.ask("What does alarm E-17 mean?").citations[0]
    assert (alarm.uri, alarm.page) == ("furnace.pdf", 2)
    gloves = kb.ask("Do I wear gloves at all times?").citations[0]
    assert (gloves.uri, gloves.page) == ("furnace.pdf", 1)
    oil = kb.ask("水泵运行多久需要加注润滑油？").citations[0]
    assert (oil.page, oil.heading) == (None, ("水泵手册", "保养"))
    assert oil.quote in CHINESE


def test_streams_what_it_answers(kb: KnowledgeBase) -> None:
    tokens: list[str] = []
    answered = kb.ask("How much may a hotel cost a night?", tokens.append)
    assert "".join(tokens) == answered.text


@pytest.mark.parametrize(
    ("question", "language"),
    [("Which team won the football World Cup in 1998?", "en"), ("红烧肉要炖多长时间？", "zh")],
)
def test_says_that_the_documents_do_not_answer(
    kb: KnowledgeBase, question: str, language: str
) -> None:
    tokens: list[str] = []
    answered = kb.ask(question, tokens.append)
    assert answered.abstained
    assert answered.text == "".join(tokens)
    assert answered.text in NOT_ANSWERED.values()
    assert bool(re.search("[一-鿿]", answered.text)) == (language == "zh")
    assert answered.citations == ()


def ask(kb: KnowledgeBase, text: str, question: str) -> tuple[Answer, str]:
    kb.ingest_documents([Document.from_text(text, uri="new.txt")])
    tokens: list[str] = []
    return kb.ask(question, tokens.append, filters={"uri": "new.txt"}), "".join(tokens)


def test_a_document_of_headings_only_answers_nothing(kb: KnowledgeBase) -> None:
    answered, seen = ask(kb, "# Gearbox ratchet spindle", "gearbox ratchet spindle")
    assert answered.abstained
    assert answered.text == seen == NOT_ANSWERED["en"]


def test_numbers_in_brackets_of_the_quote_are_the_quotes_own(kb: KnowledgeBase) -> None:
    text = "The gearbox ratchet turns left as shown in [12] and in [1, 99]."
    answered, seen = ask(kb, text, "Which way does the gearbox ratchet turn?")
    assert [citation.quote for citation in answered.citations] == [text]
    assert answered.text == seen == f"{text} [1]"


PLANS = """# Plans

| Plan | Price | Storage |
| --- | --- | --- |
| A | 10 euros | 5 GB |
| B | 25 euros | 50 GB |
"""
STEPS = """To change the gearbox filter:

1. Switch the gearbox off.
2. Open the ratchet cover
   with a key.
3. Pull the filter out.

The filter lasts a year.
"""


def test_a_table_cell_reads_with_its_row_and_column(kb: KnowledgeBase) -> None:
    answered, seen = ask(kb, PLANS, "What is the price of plan B?")
    assert seen == "B — Price: 25 euros [1]"  # and not those of the other plans
    assert answered.citations[0].quote == "| B | 25 euros | 50 GB |"


def test_a_follow_up_is_about_what_was_asked_before(kb: KnowledgeBase) -> None:
    """All the way back, and with no row of anything else beside it."""
    rows = ["Ann Lee | Auditor | Bob Ray | 4401", "Mina Saito | Key accounts | Kwame Oti | 4472"]
    rows += ["Eve Poe | Lawyer | Bob Ray | 4433", "Ian Fox | Storage | Ann Lee | 4450"]
    head = "| Name | Role | Reports to | Phone |\n|---|---|---|---|"
    table = "\n".join([head, *(f"| {row} |" for row in rows)])
    kb.ingest_documents([Document.from_text(table, uri="staff.md")])
    asked = ["What is the role of Mina Saito?", "What is her phone number?"]
    history = [Message("user", question) for question in asked]

    assert kb.ask(asked[1], history=history[:1]).text == "Mina Saito — Phone: 4472 [1]"
    reports = kb.ask("Who does she report to?", history=history)
    assert reports.text == "Mina Saito — Reports to: Kwame Oti [1]"


def test_a_list_is_given_whole(kb: KnowledgeBase) -> None:
    answered, seen = ask(kb, STEPS, "What are the steps to change the gearbox filter?")
    assert [citation.quote for citation in answered.citations] == [STEPS[: STEPS.index("\n\nThe")]]
    assert seen.splitlines() == [
        "To change the gearbox filter:",
        "1. Switch the gearbox off.",
        "2. Open the ratchet cover with a key.",
        "3. Pull the filter out. [1]",
    ]
    assert all(statement.supported for statement in answered.statements)


def test_a_title_that_repeats_the_question_is_no_answer(kb: KnowledgeBase) -> None:
    text = "Gearbox ratchet inspector\n\nThe inspector is Ann Lee."
    answered, _ = ask(kb, text, "gearbox ratchet inspector")
    assert answered.citations[0].quote == "The inspector is Ann Lee."


OUTAGE = """\
# Label outage of 4 May

Labels could not be printed in either hall, and the outage lasted two hours.

## Root cause

The disk of the print server was full.

## Who was told

The shift leads were called at six.
"""


def test_the_heading_above_a_sentence_counts(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, OUTAGE, "What was the root cause of the outage?")
    assert answered.citations[0].quote == "The disk of the print server was full."


def test_a_question_of_the_document_is_no_answer(kb: KnowledgeBase) -> None:
    text = "**How can I delete my account?**\nWrite to the help desk, with your number.\n"
    answered, _ = ask(kb, text, "account deletion")
    assert answered.text == "Write to the help desk, with your number. [1]"


def test_what_stands_below_the_same_question_answers_it(kb: KnowledgeBase) -> None:
    text = (
        "# 常见问题\n\n### 年假有几天？\n\n工龄不满十年的为 8 天。当年未休完的年假可顺延。\n\n"
        "### 工牌丢了怎么办？\n\n先挂失，再到前台补办。\n\n"
        "### 谁来接我？\n\n前台会带您领取工牌。\n"
    )
    answered, _ = ask(kb, text, "年假有几天？")
    assert answered.citations[0].quote == "工龄不满十年的为 8 天。"
    answered, _ = ask(kb, text, "工牌丢了怎么办？")
    assert answered.citations[0].quote == "先挂失，再到前台补办。"


FORM = """\
Device: gearbox ratchet GR-310
Serial number: 88-2041
Inspected by: Marta Oliveira
Oil pressure: 4.2 bar
Result: passed with remarks
"""


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("Who inspected the gearbox ratchet GR-310?", "Inspected by: Marta Oliveira"),
        ("What was the oil pressure of GR-310?", "Oil pressure: 4.2 bar"),
        ("What is the serial number of gearbox ratchet GR-310?", "Serial number: 88-2041"),
    ],
)
def test_a_form_answers_with_the_field_asked_for(
    kb: KnowledgeBase, question: str, quote: str
) -> None:
    answered, _ = ask(kb, FORM, question)
    assert answered.citations[0].quote == quote


LEAFLET = """\
Gearbox oil leaflet

1. What the gearbox oil is for
It greases the ratchet and keeps the rust away from the shaft.

2. Storage of the gearbox oil
Keep it below 25 degrees, and away from children and pets.
"""


def test_headings_of_a_plain_text_are_no_answer(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, LEAFLET, "storage of gearbox oil")
    assert answered.citations[0].quote == LEAFLET.splitlines()[-1]


def test_a_list_elsewhere_is_not_the_list_asked_for(kb: KnowledgeBase) -> None:
    text = (
        "【不良反应】齿轮箱油常见刺激皮肤；偶见过敏。\n【注意事项】\n1. 戴手套。\n2. 不得饮用。\n"
    )
    answered, _ = ask(kb, text, "齿轮箱油有哪些不良反应？")
    assert answered.citations[0].quote == "【不良反应】齿轮箱油常见刺激皮肤；偶见过敏。"


CHANGES = """\
# Changes of the gearbox app

## 5.4.0 — 2025-03-18

- New: ratchet view.
- Removed: support for the old gearbox.

## 5.3.0 — 2024-12-05

- New: oil alarm.
- Fixed: the filter counter.
"""


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("When was the oil alarm added?", "5.3.0 — 2024-12-05 — New: oil alarm. [1]"),
        ("Which version brought the oil alarm?", "5.3.0 — 2024-12-05 — New: oil alarm. [1]"),
        ("What was fixed in 5.3.0?", "Fixed: the filter counter. [1]"),
    ],
)
def test_a_heading_tells_version_and_date(kb: KnowledgeBase, question: str, text: str) -> None:
    answered, _ = ask(kb, CHANGES, question)
    assert answered.text.startswith(text)
    assert answered.statements[0].supported


STAFF = """\
| Name | Reports to | Extension |
| --- | --- | --- |
| Dora Ratchet | Ann Gearbox (desk of extensions) | 8512 |
| Ann Gearbox | Otto Pump | 8501 |
"""


def test_the_row_that_is_named_comes_first(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, STAFF, "extension of Ann Gearbox")
    assert answered.citations[0].quote == "| Ann Gearbox | Otto Pump | 8501 |"


def test_what_leads_to_a_list_comes_with_it(kb: KnowledgeBase) -> None:
    text = "Do not touch the gearbox ratchet\n- while it turns,\n- without gloves.\n\nIt is loud.\n"
    answered, _ = ask(kb, text, "Can I touch the gearbox ratchet?")
    assert answered.citations[0].quote == text[: text.index("\n\n")]


TARIFFS = """\
| 项目 | 齿轮版 | 水泵版 |
| --- | --- | --- |
| 云端存储 | 100 GB | 1 TB |
| 年费 | 3,600元 | 16,800元 |
| 用户账号 | 5个 | 40个 |
"""


def test_a_price_is_answered_with_money(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, TARIFFS, "齿轮版价格是多少？")
    assert answered.citations[0].quote == "| 年费 | 3,600元 | 16,800元 |"


RATCHETS = """\
# Ratchet shop

| Ratchet | Colour | Price |
| --- | --- | --- |
| RA-10 | white | 29 € |
| RA-17 | black | 39 € |

## Can I return a gearbox?
Yes. Send it back within 14 days.

Engraving costs 12 euros. An engraved ratchet takes nine working days.
"""


def test_yes_alone_is_no_answer(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, RATCHETS, "Can I return a gearbox?")
    assert answered.text.startswith("Yes. Send it back within 14 days. [1]")
    assert answered.text.count("Send it back") == 1


def test_what_is_of_an_identifier_that_is_nowhere_is_refused(kb: KnowledgeBase) -> None:
    assert ask(kb, RATCHETS, "What colour is the RA-10?")[0].text == "RA-10 — Colour: white [1]"
    refused, _ = ask(kb, RATCHETS, "What colour is the RA-20?")
    assert refused.abstained
    assert refused.text == NOT_ANSWERED["en"]


def test_prices_of_a_table_are_not_those_of_what_it_does_not_name(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, RATCHETS, "engraving price")
    assert answered.text.startswith("Engraving costs 12 euros. [1]")


MINUTES = """\
# Gearbox club, 9 April 2025

3. Ratchet day. It takes place on 14 June from 11 to 16 o'clock.
"""


def test_the_date_above_is_not_that_of_what_says_nothing(kb: KnowledgeBase) -> None:
    answered, _ = ask(kb, MINUTES, "When is the ratchet day?")
    assert answered.citations[0].quote == "It takes place on 14 June from 11 to 16 o'clock."


POSTPONED = """\
# 棘轮俱乐部

海报设计推迟，原因是设计师请假。

决定将退款时限由7天缩短为3天，为棘轮会员。

团建改到5月17日，地点为莫干山。
"""


def test_a_bare_question_word_is_not_looked_for_as_a_word(kb: KnowledgeBase) -> None:
    asked = "海报设计推迟了吗？"
    ask(kb, POSTPONED, asked)
    answered = kb.ask("为什么？", history=[Message("user", asked)], filters={"uri": "new.txt"})
    assert answered.citations[0].quote == "海报设计推迟，原因是设计师请假。"


def shown_with(share: float, *, elsewhere: bool, before: str = "") -> int:
    """How many sentences are shown where the second has a chance of `share`."""
    first, other = hit(), hit()
    ranked = [
        Candidate(first, 0, 8, 2.0, ENOUGH - 0.1),
        Candidate(other if elsewhere else first, 9, 20, 1.0, share),
    ]
    return len(choose("ratchet", ranked, before=before))


def test_no_second_sentence_that_hardly_answers() -> None:
    assert LEAST < LEAST_ELSEWHERE
    assert shown_with(LEAST, elsewhere=False) == 2
    assert shown_with(LEAST - 0.01, elsewhere=False) == 1
    assert shown_with(LEAST_ELSEWHERE, elsewhere=True) == 2
    assert shown_with(LEAST, elsewhere=True) == 1
    assert shown_with(LEAST, elsewhere=True, before="gearbox") == 2
