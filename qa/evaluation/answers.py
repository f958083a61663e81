"""How good an answer is: the expected words, and where its citations lie.

Exact match and F1 are those of SQuAD (Rajpurkar et al. 2016), for Chinese by characters, with all
punctuation dropped, as in MLQA (Lewis et al. 2020).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable

from qa.evaluation.targets import Aim, holds_answer, squeezed
from qa.turn import Answer, Citation, Statement
from retrieval.terms import CJK

_MARK = re.compile(r"\[\d+\]")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_TOKEN = re.compile(rf"[{CJK}]|[^{CJK}\s]+")


def score_answer(aim: Aim, answer: Answer) -> dict[str, float]:
    """Measure -> value for one question; measures that do not apply are left out.

    A refusal of a question that has an answer scores 0 for that answer and for citing it.
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
    cited = () if answer.abstained else answer.citations
    said = () if answer.abstained else answer.statements
    return scores | _citation_scores(aim, cited) | _support_scores(said)


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


def _support_scores(statements: Iterable[Statement]) -> dict[str, float]:
    """Means over the statements that `check_support` has judged."""
    judged = [s for s in statements if s.support is not None and s.supported is not None]
    if not judged:
        return {}
    return {
        "support": sum(s.support or 0.0 for s in judged) / len(judged),
        "supported": sum(bool(s.supported) for s in judged) / len(judged),
    }


def _met(aim: Aim, citation: Citation) -> set[str]:
    """Names of the relevant places in which a citation lies."""
    if aim.level == "answer":
        held = holds_answer(citation.quote, aim.question.answers)
        return set(aim.relevant) if held else set()
    place = (citation.uri, citation.start, citation.end)
    return {target.name for target in aim.targets if target.meets(*place)}


def _tokens(text: str) -> list[str]:
    """Words and Chinese characters: "The Côte d'Azur, 2016年" is côte dazur 2016 年."""
    plain = "".join(c for c in squeezed(_MARK.sub(" ", text)) if not _is_punctuation(c))
    return _TOKEN.findall(_ARTICLE.sub(" ", plain))


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
