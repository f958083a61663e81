"""`require_evidence`: no answer without a passage that covers the question."""

from __future__ import annotations

from dataclasses import replace

from qa.language import NOT_ANSWERED, language_of
from qa.turn import Handler, Plugin, Turn


def refuse(turn: Turn) -> Turn:
    """The turn with the statement that the documents do not answer it."""
    text = NOT_ANSWERED[language_of(turn.question)]
    return replace(turn, text=text, citations=(), abstained=True)


def require_evidence(*, min_score: float, sure_score: float = 0.0) -> Plugin:
    """A plugin that refuses when the evidence is below `min_score`; the hits stay. What is answered
    on evidence below `sure_score` is `doubtful`.

    Without a figure (the hits came from elsewhere) the best hit's score stands for it, and nothing
    is doubtful.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        best = turn.hits[0].score if turn.hits else 0.0
        if turn.hits and (best if turn.evidence is None else turn.evidence) >= min_score:
            answered = call_next(turn)
            weak = turn.evidence is not None and turn.evidence < sure_score
            doubtful = (weak or answered.doubtful) and not answered.abstained
            return replace(answered, doubtful=doubtful)
        turn = refuse(turn)
        if turn.on_token:
            turn.on_token(turn.text)
        return turn

    return plugin
