"""Bad input, as issue 2 lists it: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.loaders.builders import pdf, word_document
from tests.qa.command_line import Done, Kbqa, is_one_clear_line, run
from tests.qa.test_cli import QUESTION, with_model
from tests.scripted_server import ScriptedServer, hang, status

pytestmark = pytest.mark.integration

NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


def still_answers(kbqa: Kbqa, base: Path) -> None:
    done = kbqa("ask", QUESTION, "--kb", base, "--json")
    assert done.code == 0
    assert "25 days" in done.json["text"]
    assert done.json["citations"][0]["verified"]


@pytest.fixture
def bound_by_permissions() -> list[str]:
    """How to start a process that file permissions bind: root's are not, until it gives that up."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv to give its powers up")
    return NO_OVERRIDE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


# --- folders and files ---


def test_a_missing_folder(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ingest", "/nowhere/at/all", "--kb", base_folder)
    is_one_clear_line(done, 2, "no such file or folder: /nowhere/at/all")
    still_answers(kbqa, base_folder)


def test_an_empty_folder(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for option in ([], ["--dry-run"]):
        done = kbqa("ingest", tmp_path / "empty", "--kb", base_folder, *option)
        assert done.code == 2
        assert done.err == f"kbqa: no documents in {tmp_path / 'empty'}\n"
        assert bool(done.out) == bool(option)
    still_answers(kbqa, base_folder)


BAD_FILES = {
    "empty.txt": (b"", "is empty"),
    "blank.md": (b" \n\n ", "holds no text"),
    "program.txt": (b"\x7fELF\x02\x01\x01" + bytes(200), "looks like a program"),
    "noise.txt": (bytes(range(256)) * 20, ""),
    "broken.pdf": (b"%PDF-1.7\nnot really\n%%EOF", ""),
    "cut.pdf": (pdf([["Some text."]])[:300], ""),
    "locked.pdf": (pdf([["Secret."]], encrypted=True), "password"),
    "broken.docx": (b"PK\x03\x04 broken", "damaged"),
    "cut.docx": (word_document()[:2000], "damaged"),
}


def test_files_that_cannot_be_read(kbqa: Kbqa, docs: Path, base_folder: Path) -> None:
    for name, (content, _) in BAD_FILES.items():
        (docs / name).write_bytes(content)
    done = kbqa("ingest", docs, "--kb", base_folder, "--json")
    assert done.code == 8
    failures = {failure["uri"]: failure["reason"] for failure in done.json["failures"]}
    assert set(failures) == set(BAD_FILES)
    assert done.json["added"] == 4  # the good ones
    for name, (_, word) in BAD_FILES.items():
        assert word in failures[name]
        assert "\n" not in failures[name]
        assert f"failed: {name}: {failures[name]}" in done.err
    assert "Traceback" not in done.err
    still_answers(kbqa, base_folder)


def test_an_edited_file_that_broke_keeps_its_last_good_version(
    kbqa: Kbqa, docs: Path, tmp_path: Path
) -> None:
    assert kbqa("ingest", docs, "--kb", tmp_path / "kb").code == 0
    (docs / "handbook.md").write_bytes(b"")
    done = kbqa("ingest", docs, "--kb", tmp_path / "kb")
    assert done.code == 8
    still_answers(kbqa, tmp_path / "kb")


@pytest.mark.end_to_end
def test_an_unreadable_file_and_folder(
    kbqa: Kbqa, docs: Path, tmp_path: Path, bound_by_permissions: list[str]
) -> None:
    base = tmp_path / "kb"
    assert kbqa("ingest", docs, "--kb", base).code == 0
    (docs / "secret.txt").write_text("secret", "utf-8")
    (docs / "secret.txt").chmod(0)
    (docs / "产品").chmod(0)
    done = run("ingest", docs, "--kb", base, "--json", prefix=bound_by_permissions)
    (docs / "产品").chmod(0o755)
    assert done.code == 8
    failures = {failure["uri"]: failure["reason"] for failure in done.json["failures"]}
    assert failures["secret.txt"] == "permission denied"
    assert "Permission denied" in failures["产品"]
    assert done.json["removed"] == 0  # what cannot be looked at is not gone
    assert "38 元" in kbqa("ask", "备用密封件多少钱？", "--kb", base).out


# --- questions ---


def test_an_empty_question(kbqa: Kbqa, base_folder: Path) -> None:
    for question in ("", "   ", "\n"):
        is_one_clear_line(kbqa("ask", question, "--kb", base_folder), 2, "the question is empty")
    still_answers(kbqa, base_folder)


@pytest.mark.end_to_end
def test_a_question_of_100_kb(base_folder: Path) -> None:
    done = run("ask", "-", "--kb", base_folder, stdin="why " * 25_600)
    is_one_clear_line(done, 2, "102,399 characters; the limit is 20,000")


def test_a_query_of_100_kb_is_cut(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("search", "annual leave " * 8_000, "--kb", base_folder, "--json")
    assert done.code == 0
    assert done.json["hits"][0]["uri"] == "handbook.md"


# --- disk ---


@pytest.mark.end_to_end
def test_a_full_disk(kbqa: Kbqa, library: Path, docs: Path, small_disk: Path) -> None:
    base = small_disk / "kb"
    subprocess.run(["cp", "-a", "--sparse=always", library, base], check=True)
    still_answers(kbqa, base)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - 20 * 2**20)
    is_one_clear_line(kbqa("ingest", docs, "--kb", base), 1, "full", "free")
    still_answers(kbqa, base)
    is_one_clear_line(kbqa("ingest", docs, "--kb", small_disk / "new"), 1, "full", "free")
    filler.unlink()
    assert kbqa("ingest", docs, "--kb", base, "--json").json["added"] == 4
    still_answers(kbqa, base)


@pytest.mark.end_to_end
def test_no_permission_to_write_the_base(
    kbqa: Kbqa, docs: Path, base_folder: Path, bound_by_permissions: list[str]
) -> None:
    base_folder.chmod(0o555)
    new = base_folder / "inner"
    done = run("ingest", docs, "--kb", new, prefix=bound_by_permissions)
    is_one_clear_line(done, 1, str(new), "Permission denied")
    (base_folder / "lock").chmod(0o444)
    done = run("ask", QUESTION, "--kb", base_folder, prefix=bound_by_permissions)
    is_one_clear_line(done, 1, str(base_folder), "ermission")
    base_folder.chmod(0o755)
    (base_folder / "lock").chmod(0o644)
    still_answers(kbqa, base_folder)


@pytest.mark.end_to_end
def test_no_permission_to_write_the_cache(
    base_folder: Path, tmp_path: Path, bound_by_permissions: list[str]
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o555)
    env = {"KBQA_CACHE_DIR": str(cache / "kbqa")}
    done = run("ask", QUESTION, "--kb", base_folder, prefix=bound_by_permissions, env=env)
    is_one_clear_line(done, 1, str(cache), "KBQA_CACHE_DIR")


@pytest.mark.parametrize("damage", ["truncated", "garbage", "a file instead"])
def test_a_damaged_base(kbqa: Kbqa, base_folder: Path, docs: Path, damage: str) -> None:
    shard = base_folder / "shard"
    if damage == "a file instead":
        shutil.rmtree(shard)
        shard.write_text("no shard")
    else:
        for path in shard.rglob("*.json"):
            path.write_bytes(b"" if damage == "truncated" else b"\xff\x00garbage")
    for done in (
        kbqa("ask", QUESTION, "--kb", base_folder),
        kbqa("ingest", docs, "--kb", base_folder),
        kbqa("status", "--kb", base_folder),
    ):
        assert done.code in (1, 2)
        is_one_clear_line(done, done.code, str(base_folder))


# --- servers ---


SERVERS = [
    (status(401), 4, "refused the key"),
    (status(503, x_should_retry="false"), 5, "503"),
    (hang, 7, "time-out 0.5 s"),
]


@pytest.mark.parametrize(("behaviour", "code", "word"), SERVERS)
def test_a_model_that_fails(
    kbqa: Kbqa,
    base_folder: Path,
    behaviour: object,
    code: int,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KBQA_TIMEOUT", "0.5")
    with ScriptedServer(then=behaviour) as server:  # type: ignore[arg-type]
        done = kbqa("ask", QUESTION, "--kb", base_folder, *with_model(server))
    is_one_clear_line(done, code, word, "openai:m at http://127.0.0.1")
    still_answers(kbqa, base_folder)


@pytest.mark.parametrize(("behaviour", "code", "word"), SERVERS)
def test_an_embedder_that_fails(
    kbqa: Kbqa,
    docs: Path,
    tmp_path: Path,
    behaviour: object,
    code: int,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KBQA_TIMEOUT", "0.5")
    base = tmp_path / "kb"

    def ingest(server: ScriptedServer) -> Done:
        monkeypatch.setenv("KBQA_EMBEDDER_BASE_URL", server.base_url)
        return kbqa("ingest", docs, "--kb", base, "--embedder", "openai:m")

    with ScriptedServer() as server:
        assert ingest(server).code == 0
    (docs / "new.txt").write_text("Something new.", "utf-8")
    with ScriptedServer(then=behaviour) as server:  # type: ignore[arg-type]
        is_one_clear_line(ingest(server), code, word, "openai:m at http://127.0.0.1")
    with ScriptedServer() as server:
        assert kbqa("status", "--kb", base, "--json").json["documents"] == 4
        assert ingest(server).out.startswith("1 added, 4 unchanged; ")
