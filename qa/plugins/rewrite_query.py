"""`rewrite_query`: what is looked up for a question that follows others."""

from __future__ import annotations

from dataclasses import replace

from qa.turn import Handler, Turn


def rewrite_query(turn: Turn, call_next: Handler) -> Turn:
    """Look up the question, with the previous one before it when there is a conversation.

    "And in winter?" says too little by itself; with "How many days of leave in summer?" before it,
    its words find the passage.
    """
    asked = [message.content for message in turn.history if message.role == "user"]
    query = " ".join([*asked[-1:], turn.question])
    return call_next(replace(turn, query=turn.query or query))
