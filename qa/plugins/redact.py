"""`redact`: personal data and keys stay here; the LLM sees placeholders."""

from __future__ import annotations

from dataclasses import replace

from qa.redaction import UNFINISHED, hidden
from qa.streaming import edited
from qa.turn import Handler, Turn


def redact(turn: Turn, call_next: Handler) -> Turn:
    """Hide what `qa.redaction` finds in the prompt (question, history, sources), and put it back
    into the answer, also as it streams. A picture goes as it is, the words read in it redacted."""
    shown, redaction = hidden(turn.prompt)
    return edited(replace(turn, prompt=shown), call_next, redaction.restore, UNFINISHED)
