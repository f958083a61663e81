"""Path globs as regular expressions."""

from __future__ import annotations

import re

from retrieval.filter_text import FilterError


def glob(pattern: str) -> re.Pattern[str]:
    """A path glob as an expression for `fullmatch`.

    `*` and `?` stay within a folder, `**` does not, `[ab]` `[!ab]` are sets. A pattern without a
    slash fits a name in any folder.
    """
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    written, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            written.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            written.append(".*")
            at += 2
        elif pattern[at] == "*":
            written.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            written.append("[^/]")
            at += 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            inner = re.sub(r"([&~|])", r"\\\1", inner)
            negated = inner.startswith(("!", "^"))
            written.append(f"(?!/)[{'^' if negated else ''}{inner[negated:]}]")
            at = end + 1
        else:
            written.append(re.escape(pattern[at]))
            at += 1
    try:
        return re.compile("".join(written), re.DOTALL)
    except re.error as exc:
        raise FilterError(f"'{pattern}' is no glob: {exc}") from exc
