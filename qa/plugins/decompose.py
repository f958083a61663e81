"""`decompose`: the parts of a question, each looked up."""

from __future__ import annotations

from dataclasses import replace

from qa.asking import asked_aside, questions_in, searched_also
from qa.language import language_of
from qa.models import ChatModel
from qa.prompting import Prompts
from qa.turn import Handler, Plugin, Turn
from retrieval.index import Index

PARTS = 4


def decompose(model: ChatModel, index: Index, prompts: Prompts) -> Plugin:
    """A plugin that adds what is found for each part of the question to the hits.

    The evidence is the question's own or the mean of its parts, whichever is more: a part that the
    base does not answer counts.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        question = turn.query or turn.question
        prompt = prompts.fill("decompose", language_of(question), question=question)
        turn, reply = asked_aside(turn, model, prompt, by="decompose")
        parts = [part for part in questions_in(reply, most=PARTS) if part != question]
        turn, proofs = searched_also(turn, index, parts)
        if turn.evidence is not None and proofs:
            mean = sum(proofs) / len(proofs)
            turn = replace(turn, evidence=max(turn.evidence, mean))
        return call_next(turn)

    return plugin
