"""Any embedding model through `sentence-transformers`: a hub name or a folder, GPU if there is one.

Importing it takes seconds and hundreds of MB, so that only `open_embedder("st:...")` does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ingest.errors import BadRequest, NotConfigured
from retrieval.adapter import Adapter, merged
from retrieval.embedding import UNSCALED, Vectors
from retrieval.hub import SENTENCE_TRANSFORMERS, model_folder

MAX_TOKENS = 512  # what is assumed of a model that names no limit


class SentenceTransformersEmbedder:
    """`Embedder` on a `SentenceTransformer`, with the query and passage prompts of the model."""

    def __init__(self, model: str, adapter: Adapter | None = None) -> None:
        self.name = adapter.spec if adapter else f"st:{model}"
        self.cosine_scale = adapter.cosines if adapter else UNSCALED
        self._model = _load(model)
        if adapter:
            _merge(self._model, adapter)
        self._lock = threading.Lock()  # tokenizer and model keep state while they encode
        self.dimension = int(self._model.get_embedding_dimension())
        self.max_tokens = int(self._model.max_seq_length or MAX_TOKENS)
        self.revision = _revision(self._model) + (f"+{adapter.tag}" if adapter else "")
        self.prompts = json.dumps(self._model.prompts, sort_keys=True)
        self._tokenizer: Any = self._model.tokenizer
        if not getattr(self._tokenizer, "is_fast", False):
            raise BadRequest(f"{model} has no fast tokenizer: its chunks cannot be measured")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: `(len(texts), dimension)` float32, rows of length 1."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return self._encode(self._model.encode_document, list(texts))

    def embed_query(self, text: str) -> Vectors:
        """Vector of a question: `(dimension,)` float32 of length 1."""
        return self._encode(self._model.encode_query, text)

    def token_starts(self, text: str) -> list[int]:
        """Character offset of each token of `text`, ascending."""
        with self._lock:
            encoding = self._tokenizer(
                text,
                add_special_tokens=False,
                return_offsets_mapping=True,
                truncation=False,
                verbose=False,
            )
        return [first for first, _ in encoding["offset_mapping"]]

    def known_share(self, text: str) -> float:
        """Share of the tokens of `text` that are not the unknown token; 1 where there is none."""
        unknown = self._tokenizer.unk_token_id
        with self._lock:
            ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return 1.0 - ids.count(unknown) / len(ids) if ids and unknown is not None else 1.0

    def close(self) -> None:
        """Release the model."""
        self._model = None

    def _encode(self, encode: Any, text: Any) -> Vectors:
        with self._lock:
            vectors = encode(text, normalize_embeddings=True, show_progress_bar=False)
        found: Vectors = np.asarray(vectors, np.float32)
        return found


def _revision(model: Any) -> str:
    """A hash that tells weights apart: the names, shapes and first numbers of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        first = tensor.detach().flatten()[:64].float().cpu().numpy()
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + first.tobytes())
    return digest.hexdigest()


def _merge(model: Any, adapter: Adapter) -> None:
    import torch

    own = model.transformers_model.state_dict()
    changed = {name: own[name].float().cpu().numpy() for name in adapter.deltas() if name in own}
    for name, array in merged(changed, adapter).items():
        with torch.no_grad():
            own[name].copy_(torch.from_numpy(array))


def _load(model: str) -> Any:
    path = Path(model).expanduser()
    if path.is_absolute() and not path.is_dir():
        raise BadRequest(f"embedder 'st:{model}': there is no folder {path}")
    folder = model_folder(model, what=f"embedder 'st:{model}'", owner=SENTENCE_TRANSFORMERS)
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging
    except ImportError as exc:
        raise NotConfigured(
            f"embedder 'st:{model}' needs sentence-transformers: pip install sentence-transformers"
        ) from exc
    transformers_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    try:
        return SentenceTransformer(folder)
    except Exception as exc:  # the seam to every library that a model may need
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise BadRequest(f"cannot open the embedder 'st:{model}': {reason}") from exc
