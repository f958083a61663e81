from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qa.tuning import loss as losses
from qa.tuning import training
from qa.tuning.pairs import Pair
from retrieval.embedding import Embedder, open_embedder
from tests.tiny_embedder import build

pytestmark = pytest.mark.torch

PAIRS = [
    Pair(f"Where is the {thing}?", f"The {thing} stands in {place}.", f"{thing}.md", 0, "sentence")
    for thing, place in [("pump", "Oslo"), ("valve", "Graz"), ("motor", "Turin"), ("tank", "Leeds")]
]
BATCH = [3, 0, 2]
USUAL = losses.KEPT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def guide(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    embedder = open_embedder(f"st:{folder}", cache_dir=tmp_path_factory.mktemp("cache"))
    yield embedder
    embedder.close()


@pytest.fixture
def model(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder)).eval()


def features(model: Any) -> list[Any]:
    prompts = training.prompts_of(model)
    return [
        model.preprocess([f"{prompts[part]}{getattr(PAIRS[index], part)}" for index in BATCH])
        for part in ("query", "passage")
    ]


def gradients(model: Any) -> float:
    return max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)


def test_an_untuned_model_has_nothing_to_learn_from_itself(
    model: Any, guide: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    sizes = {}
    for kept in (0.0, USUAL, 1.0):
        monkeypatch.setattr(losses, "KEPT", kept)
        model.zero_grad()
        losses.guided_loss(model, PAIRS, guide)(features(model), torch.tensor(BATCH)).backward()
        sizes[kept] = gradients(model)
    assert sizes[1.0] < 1e-4 < sizes[USUAL] < sizes[0.0]


def test_without_a_guide_it_is_the_loss_within_the_batch(
    model: Any, guide: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    monkeypatch.setattr(losses, "KEPT", 0.0)
    peer = MultipleNegativesRankingLoss(model, scale=losses.SCALE)
    ours = losses.guided_loss(model, PAIRS, guide)
    labels = torch.tensor(BATCH)
    with torch.no_grad():
        expected, loss = (float(one(features(model), labels)) for one in (peer, ours))
    assert loss == pytest.approx(expected, rel=1e-4)
