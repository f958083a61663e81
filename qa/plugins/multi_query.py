"""`multi_query`: the question in other words, each looked up."""

from __future__ import annotations

from dataclasses import replace

from qa.asking import asked_aside, questions_in, searched_also
from qa.language import language_of
from qa.models import ChatModel
from qa.prompting import Prompts
from qa.turn import Handler, Plugin, Turn
from retrieval.index import Index

QUERIES = 3


def multi_query(model: ChatModel, index: Index, prompts: Prompts) -> Plugin:
    """A plugin that adds what is found for the question put otherwise to the hits.

    The evidence is that of the wording which the base answers best: all ask the same.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        question = turn.query or turn.question
        prompt = prompts.fill("multi_query", language_of(question), question=question)
        turn, reply = asked_aside(turn, model, prompt, by="multi_query")
        turn, proofs = searched_also(turn, index, questions_in(reply, most=QUERIES))
        if turn.evidence is not None:
            turn = replace(turn, evidence=max([turn.evidence, *proofs]))
        return call_next(turn)

    return plugin
