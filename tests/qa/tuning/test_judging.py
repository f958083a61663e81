from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk
from qa.tuning.judging import OF_A_PASSAGE, chosen, judge, remembered
from qa.tuning.pairs import Pair
from tests.fakes import HashEmbedder

pytestmark = pytest.mark.integration

WORDS = [
    "pump",
    "seal",
    "valve",
    "motor",
    "filter",
    "gauge",
    "hose",
    "tank",
    "switch",
    "fan",
    "belt",
    "lamp",
    "door",
    "roof",
]


def chunks(count: int = 40) -> list[Chunk]:
    chance = random.Random(0)
    found = []
    for number in range(count):
        text = f"Plant {number} has a {' and a '.join(chance.sample(WORDS, 4))} in hall {number}."
        found.append(Chunk(f"{number}.md@1", f"{number}.md", f"Plant {number}", 0, len(text), text))
    return found


def pairs(some: list[Chunk]) -> list[Pair]:
    return [Pair(one.text, one.text, one.uri, one.position, "sentence") for one in some]


class Blind(HashEmbedder):
    """Finds nothing: all vectors are the same."""

    def embed(self, texts):  # type: ignore[no-untyped-def]
        return super().embed(["x"] * len(texts))


def test_an_embedder_is_as_good_as_itself() -> None:
    some = chunks()
    judged = judge(some, pairs(some), HashEmbedder(), HashEmbedder())
    assert (judged.questions > 100, judged.passages) == (True, 40)
    assert judged.dense.difference == judged.hybrid.difference == 0
    assert judged.hybrid.first > 0.3
    assert not judged.is_better


def test_one_that_is_worse_is_told_and_one_that_is_better() -> None:
    some = chunks()
    down = judge(some, pairs(some), HashEmbedder(), Blind())
    up = judge(some, pairs(some), Blind(), HashEmbedder())
    assert down.dense.difference == -up.dense.difference < -0.2


def test_of_a_passage_a_few_and_real_questions_first() -> None:
    of_one = [Pair(f"q{n}", "p", "a.md", 0, "sentence") for n in range(9)]
    real = [Pair("asked", "p", "a.md", 0, "labelled"), Pair("other", "p", "b.md", 1, "feedback")]
    titles = [Pair("title", "p", "a.md", 0, "title")]
    kept = chosen([*of_one, *titles, *real])
    assert [pair.query for pair in kept[:2]] == ["asked", "other"]
    assert len([pair for pair in kept if pair.uri == "a.md"]) == OF_A_PASSAGE
    assert "title" not in {pair.query for pair in kept}


@given(text=st.text(min_size=1, max_size=80), seed=st.integers(0, 99))
def test_what_is_remembered_is_of_the_text(text: str, seed: int) -> None:
    kept = remembered(text, random.Random(seed))
    assert kept
    assert all(part in text for part in kept.split())


def test_some_is_remembered_in_both_languages() -> None:
    english = remembered(" ".join(f"word{n}" for n in range(200)), random.Random(0)).split()
    chinese = remembered(
        "水泵每运行五百小时需要加注润滑油密封件的寿命为两年" * 20, random.Random(0)
    )
    assert 70 < len(english) < 130
    assert 0.35 < len("".join(chinese.split())) / 500 < 0.65
