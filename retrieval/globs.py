"""Path globs as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrieval.filter_text import FilterError

_STAR = "[^/]*?"
_ANY, _FOLDERS = ".*?", "(?:.*?/)??"  # what may hold a slash


def glob(pattern: str) -> re.Pattern[str]:
    """A path glob as an expression for `fullmatch`.

    `*` and `?` stay within a folder, `**` does not, `[ab]` `[!ab]` are sets. A pattern without a
    slash fits a name in any folder.

    However many stars there are, a path takes time by the square of its length: what stands between
    two stars may be taken where it is found first, since the second star bridges the rest (as
    `fnmatch` does it); so may all that stands between two `**`.
    """
    units = _units(pattern if "/" in pattern else f"**/{pattern}")
    wildcard, unit = next(units)
    written = []
    for next_wildcard, next_unit in units:
        written.append(f"(?>{wildcard}{_unit(unit)})")
        wildcard, unit = next_wildcard, next_unit
    *before, last = unit
    written.append(wildcard + _unit(before) + (_STAR if before else "") + last)
    try:
        return re.compile("".join(written), re.DOTALL)
    except re.error as exc:
        raise FilterError(f"'{pattern}' is no glob: {exc.msg}") from exc


def _unit(pieces: list[str]) -> str:
    """Pieces between stars, each where it comes first."""
    return "".join(pieces[:1] + [f"(?>{_STAR}{piece})" for piece in pieces[1:]])


def _units(pattern: str) -> Iterator[tuple[str, list[str]]]:
    """What stands between two `**`, in the pieces between its stars; and the `**` before it."""
    wildcard, pieces = "", [""]
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            yield wildcard, pieces
            folders = pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/")
            wildcard, pieces = _FOLDERS if folders else _ANY, [""]
            at += 3 if folders else 2
        elif pattern[at] == "*":
            pieces.append("")
            at += 1
        else:
            written, at = _single(pattern, at)
            pieces[-1] += written
    yield wildcard, pieces


def _single(pattern: str, at: int) -> tuple[str, int]:
    """What stands for one character, and where the next begins."""
    if pattern[at] == "?":
        return "[^/]", at + 1
    first = at + 2 if pattern.startswith(("[!", "[^"), at) else at + 1
    if pattern[at] == "[" and (end := pattern.find("]", first + 1)) > 0:
        inner = pattern[at + 1 : end].replace("\\", r"\\").replace("[", r"\[")
        inner = re.sub(r"([&~|])", r"\\\1", inner)
        negated = inner.startswith(("!", "^"))
        return f"(?!/)[{'^' if negated else ''}{inner[negated:]}]", end + 1
    return re.escape(pattern[at]), at + 1
