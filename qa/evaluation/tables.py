"""What an evaluation says, as tables of texts: for the terminal and for reports."""

from __future__ import annotations

from collections.abc import Sequence

from qa.evaluation.calibrating import Calibration
from qa.evaluation.comparing import Comparison
from qa.evaluation.measures import ANSWERED
from qa.evaluation.running import Evaluation, Outcome

Table = list[list[str]]  # the first row is the head
WORST = 30  # questions that are listed


def figures(evaluation: Evaluation) -> Table:
    """Measure, mean, interval, number of questions, and the mean of each language."""
    languages = evaluation.languages if len(evaluation.languages) > 1 else []
    rows = [["measure", "mean", "95 % interval", "questions", *languages]]
    for measure in evaluation.measures:
        figure = evaluation.figure(measure)
        if figure is None:
            continue
        parts = [evaluation.figure(measure, language) for language in languages]
        rows.append(
            [
                measure,
                f"{figure.mean:.3f}",
                f"{figure.low:.3f} .. {figure.high:.3f}",
                str(figure.count),
                *(f"{part.mean:.3f}" if part else "" for part in parts),
            ]
        )
    return rows


def latencies(evaluation: Evaluation) -> Table:
    """Median and 99th percentile of searches and answers."""
    rows = [["seconds of", "p50", "p99"]]
    for name, answers in (("a search", False), ("an answer", True)):
        found = evaluation.latency(answers=answers)
        if found:
            rows.append([name, *(f"{1000 * seconds:.1f} ms" for seconds in found)])
    return rows


def differences(comparison: Comparison) -> Table:
    """Measure, both means, their difference with interval, p-value, questions better and worse."""
    rows = [
        ["measure", "first", "second", "difference", "95 % interval", "p", "better", "worse", "of"]
    ]
    for found in comparison.differences:
        rows.append(
            [
                found.measure,
                f"{found.first:.3f}",
                f"{found.second:.3f}",
                f"{found.difference:+.3f}{' *' if found.significant else ''}",
                f"{found.low:+.3f} .. {found.high:+.3f}",
                f"{found.p:.4f}",
                str(found.better),
                str(found.worse),
                str(found.count),
            ]
        )
    return rows


def changes(comparison: Comparison) -> Table:
    """The questions that got worse or better, the most first."""
    ordered = sorted(comparison.changes, key=lambda change: -abs(change.after - change.before))
    measure = comparison.differences[0].measure
    rows = [["question", f"{measure} before", "after", ""]]
    for change in ordered[:WORST]:
        word = "better" if change.after > change.before else "worse"
        row = [change.question.text, f"{change.before:.3f}", f"{change.after:.3f}", word]
        rows.append(row)
    return rows


def misses(evaluation: Evaluation) -> Table:
    """The questions that did worst by the first measure, with what was found instead."""
    measure = evaluation.measures[0] if evaluation.measures else ""
    rows = [["question", measure, "expected", "found first"]]
    scored = [o for o in evaluation.outcomes if o.scores.get(measure, 1.0) < 1]
    for outcome in sorted(scored, key=lambda o: o.scores[measure])[:WORST]:
        rows.append(
            [
                outcome.question.text,
                f"{outcome.scores[measure]:.3f}",
                expected(outcome),
                ", ".join(_place(uri, page) for uri, page in outcome.found) or "nothing",
            ]
        )
    return rows


def wrong_answers(evaluation: Evaluation) -> Table:
    """Questions refused though answerable, answered though not, or answered otherwise."""
    rows = [["question", "expected", "answer", "why"]]
    for outcome in evaluation.outcomes:
        why = _fault(outcome)
        if why:
            text = " ".join((outcome.answer or "").split())
            rows.append([outcome.question.text, expected(outcome), text[:200], why])
    return rows[: WORST + 1]


def calibrated(calibration: Calibration) -> str:
    """One line: how many questions of each kind, and how well evidence tells them apart."""
    answerable, unanswerable = len(calibration.answerable), len(calibration.unanswerable)
    kinds = f"{answerable} answerable and {unanswerable} unanswerable questions"
    return f"{kinds}, AUROC {calibration.auroc:.3f}"


def curve(calibration: Calibration) -> Table:
    """Thresholds and the shares of both kinds that they refuse; the chosen one is marked."""
    rows = [["min_score", "false refusals", "refused"]]
    for point in calibration.curve:
        mark = " *" if point == calibration.chosen else ""
        refused = f"{point.refused:.3f}{mark}"
        rows.append([f"{point.min_score:g}", f"{point.false_refusals:.3f}", refused])
    return rows


def expected(outcome: Outcome) -> str:
    """What a question asks to be found, on one line."""
    question = outcome.question
    if question.unanswerable:
        return "no answer"
    parts = [" or ".join(question.answers), ", ".join(question.documents)]
    if question.pages:
        parts.append("p. " + ", ".join(map(str, question.pages)))
    return " — ".join(part for part in parts if part)


def heading(evaluation: Evaluation) -> str:
    """One line: how many questions, of what, about what."""
    total = len(evaluation.outcomes)
    unanswerable = sum(outcome.question.unanswerable for outcome in evaluation.outcomes)
    without = f", {unanswerable} of them without an answer" if unanswerable else ""
    return f"{total} questions of {evaluation.name}{without}, asked of {evaluation.base}"


def has_answers(evaluation: Evaluation) -> bool:
    """Whether answers were asked for."""
    return any(measure in ANSWERED for measure in evaluation.measures)


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _fault(outcome: Outcome) -> str:
    if outcome.answer is None:
        return ""
    if outcome.question.unanswerable:
        return "" if outcome.abstained else "answered, though there is no answer"
    if outcome.abstained:
        return "refused"
    if outcome.scores.get("answer_recall", 1.0) < 1:
        return "another answer"
    return ""


def _place(uri: str, page: int | None) -> str:
    return uri if page is None else f"{uri} p. {page}"
