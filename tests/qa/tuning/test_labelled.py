from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.documents import Chunk
from qa.evaluation.questions import Question
from qa.server.database import Database
from qa.server.feedback import Cited, Feedback, Verdict, questions
from qa.settings import load_settings
from qa.tuning.labelled import (
    MOST_OF_A_DOCUMENT,
    feedback_questions,
    pairs_of_questions,
    resolved,
)

TEXTS = ["The pump moves forty litres.", "The seal lasts two years.", "Call the workshop.", "End."]


def chunks() -> dict[str, list[Chunk]]:
    made, start = [], 0
    for position, text in enumerate(TEXTS):
        end = start + len(text)
        page = 1 + position // 2
        made.append(Chunk("a.pdf@1", "a.pdf", "", start, end, text, page=page, position=position))
        start = end + 1
    return {"a.pdf": made}


def positions(**known: object) -> list[int]:
    question = Question("1", "How long?", documents={"a.pdf": 1}, **known)  # type: ignore[arg-type]
    found = list(pairs_of_questions([question], chunks(), "labelled"))
    assert all(pair.kind == "labelled" and pair.query == "How long?" for pair in found)
    assert all(pair.passage == TEXTS[pair.position] for pair in found)
    return [pair.position for pair in found]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"spans": ("seal lasts",)}, [1]),
        ({"spans": ((30, 50),)}, [1]),
        ({"spans": ("nowhere",)}, []),
        ({"pages": (2,)}, [2, 3]),
        ({"pages": (1,), "answers": ("two years",)}, [1]),
        ({"answers": ("two years",)}, [1]),
        ({}, [0, 1, 2]),
        ({"unanswerable": True}, []),
    ],
)
def test_a_question_leads_to_the_passages_that_it_names(
    known: dict[str, object], expected: list[int]
) -> None:
    assert positions(**known) == expected
    assert len(expected) <= MOST_OF_A_DOCUMENT


def test_documents_are_named_as_for_an_evaluation() -> None:
    names: list[dict[str, int]] = [{"./docs/a.pdf": 1, "gone.pdf": 2}, {"b.pdf": 1}, {}]
    asked = [Question(str(number), "How long?", documents=one) for number, one in enumerate(names)]
    found = resolved(asked, ["docs/a.pdf", "c/b.pdf", "d/b.pdf"])
    assert [(one.id, one.documents) for one in found] == [("0", {"docs/a.pdf": 1}), ("2", {})]


def test_documents_that_are_not_there_give_nothing() -> None:
    asked = Question("1", "How long?", documents={"b.pdf": 1})
    assert list(pairs_of_questions([asked], chunks(), "labelled")) == []


def test_what_helped_at_the_server_is_asked(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, kb="handbook")
    assert feedback_questions(settings) == []
    with closing(Database(tmp_path / ".server")) as database:
        kept = Feedback(database)
        cited = (Cited("a.pdf", 1, 30, 40, "seal lasts", "f" * 64),)
        kept.add("handbook", "me", Verdict("How long?", "Two years [1].", True, cited, 1.0))
        kept.add("handbook", "me", Verdict("How wide?", "No idea.", False, cited, 2.0))
        kept.add("other", "me", Verdict("How high?", "High [1].", True, cited, 3.0))
    (asked,) = feedback_questions(settings)
    assert (asked.text, asked.spans, dict(asked.documents)) == (
        "How long?", ("seal lasts",), {"a.pdf": 1},
    )  # fmt: skip
    elsewhere = settings.model_copy(update={"kb": "http://127.0.0.1:6333/handbook"})
    assert feedback_questions(elsewhere) == []


def test_feedback_that_is_no_question_is_passed_over(tmp_path: Path) -> None:
    good = Cited("a.pdf", 1, 30, 40, "seal lasts", "f" * 64)
    with closing(Database(tmp_path / ".server")) as database:
        kept = Feedback(database)
        for question, cited in (
            (" ", good),
            ("How wide?", replace(good, page=0)),
            ("How high?", replace(good, quote="\n\n")),
            ("How deep?", replace(good, uri=" ")),
            ("How long?", good),
        ):
            kept.add("handbook", "me", Verdict(question, "So [1].", True, (cited,), 1.0))
        assert [row["question"] for row in questions(kept.list("handbook", 10))] == ["How long?"]
    settings = load_settings(data_dir=tmp_path, kb="handbook")
    assert [asked.text for asked in feedback_questions(settings)] == ["How long?"]
