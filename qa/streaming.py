"""Edits of an answer that go along with its tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from qa.turn import Handler, Turn

Edit = Callable[[str], str]


class StreamEditor:
    """Passes text on edited, holding back only what may still become something to edit.

    `unfinished` finds where that begins in the text so far. What is passed on joins to
    `edit(everything)` if no two edits touch a text that `unfinished` has let go.
    """

    def __init__(
        self, edit: Edit, unfinished: re.Pattern[str], emit: Callable[[str], None]
    ) -> None:
        self._edit = edit
        self._unfinished = unfinished
        self._emit = emit
        self._pending = ""

    def feed(self, token: str) -> None:
        """Take the next piece."""
        self._pending += token
        held = self._unfinished.search(self._pending)
        self._pass_on(held.start() if held else len(self._pending))

    def finish(self) -> None:
        """The last piece has come."""
        self._pass_on(len(self._pending))

    def _pass_on(self, cut: int) -> None:
        text = self._edit(self._pending[:cut])
        self._pending = self._pending[cut:]
        if text:
            self._emit(text)


def edited(turn: Turn, call_next: Handler, edit: Edit, unfinished: re.Pattern[str]) -> Turn:
    """The rest of the chain, its answer edited whole and as it streams."""
    on_token = turn.on_token
    if on_token is None:
        answered = call_next(turn)
    else:
        editor = StreamEditor(edit, unfinished, on_token)
        answered = replace(call_next(replace(turn, on_token=editor.feed)), on_token=on_token)
        editor.finish()
    return replace(answered, text=edit(answered.text))
