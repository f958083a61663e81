from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from ingest.errors import BadRequest
from retrieval import adapter as adapters
from retrieval.adapter import Adapter, merged, parted, read_adapter, write_adapter
from retrieval.edge_store import EdgeStore
from retrieval.server_store import ServerStore
from retrieval.store import Store

NAME = "base_model.model.encoder.layer.0.attention.self.query.lora_{}.weight"
CARD = {"pairs": {"sentence": 900}, "model": "minilm"}


def random_adapter(seed: int = 0) -> Adapter:
    rng = np.random.default_rng(seed)
    arrays = {
        NAME.format("A"): rng.normal(size=(2, 6)).astype(np.float32),
        NAME.format("B"): rng.normal(size=(4, 2)).astype(np.float32),
    }
    return Adapter.of(arrays, scale=2.0).made_for("minilm", CARD)


@pytest.fixture(params=["folder", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = (
        EdgeStore(tmp_path / "kb", dimension=8, lock_timeout=0)
        if request.param == "folder"
        else ServerStore(QdrantClient(":memory:"), "kb", dimension=8)
    )
    with closing(made):
        yield made


def test_its_matrices_are_added_to_the_weights() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6)).astype(np.float32), rng.normal(size=(4, 2)).astype(np.float32)
    name = "encoder.layer.0.attention.self.query.weight"
    weights = {name: np.ones((4, 6), np.float32), "other": np.zeros(3, np.float32)}
    result = merged(weights, random_adapter())
    np.testing.assert_allclose(result[name], 1 + 2 * b @ a, rtol=1e-6)
    assert result["other"] is weights["other"]
    assert weights[name].sum() == 24


@pytest.mark.parametrize("shape", [(6, 4), (4, 7), None])
def test_one_for_another_model_is_refused(shape: tuple[int, int] | None) -> None:
    name = "encoder.layer.0.attention.self.query.weight"
    weights = {name: np.ones(shape, np.float32)} if shape else {}
    with pytest.raises(BadRequest, match=r"is for another model .* `kbqa reembed --embedder "):
        merged(weights, random_adapter())


@pytest.mark.parametrize("weights", [b"", b"nonsense", random_adapter().weights[:-9]])
def test_a_damaged_one_is_refused(weights: bytes) -> None:
    with pytest.raises(BadRequest, match="is damaged"):
        replace(random_adapter(), weights=weights).deltas()


def test_half_of_a_pair_is_refused() -> None:
    half = Adapter.of({NAME.format("A"): np.zeros((2, 6), np.float32)}, scale=1.0)
    with pytest.raises(BadRequest, match="is damaged"):
        half.deltas()


def test_the_tag_tells_weights_apart() -> None:
    assert random_adapter().tag == random_adapter().tag != random_adapter(1).tag
    assert random_adapter().spec == f"minilm+{random_adapter().tag}"


def test_it_is_kept_in_the_base_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "PART", 50)
    adapter, other = random_adapter(), random_adapter(1)
    write_adapter(store, adapter)
    write_adapter(store, other)
    write_adapter(store, adapter)
    assert read_adapter(store, adapter.tag) == adapter
    assert read_adapter(store, other.tag) == other
    assert read_adapter(store, "0" * 12) is None
    assert store.count({"kind": "chunk"}) == 0


def test_a_part_that_is_lost_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "PART", 50)
    write_adapter(store, random_adapter())
    last = [point.id for point in store.scan({"kind": "adapter"}) if point.payload["number"] == 2]
    store.delete(last)
    with pytest.raises(BadRequest, match=r"is damaged: `kbqa tune --rollback`"):
        read_adapter(store, random_adapter().tag)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("minilm", ("minilm", "")),
        ("minilm+0123456789ab", ("minilm", "0123456789ab")),
        ("st:owner/a+b", ("st:owner/a+b", "")),
        ("st:/models/a+b+0123456789ab", ("st:/models/a+b", "0123456789ab")),
        ("+0123456789ab", ("+0123456789ab", "")),
    ],
)
def test_a_spec_says_whether_it_was_tuned(spec: str, parts: tuple[str, str]) -> None:
    assert parted(spec) == parts
