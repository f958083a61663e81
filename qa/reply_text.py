"""The text of an answer as it arrives, without what a reasoning model thinks aloud."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

OPEN, CLOSE = "<think>", "</think>"


class _State(Enum):
    START = auto()  # nothing but blanks and thoughts so far
    THINKING = auto()
    TEXT = auto()


class ReplyText:
    """Collects pieces and hands those of the answer on to `on_token`, each at once.

    `<think>...</think>` is left out at the start of an answer only: further on it is a quotation.
    Blanks before the answer are left out too. The pieces handed on join to the text.
    """

    def __init__(self, on_token: Callable[[str], None] | None = None) -> None:
        self._on_token = on_token
        self._state = _State.START
        self._held = ""
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Take the next piece, of any length: a tag may be spread over several."""
        self._held += piece
        while self._held and self._step():
            pass

    def close(self) -> str:
        """The whole text; what looked like the beginning of a tag and was none is handed on."""
        if self._held and self._state is _State.START:
            self._emit(self._held)
        return "".join(self._pieces)

    def _step(self) -> bool:
        """One move of the state machine; False when it waits for more."""
        if self._state is _State.THINKING:
            return self._end_thought()
        if self._state is _State.START:
            return self._leave_start()
        self._emit(self._held)
        return False

    def _leave_start(self) -> bool:
        self._held = self._held.lstrip()
        if self._held.startswith(OPEN):
            self._state, self._held = _State.THINKING, self._held.removeprefix(OPEN)
            return True
        if OPEN.startswith(self._held):
            return False
        self._state = _State.TEXT
        return True

    def _end_thought(self) -> bool:
        _, found, rest = self._held.partition(CLOSE)
        if found:
            self._state, self._held = _State.START, rest
            return True
        self._held = self._held[-len(CLOSE) + 1 :]
        return False

    def _emit(self, piece: str) -> None:
        self._held = ""
        self._pieces.append(piece)
        if self._on_token is not None:
            self._on_token(piece)
