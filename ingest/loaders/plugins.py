"""Loaders that other packages bring, by the entry point group `kbqa.loaders`.

An entry point's name is a media type and the suffixes of its files (`text/x-log .log2 .log3`), its
object a function `Source -> Document`. Looked up only for types and suffixes that kbqa does not
know: reading what is installed takes as long as reading a hundred files.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "kbqa.loaders"


def media_type_of(name: str) -> str:
    """Media type of the file `name` as a package says; "" where none does."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((kind for kind, (_, suffixes) in _found().items() if suffix in suffixes), "")


def parser_of(media_type: str) -> str:
    """Name and version of the package that loads this media type; "" for none."""
    if media_type not in _found():
        return ""
    package = _found()[media_type][0].dist
    return f"{package.name}/{package.version}" if package else _found()[media_type][0].value


def loader_of(media_type: str) -> Any:
    """The function that loads this media type; None for none."""
    return _found()[media_type][0].load() if media_type in _found() else None


@cache
def _found() -> dict[str, tuple[EntryPoint, frozenset[str]]]:
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP)
    return {
        words[0]: (point, frozenset(words[1:]))
        for point in points
        if (words := point.name.lower().split())
    }
