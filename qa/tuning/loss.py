"""What a training aims at: to find a query's own passage, and to forget nothing on the way.

Pairs made of documents are poor judges of the other passages: many answer a person's question just
as well. So the model as it was is asked too. Of a batch's passages the target is

    (1 - KEPT) * the pair's own + KEPT * softmax(SCALE * cosines of the untuned model)

and the loss the cross-entropy of the softmax of SCALE * cosines of the model in training: the
in-batch loss of Henderson et al. (2017), with the untuned model as a teacher (Hinton et al. 2015;
against forgetting: Li and Hoiem 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qa.tuning.pairs import Pair
from retrieval.embedding import Embedder, Vectors

SCALE = 20.0  # of the cosines: a temperature of .05
KEPT = 0.4  # weight of what the untuned model says


def guided_loss(model: Any, pairs: Sequence[Pair], guide: Embedder) -> Any:
    """A loss for `SentenceTransformerTrainer`, whose labels are indices into `pairs`."""
    import torch

    remembered = _Guide(pairs, guide)

    class GuidedLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, features: Sequence[Any], labels: Any) -> Any:
            """Mean over the batch, of features of its queries and of its passages."""
            query, passage = (
                torch.nn.functional.normalize(self.model(part)["sentence_embedding"], dim=-1)
                for part in features
            )
            cosines = torch.from_numpy(remembered.cosines(labels.tolist())).to(query.device)
            own = torch.eye(len(cosines), device=query.device)
            target = (1 - KEPT) * own + KEPT * torch.softmax(SCALE * cosines, dim=1)
            scores = SCALE * (query.float() @ passage.float().T)
            return torch.nn.functional.cross_entropy(scores, target)

    return GuidedLoss()


class _Guide:
    """The untuned model's vectors of pairs, each made once."""

    def __init__(self, pairs: Sequence[Pair], guide: Embedder) -> None:
        self._pairs, self._guide = pairs, guide
        self._made: dict[int, tuple[Vectors, Vectors]] = {}

    def cosines(self, batch: Sequence[int]) -> Vectors:
        """Of each query of a batch with each of its passages: `(len(batch), len(batch))`."""
        new = [index for index in batch if index not in self._made]
        passages = self._guide.embed([self._pairs[index].passage for index in new])
        for index, passage in zip(new, passages, strict=True):
            self._made[index] = (self._guide.embed_query(self._pairs[index].query), passage)
        queries, passages = (
            np.stack([self._made[index][part] for index in batch]) for part in (0, 1)
        )
        return queries @ passages.T
