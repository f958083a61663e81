"""DrawingML, which slides, texts and workbooks share: paragraphs, charts, diagrams."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.loaders.encoding import normalise
from ingest.loaders.equations import office_equation, raised, spaced
from ingest.loaders.number_format import render_number
from ingest.loaders.office_zip import OfficeZip, Relation, local_name

_MAX_SERIES, _MAX_POINTS = 50, 1_000


@dataclass(frozen=True, slots=True)
class Graphic:
    """What a chart says by its title and the table of its values, a diagram by its lines."""

    title: str = ""
    rows: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def graphic_of(archive: OfficeZip, relation: Relation) -> Graphic | None:
    """The chart or diagram that a relation leads to; None where it leads to something else.

    It is empty where it cannot be read.
    """
    if relation.external or relation.kind not in ("chart", "chartEx", "diagramData"):
        return None
    root = archive.xml(relation.target)
    if root is None:
        return Graphic()
    return Graphic(lines=paragraphs(root)) if relation.kind == "diagramData" else _chart(root)


def _chart(root: Any) -> Graphic:
    titles = [" ".join(paragraphs(title)) for title in root.iterfind(".//{*}chart/{*}title")]
    axes = [" ".join(paragraphs(title)) for title in root.iterfind(".//{*}plotArea/*/{*}title")]
    titles += [f"({', '.join(axes)})"] if any(axes) else []
    series = [_series(one) for one in root.iter("{*}ser")][:_MAX_SERIES]
    categories = next((names for _, names, _ in series if names), {})
    points = sorted({point for _, _, values in series for point in values})[:_MAX_POINTS]
    rows = [["", *(name for name, _, _ in series)]] if points else []
    for point in points:
        values = (values.get(point, "") for _, _, values in series)
        rows.append([categories.get(point, str(point + 1)), *values])
    return Graphic(" ".join(filter(None, titles)), rows)


def paragraphs(element: Any) -> list[str]:
    """The paragraphs below an element, each on one line; empty ones are left out."""
    return [text for p in element.iter("{*}p") if (text := flat(runs(p)))]


def runs(paragraph: Any) -> str:
    """The text of a paragraph, fields and equations included."""
    text, high = "", False
    for node in _outside_equations(paragraph):
        kind = local_name(node)
        if kind == "t":
            words, lower = node.text or "", high
            high = _is_raised(node.getparent())
            text += (raised(text, words) if high and not lower else "") + words
        elif kind == "br":
            text += "\n"
        elif kind == "oMath":
            text += spaced(text, office_equation(node))
    return text.replace("\v", "\n")


def _outside_equations(paragraph: Any) -> Iterator[Any]:
    """The elements of a paragraph in order, without those in an equation."""
    todo = [paragraph]
    while todo:
        node = todo.pop()
        yield node
        if local_name(node) != "oMath":
            todo += reversed(node)


def _is_raised(run: Any) -> bool:
    """True for a superscript: its baseline lies above that of the line."""
    properties = run.find("{*}rPr")
    baseline = properties.get("baseline", "") if properties is not None else ""
    return baseline.rstrip("%").isdigit() and baseline.strip("0%") != ""


def _series(series: Any) -> tuple[str, dict[int, str], dict[int, str]]:
    """(name, categories, values) of a chart's series, as they were last drawn."""
    name = " ".join(node.text or "" for node in series.iterfind("{*}tx//{*}v"))
    categories = [*series.findall("{*}cat"), *series.findall("{*}xVal")]
    values = [*series.findall("{*}val"), *series.findall("{*}yVal")]
    return flat(name), _points(categories), _points(values)


def _points(holders: list[Any]) -> dict[int, str]:
    """Texts by index, numbers in their formats; outer groups of categories stand before inner."""
    found: dict[int, str] = {}
    for holder in holders:
        inner, *outer = [_cached(level) for level in holder.iter("{*}lvl")] or [_cached(holder)]
        groups = [sorted(level.items()) for level in reversed(outer)]
        for index, value in inner.items():
            above = (_group_at(group, index) for group in groups)
            found.setdefault(index, " ".join((*filter(None, above), value)))
    return found


def _group_at(groups: list[tuple[int, str]], index: int) -> str:
    """The last group that begins at `index` or before it."""
    place = bisect_right(groups, index, key=lambda group: group[0])
    return groups[place - 1][1] if place else ""


def _cached(holder: Any) -> dict[int, str]:
    code = holder.findtext(".//{*}formatCode") or "General"
    found: dict[int, str] = {}
    for point in holder.iter("{*}pt"):
        index, value = point.get("idx", ""), point.findtext("{*}v")
        if index.isascii() and index.isdigit() and len(index) < 9 and value:
            found.setdefault(int(index), _shown(value, point.get("formatCode") or code))
    return found


def _shown(value: str, code: str) -> str:
    try:
        return flat(value if code == "General" else render_number(float(value), code))
    except ValueError:  # a text
        return flat(value)


def flat(text: str) -> str:
    """`text` on one line."""
    return " ".join(normalise(text).split())
