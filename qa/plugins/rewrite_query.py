"""`rewrite_query`: what is looked up for a question that follows others."""

from __future__ import annotations

from dataclasses import replace

from qa.asking import asked_aside, questions_in
from qa.follow_ups import asks_nothing, leant_on
from qa.language import ASK_ON, language_of
from qa.models import ChatModel
from qa.neutral import neutral
from qa.prompting import Prompts
from qa.turn import Handler, Plugin, Turn
from retrieval.terms import analyse_query, stems

MESSAGES = 6  # of the history that a model is shown, as in the prompt
LONGEST = 1000  # characters of each: the names that a follow-up means stand early


def rewrite_query(model: ChatModel | None = None, prompts: Prompts | None = None) -> Plugin:
    """A plugin that fills `turn.query`: the question, understandable without what came before.

    "And in winter?" says too little by itself. A model writes it out; without one, or when it
    fails, the questions that it leans on (`qa.follow_ups`) bring the words that find the passage. A
    question that stands for itself is left alone then, and what asks nothing ("thanks") is answered
    with a question.
    """
    templates = prompts or Prompts()

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        asked = [message.content for message in turn.history if message.role == "user"]
        if turn.query or not asked:
            return call_next(replace(turn, query=turn.query or turn.question))
        if model is None and asks_nothing(turn.question) and not turn.images:
            text = ASK_ON[language_of(turn.question)]
            if turn.on_token:
                turn.on_token(text)
            return replace(turn, query=turn.question, text=text)
        query = ""
        if model is not None:
            turn, query = _written_out(turn, model, templates)
        query = query or " ".join([*leant_on(turn.question, turn.history), turn.question])
        return call_next(replace(turn, query=query))

    return plugin


def _written_out(turn: Turn, model: ChatModel, prompts: Prompts) -> tuple[Turn, str]:
    history = "\n".join(
        f"{message.role}: {neutral(message.content[:LONGEST])}"
        for message in turn.history[-MESSAGES:]
    )
    prompt = prompts.fill(
        "rewrite_query", language_of(turn.question), history=history, question=turn.question
    )
    turn, reply = asked_aside(turn, model, prompt, by="rewrite_query")
    written = next(iter(questions_in(reply, most=1)), "")
    return turn, written if _says_the_same(turn.question, written) else ""


def _says_the_same(question: str, written: str) -> bool:
    """Whether anything of the question is left: a small model answers instead of rewriting."""
    asked = set(stems(analyse_query(question)))
    return not asked or bool(asked & set(stems(analyse_query(written))))
