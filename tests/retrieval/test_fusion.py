from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import (
    DENSE_WEIGHT,
    EVIDENCE,
    FEEDBACK_WEIGHT,
    MISSED,
    UNSEEN,
    UNSEEN_NAME,
    UNSEEN_NUMBER,
    covered_share,
    dense_weight,
    evidence,
    fuse,
    idf,
    probability,
    refine,
)
from retrieval.hits import Leg
from retrieval.store import Scored

UNIT = st.floats(0, 1)
LEG = st.dictionaries(st.integers(1, 8), UNIT, max_size=8)
WEIGHT = st.floats(0, 1)


def ranked(scores: dict[int, float]) -> list[Scored]:
    order = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Scored(*item) for item in order]


def scores_of(
    dense: dict[int, float], lexical: dict[int, float], weight: float, total: float = 1.0
) -> dict[int, float]:
    fused = fuse(ranked(dense), ranked(lexical), weight=weight, total_idf=total)
    return {item.id: item.score for item in fused}


def test_the_score_is_the_weighted_mean_of_cosine_and_coverage() -> None:
    fused = fuse(
        [Scored(1, 0.8), Scored(2, 0.5)],
        [Scored(3, 9.0), Scored(2, 6.0)],
        weight=0.25,
        total_idf=12.0,
    )
    assert [item.id for item in fused] == [3, 2, 1]
    expected = [0.5625 + 0.25 * MISSED * 0.5, 0.5, 0.2]
    assert [item.score for item in fused] == pytest.approx(expected)
    assert [item.legs for item in fused] == [
        {"lexical": Leg(1, 9.0)},
        {"dense": Leg(2, 0.5), "lexical": Leg(2, 6.0)},
        {"dense": Leg(1, 0.8)},
    ]


@given(dense=LEG, lexical=LEG, weight=WEIGHT)
def test_scores_of_normalised_legs_lie_within_0_and_1(
    dense: dict[int, float], lexical: dict[int, float], weight: float
) -> None:
    fused = fuse(ranked(dense), ranked(lexical), weight=weight, total_idf=1.0)
    assert {item.id for item in fused} == dense.keys() | lexical.keys()
    assert all(0.0 <= item.score <= 1.0 + 1e-9 for item in fused)
    order = [(-item.score, item.id) for item in fused]
    assert order == sorted(order)


@given(dense=LEG, lexical=LEG, weight=WEIGHT, name=st.integers(1, 8), more=UNIT)
def test_more_words_are_never_less_in_sum(
    dense: dict[int, float], lexical: dict[int, float], weight: float, name: int, more: float
) -> None:
    before = scores_of(dense, lexical, weight)
    after = scores_of(dense, lexical | {name: lexical.get(name, 0.0) + more}, weight)
    assert after[name] >= before.get(name, 0.0) - 1e-12
    assert {i: s for i, s in after.items() if i != name} == {
        i: s for i, s in before.items() if i != name
    }


@given(dense=LEG, lexical=LEG, weight=WEIGHT)
def test_what_the_dense_leg_left_out_counts_less_than_what_it_listed(
    dense: dict[int, float], lexical: dict[int, float], weight: float
) -> None:
    alone = scores_of(dense, {}, weight, total=1.0)
    for id_, score in scores_of(dense, lexical, weight).items():
        if id_ not in dense and dense:
            assert score - (1 - weight) * lexical[id_] <= min(alone.values()) + 1e-12


@given(dense=LEG, weight=WEIGHT)
def test_without_terms_the_dense_leg_stands_alone(dense: dict[int, float], weight: float) -> None:
    assert scores_of(dense, {}, weight, total=0.0) == dense


def test_a_negative_cosine_counts_as_0() -> None:
    (found,) = fuse([Scored(1, -0.3)], [], weight=1.0, total_idf=1.0)
    assert found.score == 0.0
    assert found.legs == {"dense": Leg(1, -0.3)}


def test_ties_are_ordered_by_id() -> None:
    lexical = [Scored(id_, 1.0) for id_ in (3, 1, 2)]
    fused = fuse([], lexical, weight=0.5, total_idf=2.0)
    assert [item.id for item in fused] == [1, 2, 3]


@given(dense=LEG, lexical=LEG, weight=WEIGHT, keep=st.integers(0, 20))
def test_keep_cuts_the_list_and_nothing_else(
    dense: dict[int, float], lexical: dict[int, float], weight: float, keep: int
) -> None:
    legs = ranked(dense), ranked(lexical)
    everything = fuse(*legs, weight=weight, total_idf=1.0)
    assert fuse(*legs, weight=weight, total_idf=1.0, keep=keep) == everything[:keep]


def test_nothing_fused_is_nothing() -> None:
    assert fuse([], [], weight=0.5, total_idf=1.0) == []


def test_the_dense_weight_grows_with_what_the_embedder_knows() -> None:
    weights = [dense_weight(share / 10) for share in range(11)]
    assert dense_weight(1.0, tuned=True) > weights[-1]
    assert weights == sorted(set(weights))
    assert (weights[0], weights[-1]) == (0.0, DENSE_WEIGHT)


def test_idf_is_bm25s() -> None:
    assert idf("word", 100, 7) == pytest.approx(math.log(1 + 93.5 / 7.5))
    assert idf("word", 100, 100) == pytest.approx(math.log(1 + 0.5 / 100.5))
    assert idf("word", 1, 1) > 0


def test_idf_of_an_unseen_term_depends_on_whether_it_is_a_number() -> None:
    unseen = math.log(1 + 100.5 / 0.5)
    assert idf("wort", 100, 0) == pytest.approx(UNSEEN * unseen)
    assert idf("1042", 100, 0) == idf("v2", 100, 0) == pytest.approx(UNSEEN_NUMBER * unseen)
    assert idf("ceo", 100, 0, is_name=True) == pytest.approx(UNSEEN_NAME * unseen)
    assert idf("v2", 100, 0, is_name=True) == idf("v2", 100, 0)
    assert idf("ceo", 100, 7, is_name=True) == idf("ceo", 100, 7)


@given(documents=st.integers(0, 10**7), frequency=st.integers(0, 2 * 10**7))
def test_idf_is_positive_whatever_an_engine_estimates(documents: int, frequency: int) -> None:
    assert 0.0 < idf("term", documents, frequency) < 50.0


@given(documents=st.integers(2, 10**6), frequency=st.integers(1, 10**6))
def test_rarer_terms_weigh_more(documents: int, frequency: int) -> None:
    if frequency < documents:
        assert idf("term", documents, frequency) > idf("term", documents, frequency + 1)


def unit(*numbers: float) -> np.ndarray:
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


VECTORS = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(0.1, 1)).map(lambda pair: unit(*pair)), max_size=8
)


def test_what_the_first_hits_say_moves_the_question() -> None:
    vectors = {1: unit(1, 0.2), 2: unit(1, 0.4), 3: unit(1, -0.5), 4: unit(1, 0.6)}
    question = unit(1, 0)
    dense = ranked({id_: float(vector @ question) for id_, vector in vectors.items()})
    fused = fuse(dense, [], weight=1.0, total_idf=0.0)
    assert [item.id for item in fused] == [1, 2, 3, 4]
    again = refine(fused, question, vectors, weight=1.0)
    assert [item.id for item in again] == [1, 2, 4, 3]
    moved = question + FEEDBACK_WEIGHT * (vectors[1] + vectors[2]) / 2
    assert again[0].score == pytest.approx(float(vectors[1] @ moved / np.linalg.norm(moved)))
    assert again[0].legs == fused[0].legs


@given(vectors=VECTORS, lexical=LEG, weight=WEIGHT, seen=st.sets(st.integers(1, 8)))
def test_a_second_look_keeps_the_candidates_and_an_order(
    vectors: list[np.ndarray], lexical: dict[int, float], weight: float, seen: set[int]
) -> None:
    question = unit(1, 1)
    known = dict(enumerate(vectors, 1))
    dense = ranked({id_: float(vector @ question) for id_, vector in known.items()})
    fused = fuse(dense, ranked(lexical), weight=weight, total_idf=1.0)
    looked_at = {id_: known[id_] for id_ in seen & known.keys()}
    again = refine(fused, question, looked_at, weight=weight)
    assert sorted(item.id for item in again) == sorted(item.id for item in fused)
    scores = [item.score for item in again]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([item.dense + item.lexical + item.feedback for item in again])
    assert {item.id: item.rank for item in again} == {
        item.id: rank for rank, item in enumerate(fused, 1)
    }
    assert looked_at or again == fused


@given(first=st.floats(-1, 3), second=st.floats(-1, 3))
def test_a_score_is_a_probability_that_grows_with_strength(first: float, second: float) -> None:
    scores = probability(first), probability(second)
    assert all(0.0 < score < 1.0 for score in scores)
    assert (first <= second) or scores[0] >= scores[1]


@given(UNIT, UNIT, UNIT, st.lists(UNIT, min_size=1, max_size=3), UNIT)
def test_evidence_is_a_probability_that_grows_with_each_sign(
    known: float, cosine: float, covered: float, scores: list[float], more: float
) -> None:
    scores.sort(reverse=True)

    def found(cosine: float, covered: float, first: float = 0.0, length: int = 5) -> float:
        return evidence(
            known_share=known,
            cosine=cosine,
            covered=covered,
            length=length,
            scores=[scores[0] + first, *scores[1:]],
            weights=EVIDENCE,
        )

    least = found(cosine, covered)
    assert 0.0 < least < 1.0
    assert least <= found(cosine + more, covered)
    assert least <= found(cosine, covered + more)
    assert least <= found(cosine, covered, first=more)
    assert least <= found(cosine, covered, length=6)


def test_passages_that_are_all_alike_are_less_evidence() -> None:
    def found(*scores: float) -> float:
        return evidence(
            known_share=1, cosine=0.5, covered=0.5, length=5, scores=scores, weights=EVIDENCE
        )

    assert found(0.8, 0.8, 0.2) > found(0.8, 0.8, 0.8)  # what is said twice is no worse for it
    assert found(0.8, 0.8, 0.2) == found(0.8, 0.3, 0.2)


def test_a_missing_rare_word_weighs_more_than_a_common_one() -> None:
    terms = {"rare": 4.0, "common": 1.0}
    assert covered_share(terms, {"common"}) == pytest.approx(1 / 17)
    assert covered_share(terms, {"rare", "common", "more"}) == 1.0
    assert covered_share({}, {"rare"}) == 0.0
