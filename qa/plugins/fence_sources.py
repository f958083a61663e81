"""`fence_sources`: the sources as quotations that nothing in them can end."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from secrets import token_bytes

from qa.neutral import neutral
from qa.plugins.build_prompt import described
from qa.turn import Handler, Plugin, Turn

_LETTERS = "bcdfghjklmnpqrstvwxz"  # no vowels, no digits: neither a word nor a number comes about
_LENGTH = 16  # 69 bits


def fence_sources() -> Plugin:
    """A plugin that fills `turn.sources`: each between two lines with a code, its text `neutral`.

    The code is other for other sources and cannot be guessed by who wrote them; what they are made
    of (title and path too) stands inside. Hits, and so citations, keep the text of the document.
    Earlier answers, which may quote documents, are made `neutral` for the prompt as well.
    """
    secret = token_bytes(32)

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        quoted = [neutral(described(hit)) for hit in turn.hits]
        code = _code(secret, [turn.question, *quoted])
        sources = tuple(
            f"[{number}] <<< {code}\n{text}\n{code} >>>" for number, text in enumerate(quoted, 1)
        )
        history = tuple(
            message
            if message.role == "user"
            else replace(message, content=neutral(message.content))
            for message in turn.history
        )
        answered = call_next(replace(turn, sources=sources, history=history))
        return replace(answered, history=turn.history)

    return plugin


def _code(secret: bytes, texts: Sequence[str]) -> str:
    digest = hmac.digest(secret, "\0".join(texts).encode("utf-8", "replace"), "sha256")
    number = int.from_bytes(digest, "big")
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)
