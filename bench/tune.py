"""What an embedder learns from documents alone: `kbqa tune embedder` on retrieval sets.

python -m bench.tune SETS_FOLDER [--set NAME] [--minutes 10] [--queries N]

Each corpus becomes a base, which is tuned as the command does it, the set's queries never seen.
Per set: nDCG@10 before and after, dense and hybrid, the gain and its limit, what the base itself
judged on its held-out documents, and steps a minute against a plain loop over the same batches.
Exits 1 where a gain is below its limit. Without --set: the three sets that have limits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.common import a_folder, parser, report, temporary_base
from bench.retrieval import rankings
from bench.sets import RetrievalSet, ndcg, read_sets
from qa import KnowledgeBase
from qa.settings import load_settings
from qa.tuning import batches as batching
from qa.tuning import embedder as tuning
from qa.tuning import training

LIMITS = {"codebase_chunks_en": 0.015, "anthropic_docs_en": 0.025, "cranfield_en": 0.0}
MEAN_LIMIT = 0.013
PLAIN_STEPS = 3


def main() -> None:
    """Tune every set and print."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder, help="folder of retrieval sets")
    arguments.add_argument("--set", action="append", default=[], dest="sets", metavar="NAME")
    arguments.add_argument("--queries", type=int, default=400, help="of each set, the first N")
    arguments.add_argument("--minutes", type=float, default=10.0)
    given = arguments.parse_args()
    sets = read_sets(given.folder, only=given.sets or list(LIMITS), queries=given.queries)
    rows = [measure(found, given.minutes) for found in sets]
    gains = [row["hybrid after"] - row["hybrid"] for row in rows]
    missed = [
        row["set"]
        for row, gain in zip(rows, gains, strict=True)
        if row["set"] in LIMITS and gain < LIMITS[row["set"]]
    ]
    if {row["set"] for row in rows} >= LIMITS.keys() and float(np.mean(gains)) < MEAN_LIMIT:
        missed.append("mean")
    report("tuned embedder, nDCG@10", rows, as_json=given.json)
    print(f"mean gain, hybrid: {float(np.mean(gains)):+.4f}", file=sys.stderr)
    if missed:
        sys.exit(f"below the limit: {', '.join(missed)}")


def measure(found: RetrievalSet, minutes: float) -> dict[str, Any]:
    """Figures of one set."""
    with temporary_base() as base:
        base.ingest_documents(found.documents)
        before = _quality(base, found)
        settings = load_settings()
        prospect = tuning.prospect(base, settings, minutes=minutes)
        plain = _plain_steps_a_minute(prospect)
        began = time.monotonic()
        done = tuning.tune(base, prospect, settings, minutes=minutes, on_stage=_tell)
        whole = (time.monotonic() - began) / 60
        after = _quality(base, found)
    limit = LIMITS.get(found.name)
    return {
        "set": found.name,
        "pairs": len(prospect.split.training),
        "dense": before["dense"],
        "dense after": after["dense"],
        "hybrid": before["ours"],
        "hybrid after": after["ours"],
        "gain": after["ours"] - before["ours"],
        "limit": "" if limit is None else limit,
        "judged": done.judgement.hybrid.difference,
        "adopted": done.adopted,
        "minutes": whole,
        "steps": done.trained.steps,
        "steps/min": 60 * done.trained.steps / done.trained.seconds,
        "plain": plain,
    }


def _quality(base: KnowledgeBase, found: RetrievalSet) -> dict[str, float]:
    ranked = [(query["id"], rankings(base, query["text"])) for query in found.queries]
    return {
        leg: float(np.mean([ndcg(ranking[leg], found.relevant[id_]) for id_, ranking in ranked]))
        for leg in ("dense", "ours")
    }


def _tell(what: str, share: float, left: float | None) -> None:
    if int(100 * share) % 10 == 0:
        print(f"{what}: {share:.0%}", file=sys.stderr)


def _plain_steps_a_minute(prospect: tuning.Prospect) -> float:
    """A loop as it is written in a tutorial: whole passages, pairs as they come."""
    import torch
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(training.trainable(prospect.base))
    model.add_adapter(
        LoraConfig(r=training.RANK, lora_alpha=training.ALPHA, target_modules="all-linear")
    )
    loss = MultipleNegativesRankingLoss(model)
    learned = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=training.RATE)
    pairs = prospect.split.training
    seconds: list[float] = []
    for number in range(PLAIN_STEPS + 1):
        some = pairs[number * batching.SIZE : (number + 1) * batching.SIZE]
        began = time.perf_counter()
        features = [_features(model, [pair.query for pair in some]),
                    _features(model, [pair.passage for pair in some])]  # fmt: skip
        loss(features, torch.zeros(len(some))).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
    return 60 / float(np.median(seconds[1:]))


def _features(model: Any, texts: Sequence[str]) -> Any:
    return model.preprocess(list(texts))


if __name__ == "__main__":
    main()
