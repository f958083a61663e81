from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk, Document, Page
from qa.evaluation.questions import Level, Question, question_of
from qa.evaluation.targets import Aim, Finder, holds_answer, squeezed
from retrieval.hits import Hit

TEXT = "The pump\nis oiled.\n第一章 水泵每运行五百\n小时加油。\n" + "x" * 60
DOCUMENTS = {
    uri: Document(uri, "0" * 64, TEXT, pages=(Page(1, 0, 19), Page(2, 19, len(TEXT))))
    for uri in ("docs/a.md", "b.md", "old/same.md", "new/same.md")
}


def asked(**fields: Any) -> Question:
    return question_of({"question": "q", **fields}, "line 1")


def aim(level: Level | None = None, **fields: Any) -> Aim:
    return Finder(DOCUMENTS, DOCUMENTS.__getitem__).aim(asked(**fields), level)


def hit(uri: str, start: int, end: int, page: int | None = None) -> Hit:
    text = TEXT[start:end]
    return Hit(Chunk(f"{uri}@0", uri, "", start, end, text, page=page), 0.5)


def test_documents_are_ranked_once_each() -> None:
    found = aim(document="b.md")
    hits = [hit("docs/a.md", 0, 8), hit("docs/a.md", 8, 19), hit("b.md", 0, 8), hit("b.md", 8, 19)]
    assert found.relevant == {"b.md": 1}
    assert found.ranking(hits) == ["docs/a.md", "b.md"]


@pytest.mark.parametrize("name", ["docs/a.md", "./docs/a.md", "a.md", "/home/me/docs/a.md"])
def test_documents_are_found_by_the_end_of_their_path(name: str) -> None:
    found = aim(document=name)
    assert (found.relevant, found.problem) == ({"docs/a.md": 1}, "")


@pytest.mark.parametrize("name", ["same.md", "c.md", "xa.md"])
def test_documents_that_are_not_there_are_missed(name: str) -> None:
    found = aim(document=name)
    assert found.problem == f"no document '{name}' in the base"
    assert not set(found.relevant) & set(found.ranking([hit("new/same.md", 0, 8)]))


def test_a_page() -> None:
    found = aim(document="b.md", page=2)
    assert (
        found.ranking([hit("b.md", 0, 12, 1), hit("b.md", 12, 24, 1), hit("b.md", 15, 40, 1)])[-1]
        in found.relevant
    )  # the third lies on page 2, though it begins on page 1
    assert not found.problem
    assert aim(document="b.md", page=9).problem == "b.md has no p. 9"


def test_a_span_by_offsets_and_by_quotation() -> None:
    for span in ([0, 18], "The pump is oiled."):
        found = aim(document="b.md", span=span)
        assert not found.problem
        assert set(found.ranking([hit("b.md", 0, 30)])) == set(found.relevant)
        assert set(found.ranking([hit("b.md", 8, 18)])) == set(found.relevant)
        assert not set(found.ranking([hit("b.md", 18, 50), hit("docs/a.md", 0, 18)])) & set(
            found.relevant
        )
    assert not aim(document="b.md", span="水泵每运行五百小时加油").problem
    assert "has no 'The fan'" in aim(document="b.md", span="The fan").problem
    assert "has no 0..9999" in aim(document="b.md", span=[0, 9999]).problem


def test_a_hit_may_meet_two_spans() -> None:
    found = aim(document="b.md", span=[[0, 8], [9, 18]])
    assert found.ranking([hit("b.md", 0, 18)]) == list(found.relevant)


def test_an_answer_without_a_place() -> None:
    found = aim(answer="oiled")
    assert (found.level, found.relevant) == ("answer", {"answer": 1})
    assert found.ranking([hit("b.md", 0, 8), hit("b.md", 8, 19)]) == ["b.md:0", "answer"]
    assert found.answer_ranking([hit("b.md", 0, 8), hit("b.md", 8, 19), hit("b.md", 0, 19)]) == [
        "0", "answer", "2",
    ]  # fmt: skip


def test_levels() -> None:
    everything: dict[str, Any] = {"answer": "oiled", "document": "b.md", "page": 1, "span": [0, 8]}
    assert aim(**everything).level == "passage"
    assert aim("document", **everything).relevant == {"b.md": 1}
    assert aim("answer", **everything).relevant == {"answer": 1}
    assert aim("passage", document="b.md").level == "document"
    assert aim("page", document="b.md", page=1).level == "page"


def test_a_span_at_the_level_of_pages() -> None:
    found = aim("page", document="b.md", span="The pump is oiled.")
    assert (found.level, found.problem) == ("page", "")
    assert set(found.ranking([hit("b.md", 12, 18, 1)])) == set(found.relevant)
    assert not set(found.ranking([hit("b.md", 30, 40, 2)])) & set(found.relevant)
    missing = aim("page", document="b.md", span="The fan")
    assert missing.relevant
    assert "has no 'The fan'" in missing.problem
    plain = {"c.md": Document("c.md", "0" * 64, TEXT)}
    question = asked(document="c.md", span="The pump is oiled.")
    assert Finder(plain, plain.__getitem__).aim(question, "page").relevant == {"c.md": 1}


def test_a_question_without_answer_has_nothing_relevant() -> None:
    assert aim(unanswerable=True).relevant == {}


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("It costs 7 euros.", "7", True),
        ("It costs 17 euros.", "7", False),
        ("Monday to Friday", "day", False),
        ("Wait 90\nseconds", "wait 90 seconds", True),
        ("保修期为 36\n个月。", "36个月", True),
        ("保修期为36个月", "36 个月", True),
        ("ＬＳ－４００", "ls-400", True),
        ("C++ (2020)", "c++", True),
        ("", "x", False),
    ],
)
def test_holding_an_answer(text: str, answer: str, held: bool) -> None:
    assert holds_answer(text, [answer]) is held


def test_no_answer_is_held_by_nothing() -> None:
    assert not holds_answer("text", [])
    assert not holds_answer("text", [""])


@given(st.text(max_size=50), st.text(max_size=10), st.text(max_size=10))
def test_a_text_holds_itself(answer: str, before: str, after: str) -> None:
    if squeezed(answer):
        assert holds_answer(f"{before} \n {answer} \n {after}", [answer])
