"""`print` for commands: no text of a document or a file name commands the terminal."""

from __future__ import annotations

import builtins
from typing import TextIO

from qa.neutral import for_terminal


def print(text: object = "", *, end: str = "\n", file: TextIO | None = None,
          flush: bool = False) -> None:  # fmt: skip
    """As the built-in one, for one text, whose control characters are made visible."""
    builtins.print(for_terminal(str(text)), end=end, file=file, flush=flush)
