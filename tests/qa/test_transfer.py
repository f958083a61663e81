from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import BadRequest, Locked, StorageError
from qa.knowledge_base import KnowledgeBase
from qa.settings import Settings, load_settings
from qa.transfer import MANIFEST, import_base
from retrieval.embedding import Embedder
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.retrieval.qdrant_over_http import QdrantOverHttp
from tests.sample_base import copy_base

pytestmark = pytest.mark.integration

QUESTIONS = ("How many days of annual leave do employees have?", "备用密封件多少钱？")


@pytest.fixture(scope="module")
def exported(library: Path, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of the four files, with a prompt of its own, in one file."""
    folder = tmp_path_factory.mktemp("exported")
    base = copy_base(library, folder / "kb")
    (base / "prompts").mkdir()
    (base / "prompts" / "system.en.txt").write_text("Answer like a sailor.", "utf-8")
    with KnowledgeBase.open(base, embedder=embedder) as kb:
        done = kb.export(folder / "library.kbqa")
        assert done.chunks == kb.status().chunks
        assert done.size == (folder / "library.kbqa").stat().st_size
    return folder / "library.kbqa"


def into(folder: Path, **changes: Any) -> Settings:
    return load_settings(kb=str(folder), data_dir=folder.parent, **changes)


def test_what_comes_back_is_what_was_there(
    exported: Path, library: Path, embedder: Embedder, tmp_path: Path
) -> None:
    done = import_base(exported, into(tmp_path / "kb"))
    with (
        KnowledgeBase.open(copy_base(library, tmp_path / "old"), embedder=embedder) as old,
        KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as new,
    ):
        assert new.documents() == old.documents()
        assert new.status().chunks == old.status().chunks == done.chunks
        assert new.status().embedder == old.status().embedder
        for question in QUESTIONS:
            found = [
                [(hit.chunk, hit.score) for hit in base.search(question)] for base in (old, new)
            ]
            assert found[0] == found[1]
            assert new.ask(question).text == old.ask(question).text
        for record in old.documents():
            assert new.document(record.uri) == old.document(record.uri)
    assert (tmp_path / "kb/prompts/system.en.txt").read_text("utf-8") == "Answer like a sailor."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "old"]


def test_an_imported_base_goes_on(exported: Path, embedder: Embedder, tmp_path: Path) -> None:
    import_base(exported, into(tmp_path / "kb"))
    (tmp_path / "new.md").write_text("# Gate\n\nThe gate opens at nine.\n", "utf-8")
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        assert kb.ingest(tmp_path / "new.md").added == 1
        assert "nine" in kb.ask("When does the gate open?").text


def test_a_base_on_a_server_comes_into_a_folder(
    docs: Path, embedder: Embedder, tmp_path: Path
) -> None:
    with (
        QdrantOverHttp() as server,
        KnowledgeBase.open(f"{server.url}/kb", embedder=embedder) as kb,
    ):
        kb.ingest(docs / "handbook.md")
        kb.export(tmp_path / "server.kbqa")
        answer = kb.ask(QUESTIONS[0])
    import_base(tmp_path / "server.kbqa", into(tmp_path / "kb"))
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        assert kb.ask(QUESTIONS[0]).text == answer.text


# --- a base that is there ---


def test_a_base_that_is_there_stays_until_told(
    exported: Path, embedder: Embedder, tmp_path: Path
) -> None:
    (tmp_path / "new.md").write_text("# Gate\n\nThe gate opens at nine.\n", "utf-8")
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        kb.ingest(tmp_path / "new.md")
    with pytest.raises(BadRequest, match="--replace"):
        import_base(exported, into(tmp_path / "kb"))
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        assert [record.uri for record in kb.documents()] == ["new.md"]
        with pytest.raises(Locked):
            import_base(exported, into(tmp_path / "kb", lock_timeout=0.1), replace=True)
        assert kb.ask("When does the gate open?").citations
    import_base(exported, into(tmp_path / "kb"), replace=True)
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        assert "handbook.md" in [record.uri for record in kb.documents()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "new.md"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_holds_other_things_is_not_taken(
    exported: Path, tmp_path: Path, replace: bool
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "thesis.txt").write_text("years of work")
    with pytest.raises(BadRequest, match=r"docs holds what is not of kbqa \(thesis\.txt\)"):
        import_base(exported, into(docs), replace=replace)
    assert [path.name for path in tmp_path.rglob("*")] == ["docs", "thesis.txt"]


def test_a_file_that_is_there_stays(exported: Path, base_folder: Path, embedder: Embedder) -> None:
    before = exported.read_bytes()
    with KnowledgeBase.open(base_folder, embedder=embedder) as kb:
        with pytest.raises(BadRequest, match="exists already"):
            kb.export(exported)
        with pytest.raises(StorageError, match="No such file or directory"):
            kb.export(exported.parent / "nowhere" / "x.kbqa")
    assert exported.read_bytes() == before


# --- files that are not to be trusted ---


def changed(
    exported: Path, target: Path, change: Callable[[dict[str, Any]], None], **members: bytes
) -> Path:
    """A copy with another manifest, and other members."""
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = members.get(name, old.read(name))
            if name == MANIFEST:
                said = json.loads(content)
                change(said)
                content = json.dumps(said).encode()
            new.writestr(name, content)
        for name in members.keys() - old.namelist():
            new.writestr(name, members[name])
    return target


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda said: said.update(file_format=99), "newer kbqa"),
        (lambda said: said["base"].update(format=99), "newer kbqa"),
        (lambda said: said["base"].update(fingerprint="0123456789ab"), "another model"),
        (lambda said: said["base"].update(dimension=128), "another model"),
        (lambda said: said["base"].update(dimension=-1), "does not fit"),
        (lambda said: said["base"].update(more=1), "no manifest"),
        (lambda said: said["files"].pop("vectors.f32"), "does not fit"),
        (
            lambda said: said["files"].update({"../../evil": {"size": 1, "sha256": ""}}),
            "does not fit",
        ),
        (lambda said: said["files"]["points.jsonl"].pop("sha256"), "no manifest"),
        (lambda said: said["files"]["points.jsonl"].update(sha256=0), "does not fit"),
        (lambda said: said.pop("points"), "no manifest"),
        (lambda said: said.update(chunks="4"), "does not fit"),
        (lambda said: said["files"]["points.jsonl"].update(sha256="0"), "not what was written"),
        (lambda said: said["files"]["points.jsonl"].update(size=10), "longer than it should"),
        (lambda said: said.update(points=1), "as many points"),
        (lambda said: said.clear(), "no manifest"),
    ],
)
def test_a_manifest_that_lies(
    exported: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], why: str
) -> None:
    file = changed(exported, tmp_path / "bad.kbqa", change)
    with pytest.raises(BadRequest, match=why):
        import_base(file, into(tmp_path / "kb"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.kbqa"]


def test_members_that_nobody_asked_for_are_left_alone(exported: Path, tmp_path: Path) -> None:
    file = changed(exported, tmp_path / "more.kbqa", lambda said: None, **{"../evil.txt": b"x"})
    import_base(file, into(tmp_path / "in" / "kb"))
    assert not list(tmp_path.rglob("evil.txt"))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_found_or_harmless(
    exported: Path,
    embedder: Embedder,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(exported.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "damaged.kbqa").write_bytes(content)
    try:
        import_base(folder / "damaged.kbqa", into(folder / "kb"))
    except BadRequest:
        assert [path.name for path in folder.iterdir()] == ["damaged.kbqa"]
    else:
        with KnowledgeBase.open(folder / "kb", embedder=embedder) as kb:
            assert "25 days" in kb.ask(QUESTIONS[0]).text


# --- the commands ---


def test_the_commands(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.kbqa"
    done = kbqa("export", file, "--kb", base_folder)
    assert (done.code, done.err) == (0, "")
    assert f"exported to {file}" in done.out
    imported = kbqa("import", file, "--kb", tmp_path / "again", "--json").json
    assert imported["bytes"] == file.stat().st_size
    is_one_clear_line(kbqa("import", file, "--kb", tmp_path / "again"), 2, "--replace")
    is_one_clear_line(kbqa("export", file, "--kb", base_folder), 2, "exists already")
    is_one_clear_line(kbqa("import", tmp_path / "none", "--kb", "x"), 2, "no such file")
    is_one_clear_line(kbqa("import", file, "--kb", "http://localhost:6333/x"), 2, "folder")
    (tmp_path / "text.kbqa").write_text("not a base")
    is_one_clear_line(kbqa("import", tmp_path / "text.kbqa", "--kb", "x"), 2, "kbqa export")
