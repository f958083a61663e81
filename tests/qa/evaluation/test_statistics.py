from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.evaluation import statistics
from qa.evaluation.statistics import mean_with_interval, paired_difference

values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.fixture(autouse=True)
def _fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "ROUNDS", 500)


@given(values)
def test_the_mean_lies_in_its_interval(sample: list[float]) -> None:
    figure = mean_with_interval(sample)
    assert min(sample) - 1e-9 <= figure.low <= figure.high <= max(sample) + 1e-9
    assert figure.mean == pytest.approx(sum(sample) / len(sample))
    assert figure.count == len(sample)


def test_one_value_and_equal_values_have_no_width() -> None:
    assert mean_with_interval([0.4]).low == mean_with_interval([0.4]).high == 0.4
    assert mean_with_interval([1.0] * 9).low == 1.0


def test_the_interval_narrows_with_more_questions() -> None:
    few, many = mean_with_interval([0, 1] * 5), mean_with_interval([0, 1] * 500)
    assert many.high - many.low < (few.high - few.low) / 5
    assert few.low < 0.3
    assert few.high > 0.7


def test_a_seed_repeats_and_another_differs() -> None:
    sample = [0.1 * n for n in range(11)]
    assert mean_with_interval(sample, seed=3) == mean_with_interval(sample, seed=3)
    assert mean_with_interval(sample, seed=3) != mean_with_interval(sample, seed=4)


def runs(before: list[float], after: list[float]) -> tuple[dict[str, float], dict[str, float]]:
    names = [f"q{n}" for n in range(len(before))]
    return dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True))


def test_a_clear_difference() -> None:
    found = paired_difference("mrr", *runs([0.2] * 20, [0.6] * 18 + [0.2, 0.1]))
    assert found is not None
    assert found.significant
    assert found.p < 0.01
    assert (found.better, found.worse, found.count) == (18, 1, 20)
    assert found.difference == pytest.approx((18 * 0.4 - 0.1) / 20)
    assert 0 < found.low < found.difference < found.high


def test_no_difference_and_chance() -> None:
    same = paired_difference("mrr", *runs([0.2, 0.8], [0.2, 0.8]))
    assert same is not None
    assert (same.p, same.difference, same.significant) == (1.0, 0.0, False)
    mixed = paired_difference("mrr", *runs([0, 1] * 10, [1, 0] * 10))
    assert mixed is not None
    assert mixed.p == 1.0


def test_two_questions_are_never_significant() -> None:
    found = paired_difference("mrr", *runs([0, 0], [1, 1]))
    assert found is not None
    assert found.p == pytest.approx(0.5, abs=0.1)  # of four tosses two are as large


@given(values.flatmap(lambda sample: st.tuples(st.just(sample), st.permutations(sample))))
def test_turned_round_the_sign_turns(pair: tuple[list[float], list[float]]) -> None:
    one = paired_difference("mrr", *runs(*pair))
    other = paired_difference("mrr", *runs(*reversed(pair)))
    assert one is not None
    assert other is not None
    assert one.difference == pytest.approx(-other.difference)
    assert (one.better, one.worse) == (other.worse, other.better)
    assert one.p == pytest.approx(other.p)
    assert 0 < one.p <= 1


def test_only_shared_questions_count() -> None:
    found = paired_difference("mrr", {"a": 0.0, "b": 1.0}, {"b": 1.0, "c": 0.0})
    assert found is not None
    assert (found.count, found.first, found.second) == (1, 1.0, 1.0)
    assert paired_difference("mrr", {"a": 0.0}, {"b": 0.0}) is None


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_blocks_make_up_all_rounds(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "BLOCK", 20_000)
    blocks = statistics._blocks(size)
    assert sum(blocks) == 500
    assert max(blocks) * size <= 20_000
