from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ingest.documents import Document, Section
from ingest.errors import BadRequest
from qa.evaluation import QuestionSet, evaluate, generate
from qa.evaluation.generating import from_text
from qa.evaluation.questions import question_json, question_of
from qa.knowledge_base import KnowledgeBase
from qa.models import Reply
from qa.turn import Message
from retrieval.embedding import Embedder
from tests.fakes import HashEmbedder

pytestmark = pytest.mark.integration


def sectioned(text: str, *headings: str, title: str = "Guide") -> Document:
    """A document in which each of `headings` is a line that governs what follows."""
    starts = [text.index(heading) for heading in headings] + [len(text)]
    sections = tuple(
        Section(heading.lstrip("# "), 2, start, end)
        for heading, start, end in zip(headings, starts, starts[1:], strict=False)
    )
    return Document("guide.md", "0" * 64, text, title=title, sections=sections)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("A blue tag is a label on an instrument that waits.", "What is a blue tag?"),
        ("The golden unit is the reference for all others.", "What is the golden unit?"),
        ("Blazed gratings are the most common ones here.", "What are Blazed gratings?"),
        ("PLS stands for partial least squares.", "What does PLS stand for?"),
        ("A red label means that it must stay off.", "What does red label mean?"),
        ("**Etaloning** — fringes caused by interference.", "What is Etaloning?"),
        ("暗参考是指快门关闭时的一次扫描。", "什么是暗参考？"),
        ("- **校准**：让仪器的读数与标准一致的操作。", "什么是校准？"),
    ],
)
def test_definitions(text: str, question: str) -> None:
    document = Document.from_text(text, uri="a.md")
    assert [found.text for found in from_text(document)] == [question]


@pytest.mark.parametrize(
    "text",
    [
        "It is the best of all known ways.",
        "There are a lot of things to do here.",
        "On top of that is a bonus for everyone.",
        "这是一种很好的办法，大家都用。",
        "The door was open.",
        "",
    ],
)
def test_what_defines_nothing(text: str) -> None:
    assert list(from_text(Document.from_text(text, uri="a.md"))) == []


def test_headings() -> None:
    text = (
        "# 2. Leave\n\nYou may take your leave at any time of the year.\n\n# Empty\n\n"
        "# 三、保养\n\n每运行五百小时加注一次润滑油。\n\n# Who may travel?\n\nAll of the staff may."
    )
    document = sectioned(text, "# 2. Leave", "# Empty", "# 三、保养", "# Who may travel?")
    found = list(from_text(document))
    assert [question.text for question in found] == [
        'What does "Guide" say about Leave?',
        "《Guide》对“保养”是怎么说的？",
        "Who may travel?",
    ]
    assert [question.spans for question in found] == [
        ("You may take your leave at any time of the year.",),
        ("每运行五百小时加注一次润滑油。",),
        ("All of the staff may.",),
    ]


def test_a_heading_with_sub_headings_only_is_not_asked_about() -> None:
    text = "# Outer\n\n# Inner\n\nThis is what it says of it."
    outer = Section("Outer", 1, 0, len(text))
    inner = Section("Inner", 2, text.index("# Inner"), len(text))
    document = Document("a.md", "0" * 64, text, title="T", sections=(outer, inner))
    assert [q.text for q in from_text(document)] == ['What does "T" say about Inner?']


def test_questions_of_a_base_repeat_and_are_spread(kb: KnowledgeBase) -> None:
    found = generate(kb, 4, seed=1)
    assert found == generate(kb, 4, seed=1)
    assert len({question.text for question in found}) == len(found) == 4
    assert {next(iter(q.documents)) for q in found} >= {"handbook.md", "产品/手册.md"}
    for question in found:
        assert question_of(question_json(question), "line 1") == question
    everything = generate(kb, 1000)
    assert len(everything) < 1000


def test_archives_and_files_without_text_are_passed_over(
    tmp_path: Path, embedder: Embedder
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    with zipfile.ZipFile(docs / "archive.zip", "w") as archive:
        archive.writestr("guide.md", "A blue tag is a label on an instrument that waits.\n")
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as base:
        assert base.ingest(docs).failed == 1
        found = generate(base, 5)
    assert [question.text for question in found] == ["What is a blue tag?"]


def test_generated_questions_can_be_evaluated(kb: KnowledgeBase) -> None:
    found = evaluate(kb, QuestionSet("generated", tuple(generate(kb, 100))))
    assert found.problems == []
    recall = found.figure("recall@10")
    assert recall is not None
    assert recall.mean > 0.8


def test_bad_counts_and_an_empty_base(kb: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="--generate 0"):
        generate(kb, 0)
    with (
        KnowledgeBase.open(tmp_path / "kb2", embedder=HashEmbedder()) as base,
        pytest.raises(BadRequest, match="holds no documents"),
    ):
        generate(base, 3)


class Asker:
    """A `ChatModel` that answers by a function of the prompt, and counts."""

    name = "fake:asker"

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer = answer
        self.calls = 0

    def generate(
        self,
        messages: Sequence[Message],
        *,
        on_token: Callable[[str], None] | None = None,
    ) -> Reply:
        self.calls += 1
        return Reply(self._answer(messages[-1].content))


def test_a_model_writes_the_questions(kb: KnowledgeBase) -> None:
    def answer(prompt: str) -> str:
        language = "保养" if "水泵" in prompt else "leave"
        quoted = "五百小时" if "水泵" in prompt else "25 days"
        row = {"question": f"{language}?", "answer": quoted}
        return f"Here you are:\n```json\n{json.dumps(row)}\n```"

    found = generate(kb, 5, model=Asker(answer))
    assert {question.text for question in found} <= {"保养?", "leave?"}
    assert "leave?" in {question.text for question in found}
    (leave,) = [question for question in found if question.text == "leave?"]
    assert leave.answers == ("25 days",)
    assert dict(leave.documents) == {"handbook.md": 1}
    assert leave.metadata == {"from": "fake:asker"}
    assert evaluate(kb, QuestionSet("q", tuple(found))).problems == []


@pytest.mark.parametrize(
    "reply",
    ["no JSON", "{}", "{broken", "[]", '{"question": "", "answer": "25 days"}', "{1}",
     '{"question": "x", "answer": "nowhere in it"}', '{"question": null, "answer": "zzz"}'],
)  # fmt: skip
def test_a_model_that_talks_nonsense_gives_nothing_and_is_not_asked_for_ever(
    reply: str, kb: KnowledgeBase
) -> None:
    model = Asker(lambda prompt: reply)
    assert generate(kb, 1, model=model) == []
    assert 1 <= model.calls <= 3
