"""A report for people: Markdown, or HTML with a drawing; each one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ingest.errors import BadRequest
from qa.evaluation import tables
from qa.evaluation.comparing import Comparison
from qa.evaluation.running import Evaluation
from qa.evaluation.tables import Table

BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 460, 12, 150  # pixels
TEXT_BAR = 40  # characters
COLOURS = ("#9aa5b1", "#2f6f9f")  # the run before, the run reported

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
svg { font: 12px system-ui, sans-serif; max-width: 100% }
@media (prefers-color-scheme: dark) { body { background: #181a1b; color: #ddd } svg { fill: #ddd } }
"""  # noqa: E501

Section = tuple[str, Table]


def write_report(path: Path, evaluation: Evaluation, comparison: Comparison | None = None) -> None:
    """Write `path`, whose suffix says what: .md, .html or .htm. Raises BadRequest for others."""
    check_suffix(path)
    path.write_text(render(path.suffix, evaluation, comparison), "utf-8")


def check_suffix(path: Path) -> None:
    """Raise BadRequest if no report can be written to a file of this name."""
    if path.suffix.lower() not in (".md", ".markdown", ".html", ".htm"):
        raise BadRequest(f"--report {path}: the name ends in .md or .html")


def render(suffix: str, evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """The report as a text: HTML if `suffix` is .html or .htm, else Markdown."""
    sections = _sections(evaluation, comparison)
    if suffix.lower() in (".html", ".htm"):
        return _html(evaluation, comparison, sections)
    return _markdown(evaluation, comparison, sections)


def _sections(evaluation: Evaluation, comparison: Comparison | None) -> list[Section]:
    found = [("Figures", tables.figures(evaluation))]
    if comparison:
        found.append(("Against the first run", tables.differences(comparison)))
        found.append(("Time and cost of both runs", tables.efforts(comparison)))
        found.append(("Questions that changed", tables.changes(comparison)))
    found.append(("Time", tables.latencies(evaluation)))
    found.append(("Tokens and cost", tables.spending(evaluation)))
    found.append(("Questions that did worst", tables.misses(evaluation)))
    if tables.has_answers(evaluation):
        found.append(("Answers to look at", tables.wrong_answers(evaluation)))
    found.append(
        ("What the judge did not judge", [["why"], *([note] for note in evaluation.notes)])
    )
    problems = [[problem] for problem in evaluation.problems[: tables.WORST]]
    found.append(("Questions that could only be missed", [["why"], *problems]))
    return [(title, table) for title, table in found if len(table) > 1]


# --- Markdown ---


def _markdown(
    evaluation: Evaluation, comparison: Comparison | None, sections: Sequence[Section]
) -> str:
    parts = ["# Evaluation", _line(tables.heading(evaluation))]
    if comparison:
        parts.append(_line(f"The first run: {tables.heading(comparison.first)}."))
    parts.append("```\n" + "\n".join(_text_bars(evaluation)) + "\n```")
    for title, table in sections:
        parts += [f"## {title}", "\n".join(_markdown_rows(table))]
        if title == "Against the first run":
            parts.append(r"\* more than chance (p < .05, paired randomisation test)")
    return "\n\n".join(parts) + "\n"


def _markdown_rows(table: Table) -> list[str]:
    rows = [f"| {' | '.join(map(_line, row))} |" for row in table]
    return [rows[0], f"|{' --- |' * len(table[0])}", *rows[1:]]


def _line(text: str) -> str:
    """A text that is one cell of a table and no markup."""
    escaped = escape(" ".join(text.split()), quote=False)
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def _text_bars(evaluation: Evaluation) -> list[str]:
    width = max((len(name) for name in evaluation.measures), default=0)
    lines = []
    for name in evaluation.measures:
        figure = evaluation.figure(name)
        if figure:
            full = round(TEXT_BAR * figure.mean)
            bar = "█" * full + "░" * (TEXT_BAR - full)
            lines.append(f"{name:<{width}} {bar} {figure.mean:.3f}")
    return lines


# --- HTML ---


def _html(
    evaluation: Evaluation, comparison: Comparison | None, sections: Sequence[Section]
) -> str:
    runs = [comparison.first, evaluation] if comparison else [evaluation]
    body = ["<h1>Evaluation</h1>", f"<p>{escape(tables.heading(evaluation))}</p>"]
    if comparison:
        first = tables.heading(comparison.first)
        body.append(f"<p>The first run (grey): {escape(first)}</p>")
    body.append(draw(runs))
    for title, table in sections:
        body += [f"<h2>{escape(title)}</h2>", _html_table(table)]
        if title == "Against the first run":
            body.append("<p>* more than chance (p &lt; .05, paired randomisation test)</p>")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Evaluation</title>\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</html>\n"
    )


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table[0])
    rows = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table[1:]]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def draw(runs: Sequence[Evaluation]) -> str:
    """Bars of the measures with their intervals, one below the other, as SVG."""
    names = runs[-1].measures
    step = BAR_HEIGHT * len(runs) + 10
    shapes = []
    for place, name in enumerate(names):
        top = place * step
        middle = top + step / 2
        shapes.append(
            f'<text x="{LABEL_WIDTH - 8}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>'
        )
        for number, run in enumerate(runs):
            colour = COLOURS[number - len(runs)]
            shapes += _bar(run, name, top + number * BAR_HEIGHT, colour)
    width, height = LABEL_WIDTH + BAR_WIDTH + 60, len(names) * step + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="means with intervals">\n'
        + "\n".join(shapes)
        + "\n</svg>"
    )


def _bar(run: Evaluation, name: str, top: float, colour: str) -> list[str]:
    figure = run.figure(name)
    if figure is None:
        return []
    low, high, end = (
        LABEL_WIDTH + BAR_WIDTH * value for value in (figure.low, figure.high, figure.mean)
    )
    middle = top + BAR_HEIGHT / 2
    return [
        f'<rect x="{LABEL_WIDTH}" y="{top + 1}" width="{end - LABEL_WIDTH:.1f}" '
        f'height="{BAR_HEIGHT - 2}" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#d1495b" stroke-width="2"/>',
        f'<text x="{max(high, end) + 6:.1f}" y="{top + BAR_HEIGHT - 2}">{figure.mean:.3f}</text>',
    ]
