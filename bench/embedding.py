"""The default embedder against `SentenceTransformer.encode` with its defaults, on the same texts.

python -m bench.embedding [DOCUMENTS_FOLDER] [--texts N]

Texts are the chunks of the documents (default: sample_docs), repeated up to N. The two take turns,
so that a noisy machine slows both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import a_folder, parser, report, timed
from bench.corpus import chunk_texts
from qa.settings import load_settings
from retrieval.minilm import package_folder
from retrieval.openvino_embedder import OpenVinoEmbedder

ROUNDS = 3
LIMITS = {"rate ratio": ">= 2.5 on a CPU with AMX", "mean cosine": ">= .999"}


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder, nargs="?", default=Path("sample_docs"))
    arguments.add_argument("--texts", type=int, default=600)
    given = arguments.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer

    ours = OpenVinoEmbedder(load_settings().cache_dir)
    theirs = SentenceTransformer(str(package_folder()))
    texts = chunk_texts(given.folder, ours, given.texts)
    ours.embed(texts[:32])
    theirs.encode(texts[:32], show_progress_bar=False)
    seconds: dict[str, list[float]] = {"kbqa": [], "sentence-transformers": []}
    for _ in range(ROUNDS):
        spent, mine = timed(lambda: ours.embed(texts))
        seconds["kbqa"].append(spent)
        spent, reference = timed(lambda: theirs.encode(texts, show_progress_bar=False))
        seconds["sentence-transformers"].append(spent)
    cosines = np.sum(mine * reference, axis=1)
    best = {name: min(spent) for name, spent in seconds.items()}
    rows: list[dict[str, Any]] = [
        {"embedder": name, "texts": len(texts), "texts/s": len(texts) / spent}
        for name, spent in best.items()
    ]
    rows[0] |= {
        "precision": ours.precision,
        "rate ratio": best["sentence-transformers"] / best["kbqa"],
        "mean cosine": float(cosines.mean()),
        "least cosine": float(cosines.min()),
    }
    report("embedding", rows, as_json=given.json, limits=LIMITS)


if __name__ == "__main__":
    main()
