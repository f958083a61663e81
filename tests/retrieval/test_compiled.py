from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from retrieval.compiled import with_compiled
from retrieval.minilm import ensure_graph
from retrieval.openvino_embedder import OpenVinoEmbedder

pytestmark = pytest.mark.integration

TEXTS = ["How many days of leave do I have?", "年假有多少天?"]


@pytest.fixture
def cache(cache_dir: Path, tmp_path: Path) -> Path:
    """A cache of this test's own, in which the graph is and nothing compiled."""
    graph = ensure_graph(cache_dir).parent
    ignored = shutil.ignore_patterns("compiled")
    shutil.copytree(graph, tmp_path / graph.name, ignore=ignored, copy_function=linked)
    return tmp_path


def linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def vectors(cache: Path) -> np.ndarray:
    with closing(OpenVinoEmbedder(cache)) as embedder:
        return embedder.embed(TEXTS)


def test_what_was_compiled_gives_the_same_vectors(cache: Path) -> None:
    first = vectors(cache)
    (blob,) = cache.rglob("*.blob")
    written = blob.stat().st_mtime_ns
    assert np.array_equal(vectors(cache), first)
    assert blob.stat().st_mtime_ns == written


@pytest.mark.parametrize("lost", ["a bit", "half", "all", "its hash"])
def test_what_is_damaged_is_compiled_again(cache: Path, lost: str) -> None:
    first = vectors(cache)
    (blob,) = cache.rglob("*.blob")
    whole = blob.read_bytes()
    blob.chmod(0o600)
    middle = len(whole) // 2
    if lost == "its hash":
        (blob.parent / "hashes.json").write_text("{garbage")
    else:
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        blob.write_bytes({"a bit": changed, "half": whole[:middle], "all": b""}[lost])
    damaged = blob.stat().st_ino, blob.stat().st_mtime_ns
    assert np.array_equal(vectors(cache), first)
    (again,) = cache.rglob("*.blob")
    assert (again.stat().st_ino, again.stat().st_mtime_ns) != damaged
    assert np.array_equal(vectors(cache), first)


def test_where_it_cannot_be_kept_it_is_compiled_each_time(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    def compile_(options: Mapping[str, str]) -> int:
        asked.append(dict(options))
        if options:
            raise RuntimeError("no space left on device")
        return len(asked)

    assert with_compiled(tmp_path, compile_) == 2
    assert asked[0]["CACHE_DIR"] == str(tmp_path / "compiled")
    assert asked[1] == {}
    asked.clear()
    (tmp_path / "file").write_text("")
    assert with_compiled(tmp_path / "file", compile_) == 1
    assert asked == [{}]


def test_what_compiling_raises_is_raised(tmp_path: Path) -> None:
    def compile_(options: Mapping[str, str]) -> None:
        raise RuntimeError("incorrect weights")

    with pytest.raises(RuntimeError, match="incorrect weights"):
        with_compiled(tmp_path, compile_)
