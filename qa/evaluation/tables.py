"""What an evaluation says, as tables of texts: for the terminal and for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple

from qa.evaluation.calibrating import Calibration
from qa.evaluation.comparing import Comparison
from qa.evaluation.measures import UNRANKED
from qa.evaluation.running import Evaluation, Outcome
from qa.evaluation.spending import NOTHING, Spending

Table = list[list[str]]  # the first row is the head
WORST = 30  # questions that are listed
SPENT: Mapping[str, Callable[[Spending, int], str]] = {  # by so many questions
    "prompt tokens": lambda spent, count: f"{spent.prompt_tokens / count:.0f}",
    "completion tokens": lambda spent, count: f"{spent.completion_tokens / count:.0f}",
    "cost": lambda spent, n: "no price" if spent.cost is None else f"{spent.cost / n:.6f}",
}


def figures(evaluation: Evaluation) -> Table:
    """Measure, mean, interval, number of questions, and the mean of each language."""
    languages = _several_languages(evaluation)
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
    """Percentiles of searches and answers, and of the answers in each language."""
    found = {
        "a search": evaluation.latency(),
        "an answer": evaluation.latency(answers=True),
        **{
            f"an answer, {language}": evaluation.latency(answers=True, language=language)
            for language in _several_languages(evaluation)
        },
    }
    rows = [["time of", "p50", "p95", "p99"]]
    for name, latency in found.items():
        if latency:
            rows.append([name, *map(_ms, astuple(latency))])
    return rows


def spending(evaluation: Evaluation) -> Table:
    """Tokens and cost of the answers and of the judge; no rows where no model was asked."""
    languages = _several_languages(evaluation)
    asked = Counter(o.question.language for o in evaluation.outcomes if o.answer is not None)
    counts = {None: asked.total()} | {language: asked[language] for language in languages}
    rows = [["spent on", "in all", "a question", *languages]]
    for who, judge in (("", False), ("judge: ", True)):
        total = evaluation.spent(judge=judge)
        if total == NOTHING:
            continue
        parts = [(evaluation.spent(name, judge=judge), count) for name, count in counts.items()]
        about = " (estimated)" if total.estimated else ""
        for name, amount in SPENT.items():
            each = [amount(part, count) for part, count in parts]
            rows.append([f"{who}{name}{about}", amount(total, 1), *each])
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


def efforts(comparison: Comparison) -> Table:
    """Time, tokens and cost of both runs."""
    first, second = _effort(comparison.first), _effort(comparison.second)
    rows = [["time and cost", "first", "second"]]
    return rows + [[n, first.get(n, ""), second.get(n, "")] for n in first | second]


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
    return any(measure in UNRANKED for measure in evaluation.measures)


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
    scores = outcome.scores
    if scores.get("judge_answer", scores.get("answer_recall", 1.0)) < 1:
        return "another answer"
    if scores.get("judge_support", scores.get("supported", 1.0)) < 1:
        return "not borne out by what it cites"
    return ""


def _several_languages(evaluation: Evaluation) -> list[str]:
    """Those that figures are broken down by; none where there is but one."""
    return evaluation.languages if len(evaluation.languages) > 1 else []


def _effort(evaluation: Evaluation) -> dict[str, str]:
    times = {
        f"{name}, {percentile}": value
        for name, *values in latencies(evaluation)[1:]
        for percentile, value in zip(("p50", "p95"), values, strict=False)
    }
    return times | {f"{row[0]}, a question": row[2] for row in spending(evaluation)[1:]}


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _place(uri: str, page: int | None) -> str:
    return uri if page is None else f"{uri} p. {page}"
