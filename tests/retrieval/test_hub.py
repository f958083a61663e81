from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from ingest.errors import NotConfigured
from retrieval.hub import model_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache that holds `owner/model`, as the hub's own library lays it out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0" * 40
    repository = tmp_path / "models--owner--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit, "utf-8")
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", "utf-8")
    return snapshot


def test_a_name_in_the_cache_is_a_folder(cache: Path) -> None:
    assert model_folder("owner/model", what="model") == str(cache)
    assert model_folder("model", what="model", owner="owner") == str(cache)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path), what="model") == str(tmp_path)


@pytest.mark.parametrize("name", ["owner/other", "model", "a b/c", "./nowhere/at/all"])
def test_what_is_not_here_is_told(name: str, cache: Path) -> None:
    with pytest.raises(NotConfigured, match=r"^the model") as caught:
        model_folder(name, what="the model")
    assert "\n" not in str(caught.value)
