"""An evaluation as a JSON file, to compare a later one against."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ingest.errors import BadRequest
from qa.evaluation.calibrating import Calibration
from qa.evaluation.comparing import Comparison
from qa.evaluation.questions import question_json, question_of
from qa.evaluation.running import Evaluation, Outcome
from qa.evaluation.spending import Spending
from qa.evaluation.statistics import Figure

FORMAT = 1


def save(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation; `load` reads it back."""
    row = {
        "format": FORMAT,
        "name": evaluation.name,
        "base": evaluation.base,
        "seed": evaluation.seed,
        "measures": list(evaluation.measures),
        "figures": figures_json(evaluation),
        "questions": [outcome_json(outcome) for outcome in evaluation.outcomes],
    }
    path.write_text(json.dumps(row, ensure_ascii=False, indent=1) + "\n", "utf-8")


def load(path: Path) -> Evaluation:
    """Read what `save` wrote. Raises BadRequest for another file."""
    if not path.is_file():
        raise BadRequest(f"no such file: {path}; --save {path} writes one")
    try:
        row = json.loads(path.read_text("utf-8"))
        found = row["format"]
        if found == FORMAT:
            return _evaluation(row, path)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BadRequest(f"{path} is not what `kbqa eval --save` writes") from exc
    raise BadRequest(f"{path} is of format {found}, this kbqa reads {FORMAT}")


def summary_json(evaluation: Evaluation) -> dict[str, Any]:
    """All but the single questions: figures, latency, spending, what was not judged."""
    return {
        "figures": figures_json(evaluation),
        "latency_ms": latency_json(evaluation),
        "spent": spending_json(evaluation),
        "notes": evaluation.notes,
    }


def figures_json(evaluation: Evaluation) -> dict[str, Any]:
    """Measure -> language (`all` first) -> mean, low, high, count."""
    languages = [None, *(evaluation.languages if len(evaluation.languages) > 1 else ())]
    return {
        measure: {
            language or "all": figure_json(figure)
            for language in languages
            if (figure := evaluation.figure(measure, language))
        }
        for measure in evaluation.measures
    }


def figure_json(figure: Figure) -> dict[str, Any]:
    """A figure to four digits."""
    return {
        "mean": round(figure.mean, 4),
        "low": round(figure.low, 4),
        "high": round(figure.high, 4),
        "count": figure.count,
    }


def latency_json(evaluation: Evaluation) -> dict[str, Any]:
    """`search` and `answer` -> p50, p95 and p99 in milliseconds."""
    found = {"search": evaluation.latency(), "answer": evaluation.latency(answers=True)}
    return {
        name: {percentile: _ms(seconds) for percentile, seconds in asdict(latency).items()}
        for name, latency in found.items()
        if latency
    }


def spending_json(evaluation: Evaluation) -> dict[str, Any]:
    """Language (`all` first) and `judge` -> tokens and cost of all their answers."""
    languages = [None, *(evaluation.languages if len(evaluation.languages) > 1 else ())]
    spent = {language or "all": asdict(evaluation.spent(language)) for language in languages}
    return {**spent, "judge": asdict(evaluation.spent(judge=True))}


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Differences by measure, and the questions that changed, the worst first."""
    return {
        "first": comparison.first.base,
        "differences": {
            found.measure: {
                "first": round(found.first, 4),
                "second": round(found.second, 4),
                "difference": round(found.difference, 4),
                "low": round(found.low, 4),
                "high": round(found.high, 4),
                "p": round(found.p, 4),
                "better": found.better,
                "worse": found.worse,
                "count": found.count,
            }
            for found in comparison.differences
        },
        "changes": [
            {
                "id": change.question.id,
                "question": change.question.text,
                "measure": change.measure,
                "before": round(change.before, 6),
                "after": round(change.after, 6),
            }
            for change in comparison.changes
        ],
    }


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """The threshold with what it refuses, AUROC, and the curve."""
    return {
        **asdict(calibration.chosen),
        "auroc": round(calibration.auroc, 4),
        "curve": [asdict(point) for point in calibration.curve],
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """One question with its scores and the best places found."""
    row: dict[str, Any] = {
        **question_json(outcome.question),
        "id": outcome.question.id,
        "scores": dict(outcome.scores),  # as they are: a rounded one would be a change
        "ms": _ms(outcome.seconds),
        "found": [{"uri": uri, "page": page} for uri, page in outcome.found],
    }
    if outcome.answer_seconds is not None:
        row["said"] = {
            "text": outcome.answer,
            "abstained": outcome.abstained,
            "ms": _ms(outcome.answer_seconds),
            "spent": asdict(outcome.spent),
            "judge_spent": asdict(outcome.judge_spent),
        }
    told = {"note": outcome.note, "problem": outcome.problem}
    return {**row, **{name: text for name, text in told.items() if text}}


def _evaluation(row: dict[str, Any], path: Path) -> Evaluation:
    outcomes = tuple(
        _outcome(item, f"{path} question {number}")
        for number, item in enumerate(row["questions"], 1)
    )
    measures = tuple(str(name) for name in row["measures"])
    return Evaluation(row["name"], row["base"], measures, outcomes, int(row["seed"]))


def _outcome(row: dict[str, Any], where: str) -> Outcome:
    said = row.pop("said", None)
    scores, ms, found = (row.pop(name) for name in ("scores", "ms", "found"))
    note, problem = row.pop("note", ""), row.pop("problem", "")
    outcome = Outcome(
        question=question_of(row, where),
        scores={str(name): float(value) for name, value in scores.items()},
        seconds=ms / 1000,
        found=tuple((place["uri"], place["page"]) for place in found),
        note=note,
        problem=problem,
    )
    if said is None:
        return outcome
    return replace(
        outcome,
        answer=said["text"],
        abstained=said["abstained"],
        answer_seconds=said["ms"] / 1000,
        spent=Spending(**said.get("spent", {})),  # which earlier files lack
        judge_spent=Spending(**said.get("judge_spent", {})),
    )


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)
