"""What a person can do about a file that could not be read."""

from __future__ import annotations

# a word of the reason -> the cure; the first that fits
_CURES = (
    (("not described",), "`kbqa retry` once the vision model answers"),
    (("no such file",), "`kbqa ingest FOLDER` takes note of what is gone"),
    (("broken link",), "mend the link or remove it"),
    (("password", "encrypted"), "save it without its password"),
    (("garbled",), ""),  # its reason ends with the cure
    (("timed out", "took longer", "seconds"), "raise `parse_timeout`, then `kbqa retry`"),
    (("memory",), "raise `parse_memory_mb`, then `kbqa retry`"),
    (("permission",), "give kbqa the right to read it"),
    (("is empty",), "nothing to do unless it should hold something"),
    (("holds no text", "no text"), "if it is a scan, scan it again at 300 dpi"),
    (("too large", "too many", "limit"), "split it, or take out what matters"),
    (("no loader", "not supported", "looks like"), "save it as PDF, DOCX, HTML or text"),
    (("damaged", "broken", "cannot be read as", "truncated"), "open it in its program and save it "
     "again, or take it from a backup"),
)  # fmt: skip


def cure_of(reason: str) -> str:
    """The cure for a failure; "" where the reason says it."""
    lower = reason.lower()
    for words, cure in _CURES:
        if any(word in lower for word in words):
            return cure
    return "`kbqa retry` after the cause is gone"
