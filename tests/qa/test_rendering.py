from __future__ import annotations

import json
from dataclasses import replace

import pytest

from qa.knowledge_base import KnowledgeBase
from qa.rendering import (
    answer_json,
    explanation_json,
    hit_json,
    place,
    remarks,
    show_explanation,
    show_hits,
    show_nearest,
    show_sources,
)
from qa.turn import Answer, Citation, Statement

QUESTION = "What does alarm E-17 mean?"
HIT_FIELDS = ["rank", "uri", "title", "heading", "page", "start", "end", "score", "legs", "text",
              "copies", "metadata"]  # fmt: skip
CITATION_FIELDS = ["number", "uri", "page", "start", "end", "quote", "verified"]
ANSWER_FIELDS = [
    "text", "abstained", "evidence", "doubtful", "citations", "statements", "query",
    "hits", "model", "usage", "cost", "notes", "timings",
]  # fmt: skip


def test_json_of_hits(kb: KnowledgeBase) -> None:
    hits = [hit_json(rank, hit) for rank, hit in enumerate(kb.search(QUESTION), 1)]
    assert all(list(hit) == HIT_FIELDS for hit in hits)
    first = hits[0]
    assert (first["rank"], first["uri"], first["page"]) == (1, "furnace.pdf", 1)
    assert first["legs"]["lexical"]["rank"] == 1
    assert json.loads(json.dumps(hits)) == hits


def test_json_of_an_answer(kb: KnowledgeBase) -> None:
    answer = answer_json(kb.ask(QUESTION))
    assert list(answer) == ANSWER_FIELDS
    assert list(answer["hits"][0]) == HIT_FIELDS
    citation = answer["citations"][0]
    assert list(citation) == [*CITATION_FIELDS, "title", "heading"]
    assert citation["verified"] is True
    assert json.loads(json.dumps(answer)) == answer


def test_json_of_an_explanation(kb: KnowledgeBase) -> None:
    reasons = explanation_json(kb.explain(QUESTION))
    names = [
        "evidence", "cut", "dropped", "reasons", "weights", "known_share", "terms", "timings",
    ]  # fmt: skip
    assert list(reasons) == names
    assert sum(reasons["weights"].values()) == pytest.approx(1)


def test_hits_for_people(kb: KnowledgeBase, capsys: pytest.CaptureFixture[str]) -> None:
    found = kb.explain(QUESTION, 2)
    show_hits(found.hits, explained=found)
    show_explanation(found, min_score=found.evidence + 0.1)
    out = capsys.readouterr().out
    assert " 1. " in out
    assert "furnace.pdf, p. 1" in out
    assert "lexical rank 1 score " in out
    assert "timings: embed " in out
    assert "x dense + " in out
    assert "feedback +" in out
    assert "says that the documents do not answer (min_score " in out
    show_explanation(found, min_score=0.0, sure_score=found.evidence + 0.1)
    assert "`ask` answers, as doubtful below " in capsys.readouterr().out


def answered(*statements: Statement) -> Answer:
    cited = tuple(citation for statement in statements for citation in statement.citations)
    return Answer("", cited, (), False, "", {}, {}, statements=statements)


@pytest.mark.parametrize(("evidence", "figure"), [(0.25, " (evidence 0.25)"), (None, "")])
def test_a_doubt_is_told_with_or_without_a_figure(evidence: float | None, figure: str) -> None:
    answer = replace(answered(), doubtful=True, evidence=evidence)
    said = "the documents may not answer this, check the quotes"
    assert list(remarks(answer)) == [f"doubtful{figure}: {said}"]
    assert list(remarks(answered())) == []


def test_sources_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    first = Citation(1, "a.md", 3, 0, 9, "two\n lines", False, heading=("A", "B"))
    other = Citation(2, "b.md", None, 0, 3, "one", True)
    again = replace(other, start=9, end=12, quote="two")
    show_sources(answered(Statement(0, 1, "x", (other, first)), Statement(1, 2, "y", (again,)),
                          Statement(2, 3, "it\nis", support=0.1, supported=False)))  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "",
        "[1] a.md, p. 3, A > B  (not verified)",
        '    "two lines"',
        "[2] b.md",
        '    "one"',
        '    "two"',
        "[unsupported] it is",
    ]
    show_sources(answered())
    assert capsys.readouterr().out == ""


def test_json_of_statements() -> None:
    cited = Citation(2, "b.md", None, 0, 3, "one", True)
    shown = answer_json(answered(Statement(0, 5, "x", (cited,), 0.87654, True)))["statements"]
    assert shown == [
        {"start": 0, "end": 5, "text": "x", "citations": [0], "support": 0.8765, "supported": True}
    ]


def test_nearest_passages_go_to_stderr(
    kb: KnowledgeBase, capsys: pytest.CaptureFixture[str]
) -> None:
    show_nearest(kb.search(QUESTION))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nearest passages:\n")
    assert len(err.splitlines()) == 4
    show_nearest([])
    assert "kbqa ingest FOLDER" in capsys.readouterr().err
    show_nearest([], filtered=True)
    assert capsys.readouterr().err == "no passage fits the filter\n"


def test_a_place_names_what_there_is() -> None:
    assert place("a.md", None, ()) == "a.md"
    assert place("a.pdf", 2, ("A",)) == "a.pdf, p. 2, A"
