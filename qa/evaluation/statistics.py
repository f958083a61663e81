"""How sure a figure is: bootstrap intervals, and a paired test of two runs. Seeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10_000  # the error of a p-value of .05 is .002 then
BLOCK = 2_000_000  # numbers drawn at a time: 16 MB
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over `count` questions, and the interval it lies in with 95 % confidence."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Second run minus first, over the `count` questions that both have.

    `low`..`high` is the 95 % interval of the mean difference; `p` the chance of a difference this
    large if the runs were alike. `better` and `worse` count questions.
    """

    measure: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    better: int
    worse: int
    count: int

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance, at 5 %."""
        return self.p < 1 - LEVEL


def mean_with_interval(values: Sequence[float], *, seed: int = SEED) -> Figure:
    """The mean with its percentile bootstrap interval (Efron 1979). `values` is not empty."""
    array = np.asarray(values, np.float64)
    low, high = _interval(array, seed)
    return Figure(float(array.mean()), low, high, len(array))


def paired_difference(
    measure: str,
    first: Mapping[str, float],
    second: Mapping[str, float],
    *,
    seed: int = SEED,
) -> Difference | None:
    """Compare two runs on the questions that both have; None if they share none.

    The interval is a bootstrap over questions, the p-value a two-sided randomisation test: which
    of two runs gave which value is tossed for each question (Smucker et al. 2007).
    """
    shared = [id_ for id_ in first if id_ in second]
    if not shared:
        return None
    before = np.array([first[id_] for id_ in shared])
    after = np.array([second[id_] for id_ in shared])
    differences = after - before
    low, high = _interval(differences, seed)
    return Difference(
        measure=measure,
        first=float(before.mean()),
        second=float(after.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=_p_value(differences, seed),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        count=len(shared),
    )


def _interval(values: NDArray[np.float64], seed: int) -> tuple[float, float]:
    random = np.random.default_rng(seed)
    size = len(values)
    means = [
        values[random.integers(0, size, (rounds, size))].mean(axis=1) for rounds in _blocks(size)
    ]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)


def _p_value(differences: NDArray[np.float64], seed: int) -> float:
    random = np.random.default_rng(seed)
    moved = differences[differences != 0]  # a tossed sign changes nothing in the others
    if not len(moved):
        return 1.0
    observed = abs(moved.sum()) - 1e-9
    as_large = 0
    for rounds in _blocks(len(moved)):
        signs = random.integers(0, 2, (rounds, len(moved)), np.int8) * 2 - 1
        as_large += int((np.abs(signs @ moved) >= observed).sum())
    return (as_large + 1) / (ROUNDS + 1)


def _blocks(size: int) -> list[int]:
    """`ROUNDS` in parts of at most `BLOCK` numbers."""
    rows = max(1, min(ROUNDS, BLOCK // size))
    return [min(rows, ROUNDS - done) for done in range(0, ROUNDS, rows)]
