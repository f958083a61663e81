from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.errors import BadRequest, NotConfigured
from retrieval.adapter import Adapter
from retrieval.embedding import open_embedder
from retrieval.minilm import package_folder
from retrieval.openvino_embedder import OpenVinoEmbedder
from retrieval.sentence_transformers_embedder import SentenceTransformersEmbedder
from tests.contracts.embedder_contract import EmbedderContract, assert_same
from tests.retrieval.reference import sentence_transformer
from tests.tiny_embedder import PROMPTS, build

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def packaged() -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(str(package_folder()))


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights with two layers and prompts for questions and passages."""
    return build(tmp_path_factory.mktemp("tiny"))


class TestSentenceTransformersEmbedder(EmbedderContract):
    @pytest.fixture
    def subject(self, packaged: SentenceTransformersEmbedder) -> SentenceTransformersEmbedder:
        return packaged


def test_the_packaged_model_is_the_default_one(
    packaged: SentenceTransformersEmbedder, embedder: OpenVinoEmbedder
) -> None:
    text = "The router restarts when both buttons are held. 年假为十五天。"
    assert packaged.dimension == embedder.dimension
    assert packaged.max_tokens == embedder.max_tokens
    assert packaged.token_starts(text) == embedder.token_starts(text)
    assert packaged.known_share("多少 days") == pytest.approx(embedder.known_share("多少 days"))
    assert_same(packaged.embed([text])[0], embedder.embed([text])[0])


def test_the_prompts_of_the_model_are_honoured(tiny_folder: Path, cache_dir: Path) -> None:
    prompts = json.loads((tiny_folder / "config_sentence_transformers.json").read_text())["prompts"]
    assert prompts == PROMPTS
    embedder = open_embedder(f"st:{tiny_folder}", cache_dir=cache_dir)
    assert (embedder.name, embedder.dimension, embedder.max_tokens) == (f"st:{tiny_folder}", 16, 64)
    assert isinstance(embedder, SentenceTransformersEmbedder)
    plain = embedder._model.encode(
        ["annual leave", "question: annual leave", "passage: annual leave"],
        prompt="",
        normalize_embeddings=True,
    )
    assert float(plain[0] @ plain[1]) < 0.999 > float(plain[1] @ plain[2])
    np.testing.assert_allclose(embedder.embed_query("annual leave"), plain[1], atol=1e-5)
    np.testing.assert_allclose(embedder.embed(["annual leave"])[0], plain[2], atol=1e-5)
    embedder.close()


def test_vectors_have_length_1_though_the_model_does_not_scale(tiny_folder: Path) -> None:
    embedder = SentenceTransformersEmbedder(str(tiny_folder))
    rows = embedder.embed(["a", "annual leave", ""])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    raw = np.linalg.norm(embedder._model.encode(["annual leave"]))
    assert abs(float(raw) - 1.0) > 0.01


def test_vectors_are_those_of_sentence_transformers(packaged: SentenceTransformersEmbedder) -> None:
    texts = ["annual leave", "年假", "", "word " * 400]
    expected = sentence_transformer().encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(packaged.embed(texts), expected, atol=1e-5)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_told(damage: str, tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_folder, folder)
    (next(folder.rglob(damage))).write_bytes(b"{garbage")
    with pytest.raises(BadRequest, match="cannot open the embedder 'st:") as caught:
        SentenceTransformersEmbedder(str(folder))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_offline_is_one_line_and_no_progress_bar(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(NotConfigured) as caught:
        open_embedder("st:no-such-owner/no-such-model", cache_dir=Path())
    message = str(caught.value)
    assert message.startswith("embedder 'st:no-such-owner/no-such-model' is not on this machine")
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_an_adapter_is_part_of_the_model(
    tiny_folder: Path, packaged: SentenceTransformersEmbedder, cache_dir: Path
) -> None:
    rng = np.random.default_rng(3)
    name = "base_model.model.encoder.layer.{}.output.dense.lora_{}.weight"
    arrays: dict[str, NDArray[np.float32]] = {}
    for layer in (1, 4):
        for part, shape in (("A", (4, 1536)), ("B", (384, 4))):
            arrays[name.format(layer, part)] = rng.normal(size=shape, scale=0.1).astype("<f4")
    made = Adapter.of(arrays, scale=2.0)
    texts = ["The router restarts when both buttons are held.", "年假为十五天。", "x" * 900]
    one = SentenceTransformersEmbedder(
        str(package_folder()), made.made_for(f"st:{package_folder()}", {})
    )
    other = OpenVinoEmbedder(cache_dir, made.made_for("minilm", {}))
    for mine, theirs in zip(one.embed(texts), other.embed(texts), strict=True):
        assert_same(mine, theirs)
    assert other.name == f"minilm+{made.tag}"
    assert one.name == f"st:{package_folder()}+{made.tag}"
    assert (packaged.embed(texts) * one.embed(texts)).sum(axis=1).max() < 0.98
    assert other.revision != OpenVinoEmbedder(cache_dir).revision
    with pytest.raises(BadRequest, match="is for another model"):
        SentenceTransformersEmbedder(str(tiny_folder), made)
