"""`print` for commands: no text of a document or a file name commands the terminal."""

from __future__ import annotations

import builtins
from typing import TextIO

from qa.neutral import for_terminal


def print(text: object = "", *, end: str = "\n", file: TextIO | None = None,
          flush: bool = False, styled: bool = False) -> None:  # fmt: skip
    """As the built-in one, for one text, whose control characters are made visible; `styled` for
    one that has been through `for_terminal` and got commands of ours since."""
    shown = str(text) if styled else for_terminal(str(text))
    builtins.print(shown, end=end, file=file, flush=flush)
