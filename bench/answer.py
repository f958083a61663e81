"""What stands between a question and the model's first token, and between that and the reader.

python -m bench.answer [--chunks N] [--questions N] [--folder FOLDER]

The base is made up as in `bench.synthetic`. The model answers at once, so that what is measured is
kbqa's: everything before the model is called, ten plugins that do nothing, and the tokens that are
held back between the model and `on_token`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import a_folder, parser, peak_memory_mb, quantiles, report, temporary_base
from bench.corpus import chunk_texts
from bench.synthetic import TEXTS, grow, questions
from qa import Handler, Message, Turn
from qa.chain import build_chain
from qa.models import Reply

LIMITS = {
    "before the model p50": "< 25 ms",
    "ten plugins": "< 50 microseconds",
    "held back of 200 tokens": "0",
}
WARM = 30  # questions before the ones that count
TOKENS = [f" word{number}" for number in range(200)]
CALLS = 2000


class Instant:
    """A `ChatModel` that notes when it is called and what the reader has after each token."""

    name = "bench:instant"

    def __init__(self) -> None:
        self.called = self.cpu = 0.0
        self.given = 0
        self.read = 0

    def hear(self, token: str) -> None:
        """The reader's end."""
        self.read += len(token)

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """Two hundred words, at once."""
        self.called, self.cpu = time.perf_counter(), time.process_time()
        self.given = self.read = held = 0
        for token in TOKENS if on_token else ():
            assert on_token
            on_token(token)
            self.given += len(token)
            held += self.read < self.given
        return Reply("".join(TOKENS), {"held": held})


def main() -> None:
    """Build, ask and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, default=50_000)
    arguments.add_argument("--questions", type=int, default=200)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    given = arguments.parse_args()
    model = Instant()
    with temporary_base(min_score=0.0) as base:
        grow(base, chunk_texts(given.folder, base._embedder, TEXTS), given.chunks)
        base.use_model(model)
        asked = list(islice(cycle(questions(given.folder)), WARM + given.questions))
        before, worked, held = [], [], 0
        for question in asked:
            started, cpu = time.perf_counter(), time.process_time()
            answer = base.ask(question, model.hear)
            before.append(model.called - started)
            worked.append(model.cpu - cpu)
            held += answer.usage["held"]
    rows: list[dict[str, Any]] = [
        {"what": "before the model", **quantiles(before[WARM:])},
        {"what": "before the model, processor time", **quantiles(worked[WARM:])},
        {"what": "ten plugins", "microseconds": _plugins_cost()},
        {"what": "held back of 200 tokens", "tokens": held / len(asked)},
        {"what": f"peak MB at {given.chunks} chunks", "MB": peak_memory_mb()},
    ]
    report("answer", rows, as_json=given.json, limits=LIMITS)


def _plugins_cost() -> float:
    """Microseconds that ten layers add to a turn: the median of ten runs."""

    def idle(turn: Turn, call_next: Handler) -> Turn:
        return call_next(turn)

    def bare(turn: Turn) -> Turn:
        return turn

    layered, turn = build_chain([idle] * 10, bare), Turn("question")
    costs = [_seconds(partial(layered, turn)) - _seconds(partial(bare, turn)) for _ in range(10)]
    return round(float(np.median(costs)) * 1e6, 2)


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - started) / CALLS


if __name__ == "__main__":
    main()
