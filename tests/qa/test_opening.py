from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.documents import Document
from ingest.errors import (
    BadRequest,
    Closed,
    KbqaError,
    Locked,
    NotConfigured,
    StorageError,
    Unreachable,
)
from qa.knowledge_base import KnowledgeBase
from qa.settings import load_settings
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder, LazyEmbedder
from retrieval.points import FORMAT, Base, read_base, write_base
from tests.fakes import HashEmbedder
from tests.qa.command_line import environment
from tests.qa.conftest import OpenLibrary

pytestmark = pytest.mark.integration

HOLD = """
import sys
from qa import KnowledgeBase
with KnowledgeBase.open(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_reopens_with_what_it_held(open_library: OpenLibrary, embedder: Embedder) -> None:
    with open_library() as kb:
        before = (kb.documents(), kb.document("handbook.md"), kb.status())
    with open_library(embedder=None) as kb:  # what the base was built with
        assert (kb.documents(), kb.document("handbook.md"), kb.status()) == before
        assert kb.status().embedder == embedder.name
        assert kb.ask("How many days of annual leave do I have?").citations[0].verified


def test_a_bare_name_lies_in_the_data_folder(library: Path, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "data" / "work")
    settings = load_settings(data_dir=tmp_path / "data")
    with KnowledgeBase.open("work", settings=settings, create=False) as kb:
        assert kb.status().location == str(tmp_path / "data" / "work")
    with KnowledgeBase.open(settings=load_settings(data_dir=tmp_path / "data", kb="work")) as kb:
        assert kb.status().documents == 4


def test_a_base_that_was_closed_says_so(open_library: OpenLibrary, tmp_path: Path) -> None:
    kb = open_library(embedder=None)
    kb.search("leave")
    kb.close()
    for use in (lambda: kb.search("leave"), lambda: kb.ask("How much leave?"), kb.documents):
        with pytest.raises(Closed, match="is closed"):
            use()


def test_a_base_that_is_not_there_is_made_only_if_wanted(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"no knowledge base at .*kb; .*kbqa ingest FOLDER"):
        KnowledgeBase.open(tmp_path / "kb", create=False)
    assert not (tmp_path / "kb").exists()


def test_a_file_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "kb").write_text("text")
    with pytest.raises(BadRequest, match="is a file; a knowledge base is a folder"):
        KnowledgeBase.open(tmp_path / "kb")


def test_a_lent_embedder_is_opened_once_and_left_open(tmp_path: Path) -> None:
    opened: list[HashEmbedder] = []

    def open_() -> Embedder:
        opened.append(HashEmbedder())
        return opened[-1]

    lent = LazyEmbedder("hash:32", open_)
    for name in ("one", "two"):
        for text in ("The pump runs.", "The furnace burns."):
            with KnowledgeBase.open(tmp_path / name, embedder=lent) as kb:
                kb.ingest_documents([Document.from_text(text, uri="note")])
                assert kb.keep_embedder().embed_query("pump").shape == (32,)
    assert len(opened) == 1


def test_another_embedder_is_refused(open_library: OpenLibrary, base_folder: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        open_library(embedder=HashEmbedder(dim=16))
    for part in (str(base_folder), "'minilm'", "384", "'hash:16'", "--kb NAME", "--embedder"):
        assert part in str(caught.value)
    assert open_library().status().documents == 4  # and it is not held


def test_another_embedder_by_its_spec_is_refused_unopened(open_library: OpenLibrary) -> None:
    with pytest.raises(BadRequest, match="not 'st:some/model'"):
        open_library(embedder="st:some/model")


def test_an_unknown_embedder_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="unknown embedder 'minilmm'"):
        KnowledgeBase.open(tmp_path / "kb", embedder="minilmm")
    assert not EdgeStore.exists(tmp_path / "kb")


def test_an_embedder_behind_an_api_needs_a_key_or_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(NotConfigured, match=r"set OPENAI_API_KEY, .* or name an endpoint"):
        KnowledgeBase.open(tmp_path / "kb", embedder="openai:text-embedding-3-small")


def test_a_base_of_a_newer_format_is_refused(base_folder: Path, open_library: OpenLibrary) -> None:
    store = EdgeStore(base_folder, lock_timeout=1)
    base = read_base(store)
    assert base == Base("minilm", 384, FORMAT, base.fingerprint if base else "")
    write_base(store, Base("minilm", 384, FORMAT + 1))
    store.close()
    with pytest.raises(BadRequest, match=rf"newer kbqa \(format {FORMAT + 1}, .*upgrade kbqa"):
        open_library()


def test_a_base_held_by_another_process_is_told_with_the_holder(
    base_folder: Path, open_library: OpenLibrary
) -> None:
    command = [sys.executable, "-c", HOLD, str(base_folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Locked, match=f"in use by process {holder.pid}"):
            open_library(settings=load_settings(lock_timeout=0.1))
        holder.communicate("")
    assert open_library().status().documents == 4


@pytest.mark.parametrize("damage", ["empty files", "garbage", "missing files"])
def test_a_corrupted_base_is_told(
    damage: str, base_folder: Path, open_library: OpenLibrary
) -> None:
    for path in sorted((base_folder / "shard").rglob("*")):
        if path.is_file():
            if damage == "missing files":
                path.unlink()
            else:
                path.write_bytes(b"" if damage == "empty files" else b"garbage " * 100)
    with pytest.raises(StorageError, match="damaged") as caught:
        open_library()
    assert "\n" not in str(caught.value)
    assert "backup" in str(caught.value)


def test_a_model_that_cannot_be_opened_lets_go_of_the_base(open_library: OpenLibrary) -> None:
    with pytest.raises(BadRequest, match="unknown model 'olama:qwen3'"):
        open_library(model="olama:qwen3")
    assert open_library().status().documents == 4


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(Unreachable) as caught:
        KnowledgeBase.open("http://127.0.0.1:9/kb", settings=load_settings(timeout=2))
    assert "127.0.0.1:9" in str(caught.value)


def test_errors_of_opening_are_ours(tmp_path: Path) -> None:
    blocked = tmp_path / "file" / "kb"
    (tmp_path / "file").write_text("text")
    with pytest.raises(KbqaError, match="file/kb"):
        KnowledgeBase.open(blocked)


def test_the_holder_file_goes_with_the_holder(base_folder: Path, open_library: OpenLibrary) -> None:
    kb = open_library()
    assert json.loads((base_folder / "holder.json").read_text("utf-8"))["pid"]
    kb.close()
    assert not (base_folder / "holder.json").exists()
