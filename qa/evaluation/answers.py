"""How good an answer is: the expected words, and where its citations lie.

Exact match and F1 are those of SQuAD (Rajpurkar et al. 2016), for Chinese by characters as in
CMRC 2018 (Cui et al. 2019).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

from qa.evaluation.targets import Aim, holds_answer, squeezed
from qa.turn import Answer, Citation
from retrieval.terms import CJK

_MARK = re.compile(r"\[\d+\]")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(
    dict.fromkeys(string.punctuation + "，。；：、？！“”‘’《》（）—…·", " ")
)
_TOKEN = re.compile(rf"[{CJK}]|[^{CJK}\s]+")


def score_answer(aim: Aim, answer: Answer) -> dict[str, float]:
    """Measure -> value for one question; measures that do not apply are left out.

    A refusal of a question that has an answer scores 0 for that answer, and nothing for citations.
    """
    question = aim.question
    scores: dict[str, float] = {}
    if question.unanswerable:
        scores["refusal_recall"] = float(answer.abstained)
    if answer.abstained:
        scores["refusal_precision"] = float(question.unanswerable)
    if question.answers:
        text = "" if answer.abstained else answer.text
        scores["exact_match"] = max(exact_match(text, expected) for expected in question.answers)
        scores["f1"] = max(token_f1(text, expected) for expected in question.answers)
        scores["answer_recall"] = float(holds_answer(_MARK.sub("", text), question.answers))
    if not answer.abstained:
        scores |= _citation_scores(aim, answer.citations)
    return scores


def exact_match(text: str, expected: str) -> float:
    """1 if the two are the same but for case, articles, punctuation and marks."""
    return float(_tokens(text) == _tokens(expected))


def token_f1(text: str, expected: str) -> float:
    """Harmonic mean of the shares of words that each has of the other."""
    said, wanted = _tokens(text), _tokens(expected)
    common = sum((Counter(said) & Counter(wanted)).values())
    if not common:
        return float(said == wanted)
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _citation_scores(aim: Aim, citations: Iterable[Citation]) -> dict[str, float]:
    cited = list(citations)
    if aim.question.unanswerable:  # nothing could be right
        return {"citation_precision": 0.0} if cited else {}
    if not aim.relevant:
        return {}
    met = [_met(aim, citation) for citation in cited]
    found = set().union(*met)
    scores = {"citation_recall": len(found) / len(aim.relevant)}
    if cited:
        scores["citation_precision"] = sum(map(bool, met)) / len(cited)
    return scores


def _met(aim: Aim, citation: Citation) -> set[str]:
    """Names of the relevant places in which a citation lies."""
    if aim.level == "answer":
        held = holds_answer(citation.quote, aim.question.answers)
        return set(aim.relevant) if held else set()
    place = (citation.uri, citation.start, citation.end)
    return {target.name for target in aim.targets if target.meets(*place)}


def _tokens(text: str) -> list[str]:
    plain = squeezed(_MARK.sub(" ", text)).translate(_PUNCTUATION)
    return _TOKEN.findall(_ARTICLE.sub(" ", plain))
