"""The default embedder: all-MiniLM-L6-v2 on OpenVINO, in bf16 where the CPU has it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ingest.errors import Closed, NotConfigured
from ingest.openvino_import import import_openvino
from retrieval.adapter import Adapter
from retrieval.compiled import with_compiled
from retrieval.embedding import DEFAULT_EMBEDDER, UNSCALED, Vectors
from retrieval.minilm import HIDDEN, WEIGHTS_SHA256, package_folder, with_graph
from retrieval.word_starts import WordStarts

MAX_TOKENS = 256  # max_seq_length of the model's sentence-transformers configuration
BATCH_TOKENS = 4096  # rows x longest row: 16 of the longest; 8 to 32 rows were alike on 2 cores
BATCH_ROWS = 64
BREATH = 1.0  # seconds between two batches of one ingest, at most
CORES = os.cpu_count() or 1
ASKED = 16  # questions whose tokens are kept: each is embedded and looked through


class OpenVinoEmbedder:
    """`Embedder` that needs no network and no torch. The first use converts the weights (1 s).

    A question does not wait for passages that are being embedded: it has a runtime of its own then,
    which is made when it is first needed (some 100 MB). That has one thread, the asker's own:
    another one would be shared with the passages. And while questions are asked the passages leave
    a core free: they have a third runtime then, of one thread less than there are cores.
    """

    dimension = HIDDEN
    max_tokens = MAX_TOKENS

    def __init__(self, cache_dir: Path, adapter: Adapter | None = None) -> None:
        self.name = adapter.spec if adapter else DEFAULT_EMBEDDER
        self.cosine_scale = adapter.cosines if adapter else UNSCALED
        self.revision = f"{WEIGHTS_SHA256}+{adapter.tag}" if adapter else WEIGHTS_SHA256
        try:
            from tokenizers import Tokenizer

            openvino = import_openvino()
        except ImportError as exc:
            raise NotConfigured(f"the default embedder needs {exc.name}: pip install kbqa") from exc
        core = openvino.Core()
        capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if capable else "f32"
        options = {"INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY"}

        def compiled(**more: int) -> _Runtime:
            def use(graph: Path) -> Any:
                return with_compiled(
                    graph.parent,
                    lambda kept: core.compile_model(graph, "CPU", {**options, **more, **kept}),
                )

            return _Runtime(with_graph(cache_dir, use, adapter))

        self._for_passages = compiled()
        self._for_questions: _Runtime | None = None
        self._beside_questions: _Runtime | None = None
        self._compiled = compiled
        self._compiling = threading.Lock()
        self._at_work = 0  # calls that embed passages at this moment
        self._worked = 0.0  # when the last one ended
        self._disturbed = -BREATH  # when a question last came in their midst
        self._counting = threading.Lock()
        self._tokenizer: Any = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._starts = WordStarts(self._tokenizer)
        self._unknown: Any = self._tokenizer.token_to_id("[UNK]")
        self._asked = lru_cache(ASKED)(self._ids)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: `(len(texts), 384)` float32, rows of length 1."""
        with self._counting:
            self._at_work += 1
        try:
            encoded = self._tokenizer.encode_batch_fast(list(texts))
            return self._embed([encoding.ids for encoding in encoded], self._runtime_of_passages)
        finally:
            with self._counting:
                self._at_work -= 1
                self._worked = time.monotonic()

    def embed_query(self, text: str) -> Vectors:
        """Vector of a question: `(384,)` float32 of length 1. This model has no query prompt."""
        vector: Vectors = self._embed([self._asked(text)], self._free_runtime)[0]
        return vector

    def _runtime_of_passages(self) -> _Runtime:
        """All cores, less one while questions are asked."""
        if CORES == 1 or time.monotonic() - self._disturbed > BREATH:
            return self._for_passages
        with self._compiling:
            if self._beside_questions is None:
                self._beside_questions = self._compiled(INFERENCE_NUM_THREADS=CORES - 1)
        return self._beside_questions

    def _free_runtime(self) -> _Runtime:
        """One in which no passages are embedded, nor are about to be."""
        if self._at_work:
            self._disturbed = time.monotonic()
            with self._compiling:
                if self._for_questions is None:
                    self._for_questions = self._compiled(INFERENCE_NUM_THREADS=1)
        elif time.monotonic() - self._worked > BREATH:
            return self._for_passages
        return self._for_questions or self._for_passages

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _embed(self, encoded: Sequence[list[int]], runtime: Callable[[], _Runtime]) -> Vectors:
        vectors = np.zeros((len(encoded), HIDDEN), np.float32)
        tokens = list(map(_in_window, encoded))
        for rows in _batches([len(ids) for ids in tokens]):
            vectors[rows] = runtime().infer([tokens[row] for row in rows])
        # in bf16 the graph's own scaling is off by up to .004
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def token_starts(self, text: str) -> list[int]:
        """Character offset of each token of `text`, ascending."""
        return self._starts(text)

    def known_share(self, text: str) -> float:
        """Share of the tokens of `text` that are not [UNK]; 1 for a text without tokens."""
        ids = self._asked(text)[1:-1]  # without [CLS] and [SEP]
        return 1.0 - ids.count(self._unknown) / len(ids) if ids else 1.0

    def close(self) -> None:
        """Release the model."""
        for runtime in (self._for_passages, self._for_questions, self._beside_questions):
            if runtime is not None:
                runtime.close()


class _Runtime:
    """A compiled graph; a batch at a time goes through it, whichever thread asks."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._requests = threading.local()

    def infer(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Vectors of texts given as token ids; they stay the runtime's until the next call."""
        shape = (len(tokens), max(map(len, tokens)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, token_ids in enumerate(tokens):
            ids[row, : len(token_ids)] = token_ids
            mask[row, : len(token_ids)] = 1
        request = getattr(self._requests, "request", None)
        if request is None:  # a request may not be shared between threads
            model = self._model
            if model is None:
                raise Closed(f"the embedder {DEFAULT_EMBEDDER} is closed")
            request = self._requests.request = model.create_infer_request()
        request.infer([ids, mask])
        output: Vectors = request.get_output_tensor(0).data
        return output

    def close(self) -> None:
        """Release the model."""
        self._model = None
        self._requests = threading.local()


def _in_window(ids: list[int]) -> list[int]:
    """As much of a text as the model takes, with the token that ends it."""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Row numbers in batches of similar length, so that little padding is computed."""
    batch: list[int] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) == BATCH_ROWS or (len(batch) + 1) * lengths[row] > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
