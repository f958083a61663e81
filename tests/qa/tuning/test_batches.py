from __future__ import annotations

import hashlib
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from qa.tuning.batches import NEIGHBOUR, batches
from qa.tuning.pairs import Pair

LONG = "The pump moves forty litres a minute and its seal lasts for two years at the very least."


def pair(number: int, *, uri: str = "", position: int = 0, passage: str = "") -> Pair:
    text = passage or hashlib.sha256(str(number).encode()).hexdigest()
    return Pair(f"question {number}", text, uri or f"{number}.md", position, "sentence")


def test_each_pair_is_in_one_batch_at_most() -> None:
    pairs = [pair(number) for number in range(100)]
    made = batches(pairs, {}, size=8)
    assert {len(batch) for batch in made} == {8}
    used = [index for batch in made for index in batch]
    assert len(used) == len(set(used)) == 96
    assert made == batches(pairs, {}, size=8)
    assert made != batches(pairs, {}, size=8, seed=1)


def test_what_the_search_confuses_shares_a_batch() -> None:
    pairs = [pair(number) for number in range(64)]
    confused = {(f"{n}.md", 0): [(f"{(n + 32) % 64}.md", 0)] for n in range(64)}
    made = batches(pairs, confused, size=8)
    together = sum(n + 32 in batch for batch in made for n in batch if n < 32)
    assert together >= 24


def test_copies_and_neighbours_are_kept_apart() -> None:
    copies = [pair(number, passage=f"{LONG} No. {number}") for number in range(8)]
    chapters = [pair(100 + n, uri="a.md", position=n) for n in range(16)]
    others = [pair(200 + number) for number in range(40)]
    pairs = [*copies, *chapters, *others]
    places = [item.place for item in pairs]
    made = batches(pairs, dict.fromkeys(places, places), size=8)
    for batch in made:
        assert sum(index < 8 for index in batch) <= 1
        positions = [pairs[index].position for index in batch if pairs[index].uri == "a.md"]
        assert all(abs(a - b) > NEIGHBOUR for a, b in combinations(positions, 2))


def test_too_few_pairs_are_a_batch_of_their_own() -> None:
    assert sorted(batches([pair(n) for n in range(5)], {}, size=8)[0]) == [0, 1, 2, 3, 4]


@given(
    places=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=40),
    seed=st.integers(0, 3),
)
def test_any_pairs_end(places: list[tuple[str, int]], seed: int) -> None:
    pairs = [pair(n, uri=uri, position=at) for n, (uri, at) in enumerate(places)]
    confused = {(uri, at): [(uri, at + 1), (uri, at)] for uri, at in places}
    used = [index for batch in batches(pairs, confused, size=4, seed=seed) for index in batch]
    assert len(used) == len(set(used))
    assert set(used) <= set(range(len(pairs)))
