"""Names of measures, as a user writes them, and their values for each question.

Rankings are scored by `ir-measures` (which asks `pytrec_eval`, the code of trec_eval), so that
figures equal those published elsewhere. A name may carry a cutoff: `recall@5`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ingest.errors import BadRequest

if TYPE_CHECKING:
    from ir_measures.measures import Measure as IrMeasure

MAX_CUTOFF = 100
RANKED = {
    "ndcg": "place among the first k, weighted by rank (nDCG, linear gain)",
    "recall": "share of the relevant places among the first k",
    "precision": "share of the first k that is relevant",
    "hit": "1 if anything relevant is among the first k",
    "mrr": "1 / rank of the first relevant place",
    "map": "mean average precision",
    "answer": "1 if the answer stands in one of the first k passages",
}
ANSWERED = {
    "exact_match": "the answer is the expected one, but for case, articles and punctuation",
    "f1": "overlap of words (Chinese: characters) with the expected answer",
    "answer_recall": "the expected answer stands in the answer",
    "citation_precision": "share of the citations that lie in a relevant place",
    "citation_recall": "share of the relevant places that are cited",
    "support": "how well the citations of each statement bear it out",
    "supported": "share of the statements that their citations bear out",
    "refusal_precision": "share of the refused questions that are unanswerable",
    "refusal_recall": "share of the unanswerable questions that are refused",
}
JUDGED = {
    "judge_answer": "a judge finds that the answer says what the expected one says",
    "judge_support": "a judge finds that the citations bear the answer out",
}
UNRANKED = (*ANSWERED, *JUDGED)
_SAME = {
    "answer_f1": "f1",
    "em": "exact_match",
    "token_f1": "f1",
}  # other names by which people know them
NEEDS_CUTOFF = ("recall", "precision", "hit", "answer")


@dataclass(frozen=True, slots=True, order=True)
class Measure:
    """A measure of a ranking: `name` of `RANKED`, `cutoff` (None: the whole ranking)."""

    name: str
    cutoff: int | None = None

    def __str__(self) -> str:
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"


def parse_measure(text: str) -> Measure:
    """`recall@5` as a measure. Raises BadRequest with the names there are."""
    name, at, cutoff = text.strip().lower().partition("@")
    name = _SAME.get(name, name)
    if name in UNRANKED and not at:
        return Measure(name)
    if name not in RANKED:
        raise BadRequest(_unknown(text, name))
    if not at:
        if name in NEEDS_CUTOFF:
            raise BadRequest(f"measure '{text}' needs a cutoff: write for instance {name}@5")
        return Measure(name, 10 if name == "ndcg" else None)
    if not cutoff.isdecimal() or not 1 <= int(cutoff) <= MAX_CUTOFF:
        raise BadRequest(f"measure '{text}': the cutoff is 1 to {MAX_CUTOFF}, as in {name}@5")
    return Measure(name, int(cutoff))


def check_judged(measures: Iterable[Measure], *, has_judge: bool) -> None:
    """Raise BadRequest for a measure that needs a judge where there is none."""
    for measure in measures:
        if measure.name in JUDGED and not has_judge:
            raise BadRequest(
                f"measure '{measure}' needs a model that judges: --judge MODEL or the setting judge"
            )


def default_measures(k: int) -> tuple[Measure, ...]:
    """What is measured when nothing is asked for: places and answers among the first `k`."""
    if not 1 <= k <= MAX_CUTOFF:
        raise BadRequest(f"k is {k}: ask for 1 to {MAX_CUTOFF}")
    cutoffs = sorted({1, min(5, k), k})
    return (
        Measure("ndcg", k),
        *(Measure("recall", cutoff) for cutoff in cutoffs),
        Measure("mrr"),
        *(Measure("answer", cutoff) for cutoff in cutoffs),
    )


def score_rankings(
    measures: Iterable[Measure],
    relevant: Mapping[str, Mapping[str, int]],
    rankings: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Measure -> question -> value, 0..1.

    `relevant` maps a question to the grades of its relevant items, `rankings` to the items found,
    the best first, no item twice. Only questions in `relevant` are scored.
    """
    from ir_measures import iter_calc

    wanted = {_ir_measure(measure): str(measure) for measure in measures}
    scores: dict[str, dict[str, float]] = {name: {} for name in wanted.values()}
    if not wanted or not relevant:
        return scores
    ids = list(relevant)
    numbers = {id_: str(number) for number, id_ in enumerate(ids)}
    # numbers for all names: the C code behind it crashes on lone surrogates, and ends at a NUL
    named: dict[str, str] = defaultdict(lambda: str(len(named)))
    qrels = {
        numbers[id_]: {named[item]: grade for item, grade in grades.items()}
        for id_, grades in relevant.items()
    }
    run = {
        numbers[id_]: {named[item]: float(-rank) for rank, item in enumerate(rankings.get(id_, ()))}
        for id_ in relevant
    }
    for found in iter_calc(list(wanted), qrels, run):
        scores[wanted[found.measure]][ids[int(found.query_id)]] = float(found.value)
    return scores


def _ir_measure(measure: Measure) -> IrMeasure:
    from ir_measures import AP, RR, P, R, Success, nDCG

    kinds = {"ndcg": nDCG, "recall": R, "precision": P, "hit": Success, "mrr": RR, "map": AP}
    kind = kinds["hit" if measure.name == "answer" else measure.name]
    return kind if measure.cutoff is None else kind @ measure.cutoff


def _unknown(text: str, name: str) -> str:
    names = (*(f"{n}@K" if n in NEEDS_CUTOFF else n for n in RANKED), *UNRANKED)
    close = get_close_matches(name, (*RANKED, *UNRANKED), n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown measure '{text}': {guess}there are {', '.join(names)}"
