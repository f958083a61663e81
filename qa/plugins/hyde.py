"""`hyde`: a passage as it might answer, looked up (Gao et al. 2022)."""

from __future__ import annotations

from qa.asking import asked_aside, searched_also
from qa.language import language_of
from qa.models import ChatModel
from qa.prompting import Prompts
from qa.turn import Handler, Plugin, Turn
from retrieval.index import Index


def hyde(model: ChatModel, index: Index, prompts: Prompts) -> Plugin:
    """A plugin that adds what is found for an invented answer to the hits.

    The evidence stays that of the question: what the model invents proves nothing.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        question = turn.query or turn.question
        prompt = prompts.fill("hyde", language_of(question), question=question)
        turn, reply = asked_aside(turn, model, prompt, by="hyde")
        turn, _ = searched_also(turn, index, [f"{question}\n{reply}"] if reply else [])
        return call_next(turn)

    return plugin
