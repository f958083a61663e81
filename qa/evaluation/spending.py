"""What answers take: tokens, money, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens of prompts and of replies, and what they cost; two of them add up.

    `cost` is in the currency of the configured prices, None where nothing has a price. `estimated`:
    some of the tokens are kbqa's guess, as a server did not count them.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    estimated: bool = False

    @classmethod
    def of(cls, usage: Mapping[str, int], cost: float | None) -> Self:
        """Of an answer or a reply, by its `usage`."""
        return cls(
            usage.get("prompt_tokens", 0),
            usage.get("completion_tokens", 0),
            cost,
            bool(usage.get("estimated")),
        )

    def __add__(self, other: Spending) -> Spending:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Spending(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            sum(costs) if costs else None,
            self.estimated or other.estimated,
        )


NOTHING = Spending()


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that half, 95 % and 99 % of the calls stay below."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Of calls that took so long; there is at least one."""
        return cls(*map(float, np.percentile(seconds, [50, 95, 99])))
