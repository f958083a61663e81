"""Jupyter notebooks: text as it is, code in fences, and what the code printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, fenced, join_blocks
from ingest.loaders.encoding import NotText, decode, normalise
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_of, title_of

_MAX_OUTPUT = 20_000  # characters; a training log says nothing new after that
_EMBEDDED = re.compile(r"\(data:[^)\s]{100,}\)")
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def load_ipynb(source: Source) -> Document:
    """A notebook of format 3 or 4."""
    try:
        notebook = json.loads(decode(source.data).text)
    except (ValueError, RecursionError, NotText) as exc:
        raise LoadError(source.uri, "is not a notebook: its JSON is damaged") from exc
    cells = _cells(notebook)
    if cells is None:
        raise LoadError(source.uri, "is not a notebook: it has no cells")
    language = _language(notebook)
    blocks = [Block(text) for cell in cells for text in _texts(cell, language)]
    text = normalise(join_blocks(blocks)[0])
    sections = sections_of(text)
    metadata: dict[str, Scalar] = {"language": language} if language else {}
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=metadata,
    )


def _cells(notebook: Any) -> list[Mapping[str, Any]] | None:
    if not isinstance(notebook, dict):
        return None
    cells = notebook.get("cells")
    if cells is None:  # format 3
        sheets = [s for s in _listed(notebook.get("worksheets")) if isinstance(s, dict)]
        cells = [cell for sheet in sheets for cell in _listed(sheet.get("cells"))]
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else None


def _texts(cell: Mapping[str, Any], language: str) -> Iterator[str]:
    text = _joined(cell.get("source", cell.get("input")))
    if cell.get("cell_type") == "code":
        yield fenced(normalise(text), language)
        for output in _listed(cell.get("outputs")):
            if isinstance(output, dict):
                yield from _output(output)
    elif cell.get("cell_type") == "heading":
        level = cell.get("level")
        yield f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {text.strip()}"
    else:
        yield _EMBEDDED.sub("()", text).strip("\n")


def _output(output: Mapping[str, Any]) -> Iterator[str]:
    """What a cell printed or showed; tables as tables."""
    shown = output.get("data")
    shown = shown if isinstance(shown, dict) else output
    markup = _joined(shown.get("text/html", shown.get("html")))
    if "<table" in markup and len(markup) < 50 * _MAX_OUTPUT:
        yield _html(markup)
        return
    if output.get("output_type") in ("error", "pyerr"):
        yield fenced(f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}")
        return
    for key in ("text/markdown", "text/latex"):
        if text := _joined(shown.get(key)):
            yield text[:_MAX_OUTPUT]
            return
    text = normalise(_joined(shown.get("text/plain", shown.get("text"))))
    if not any(key in shown for key in _PICTURES) or len(text) > 100:
        yield fenced(text[:_MAX_OUTPUT])


def _html(markup: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    from ingest.loaders.html import render

    return render(LexborHTMLParser(markup))[:_MAX_OUTPUT]


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for key in ("language_info", "kernelspec"):
        info = metadata.get(key)
        name = (
            info.get("name" if key == "language_info" else "language")
            if isinstance(info, dict)
            else None
        )
        if isinstance(name, str) and re.fullmatch(r"[\w+#.-]{1,20}", name):
            return name.lower()
    return ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _joined(value: Any) -> str:
    """A string, or a list of lines."""
    if isinstance(value, str):
        return value
    return "".join(line for line in _listed(value) if isinstance(line, str))
