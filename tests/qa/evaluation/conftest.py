"""Questions on the four files of the small base, whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa.evaluation import Evaluation, QuestionSet, evaluate, load_questions
from qa.knowledge_base import KnowledgeBase
from retrieval.embedding import Embedder
from tests.sample_base import copy_base

QUESTIONS: list[dict[str, Any]] = [
    {
        "question": "How many days of annual leave do employees have?",
        "answer": "25 days",
        "document": "handbook.md",
        "span": "Every employee has 25 days of annual leave a year.",
    },
    {"question": "What does alarm E-17 mean?", "answer": "the door is open",
     "document": "furnace.pdf", "page": 2},
    {"question": "备用密封件多少钱？", "answer": "38 元", "document": "产品/手册.md"},
    {"question": "Where does the new warehouse open?", "answer": "Rotterdam"},
    {"question": "How long should an ostrich egg be boiled?", "unanswerable": True},
]  # fmt: skip


def write_questions(path: Path) -> Path:
    """`QUESTIONS` as a file."""
    lines = (json.dumps(row, ensure_ascii=False) for row in QUESTIONS)
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> QuestionSet:
    """`QUESTIONS` as they are read."""
    folder = tmp_path_factory.mktemp("questions")
    return load_questions(write_questions(folder / "questions.jsonl"))


@pytest.fixture(scope="session")
def evaluation(
    library: Path,
    questions: QuestionSet,
    embedder: Embedder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluation:
    """The small base on `QUESTIONS`, answers too."""
    folder = copy_base(library, tmp_path_factory.mktemp("evaluated") / "kb")
    with KnowledgeBase.open(folder, embedder=embedder) as base:
        return evaluate(base, questions, answers=True)
