from __future__ import annotations

from dataclasses import replace

import pytest

from qa.language import NOT_ANSWERED
from qa.plugins.require_evidence import refuse, require_evidence
from qa.turn import Answer, Turn
from retrieval.hits import Hit
from tests.qa.test_plugins import hit, never, saying


def test_evidence_lets_pass() -> None:
    turn = require_evidence(min_score=0.9)(Turn("q", hits=(hit(),)), saying("yes"))
    assert (turn.text, turn.abstained) == ("yes", False)


@pytest.mark.parametrize(
    ("evidence", "doubtful"), [(0.1, True), (0.49, True), (0.5, False), (0.9, False), (None, False)]
)
def test_an_answer_on_weak_evidence_is_doubtful(evidence: float | None, doubtful: bool) -> None:
    turn = Turn("q", hits=(hit(score=0.3),), evidence=evidence)
    answered = require_evidence(min_score=0.1, sure_score=0.5)(turn, saying("yes"))
    assert (answered.text, answered.doubtful) == ("yes", doubtful)
    assert (Answer.of(answered).evidence, Answer.of(answered).doubtful) == (evidence, doubtful)


def test_a_doubt_of_a_plugin_further_in_stays() -> None:
    turn = Turn("q", hits=(hit(),), evidence=0.9)
    plugin = require_evidence(min_score=0.1, sure_score=0.5)
    assert plugin(turn, lambda asked: replace(asked, text="yes", doubtful=True)).doubtful


def test_a_refusal_is_not_doubtful() -> None:
    turn = Turn("q", hits=(hit(),), evidence=0.2)
    plugin = require_evidence(min_score=0.1, sure_score=0.5)
    answered = plugin(turn, refuse)  # as a model does that finds no answer in the sources
    assert (answered.abstained, answered.doubtful) == (True, False)


@pytest.mark.parametrize("hits", [(), (hit(score=0.39),)])
@pytest.mark.parametrize(("question", "language"), [("How high?", "en"), ("多高？", "zh")])
def test_without_evidence_it_refuses(hits: tuple[Hit, ...], question: str, language: str) -> None:
    tokens: list[str] = []
    plugin = require_evidence(min_score=0.4)
    turn = plugin(Turn(question, hits=hits, on_token=tokens.append), never)
    assert turn.abstained
    assert turn.text == "".join(tokens) == {"en": NOT_ANSWERED["en"],
                                            "zh": NOT_ANSWERED["zh"]}[language]  # fmt: skip
    assert turn.hits == hits
    assert turn.citations == ()
