from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadRequest
from qa.evaluation.measures import Measure, default_measures, parse_measure, score_rankings
from tests.qa.command_line import environment


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("recall@5", Measure("recall", 5)),
        (" nDCG@3 ", Measure("ndcg", 3)),
        ("ndcg", Measure("ndcg", 10)),
        ("MRR", Measure("mrr")),
        ("mrr@10", Measure("mrr", 10)),
        ("answer@1", Measure("answer", 1)),
        ("refusal_recall", Measure("refusal_recall")),
    ],
)
def test_names(text: str, measure: Measure) -> None:
    assert parse_measure(text) == measure
    assert parse_measure(str(measure)) == measure


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recal@5", "did you mean 'recall'.*there are ndcg, recall@K, .*refusal_recall"),
        ("", "unknown measure ''"),
        ("recall", "needs a cutoff: write for instance recall@5"),
        ("recall@0", "the cutoff is 1 to 100"),
        ("recall@101", "the cutoff is 1 to 100"),
        ("recall@x", "the cutoff is 1 to 100"),
        ("recall@", "the cutoff is 1 to 100"),
        ("f1@3", "unknown measure"),
    ],
)
def test_bad_names(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_measure(text)


@pytest.mark.parametrize("k", [0, -1, 101])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(BadRequest, match=f"k is {k}"):
        default_measures(k)


def test_defaults_follow_k() -> None:
    assert [str(m) for m in default_measures(3)] == [
        "ndcg@3", "recall@1", "recall@3", "mrr", "answer@1", "answer@3",
    ]  # fmt: skip


def test_known_values() -> None:
    measures = [parse_measure(t) for t in ("ndcg@10", "recall@2", "mrr", "hit@1", "precision@2",
                                           "map", "mrr@1")]  # fmt: skip
    relevant = {"q": {"a": 1, "b": 2}, "none found": {"a": 1}, "not ranked": {"a": 1}}
    found = score_rankings(measures, relevant, {"q": ["x", "b", "a"], "none found": ["x"]})
    values = {name: scores["q"] for name, scores in found.items()}
    # DCG 2/log2(3) + 1/log2(4), ideal 2 + 1/log2(3)
    assert values["ndcg@10"] == pytest.approx(1.76186 / 2.63093, abs=1e-4)
    assert values["recall@2"] == 0.5
    assert values["mrr"] == 0.5
    assert values["mrr@1"] == 0
    assert values["hit@1"] == 0
    assert values["precision@2"] == 0.5
    assert values["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    for name in ("none found", "not ranked"):
        assert {scores[name] for scores in found.values()} == {0.0}


def test_names_are_any_text() -> None:
    odd = ["a\udcff", "a\0b", "a\0c", "", " "]
    found = score_rankings(
        [Measure("mrr")], {q: {"a\0b": 1, "\udc80": 1} for q in odd}, dict.fromkeys(odd, odd)
    )
    assert found == {"mrr": dict.fromkeys(odd, 0.5)}


def test_nothing_to_score() -> None:
    assert score_rankings([], {"q": {"a": 1}}, {}) == {}
    assert score_rankings([Measure("mrr")], {}, {"q": ["a"]}) == {"mrr": {}}


@given(st.permutations("abcdef"), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_rank_alone_decides(ranking: list[str], relevant: set[str]) -> None:
    """Whatever the names of the items: ties would be broken by them."""
    found = score_rankings(
        [Measure("mrr"), Measure("recall", 6), Measure("hit", 1)],
        {"q": dict.fromkeys(relevant, 1)},
        {"q": ranking},
    )
    first = min(ranking.index(item) for item in relevant)
    assert found["mrr"]["q"] == pytest.approx(1 / (first + 1))
    assert found["recall@6"]["q"] == 1
    assert found["hit@1"]["q"] == float(first == 0)


def test_the_library_needs_nothing_heavy_and_no_network() -> None:
    code = """
import socket, sys
def refuse(*a, **k): raise AssertionError(a)
socket.socket.connect = socket.getaddrinfo = refuse
from qa.evaluation.measures import Measure, score_rankings
print(score_rankings([Measure("ndcg", 10)], {"q": {"a": 1}}, {"q": ["a"]})["ndcg@10"]["q"])
heavy = {"pandas", "torch", "openai", "qdrant_client", "langchain_core", "llama_index"}
assert heavy.isdisjoint(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False, env=environment())  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("1.0", "")
