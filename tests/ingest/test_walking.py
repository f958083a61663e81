from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.errors import BadRequest
from ingest.loaders import load
from ingest.walking import EVERYTHING, Selection, Walk, is_under, uri_of, walk
from tests.ingest.ledger import write
from tests.qa.command_line import environment

pytestmark = pytest.mark.integration


def look(folder: Path) -> Walk:
    return walk(str(folder), str(folder))


def uris(seen: Walk) -> list[str]:
    return [entry.uri for entry in seen.entries]


def test_files_come_in_order_of_path(tmp_path: Path) -> None:
    write(tmp_path, b="b", a__z="z", a__b__c="c", c="c")
    assert uris(look(tmp_path)) == ["a/b/c.md", "a/z.md", "b.md", "c.md"]


def test_an_entry_says_how_the_file_lies_on_disk(tmp_path: Path) -> None:
    write(tmp_path, sub__a="text")
    (entry,) = look(tmp_path).entries
    status = os.stat(tmp_path / "sub/a.md")
    assert (entry.path, entry.root) == (str(tmp_path / "sub/a.md"), str(tmp_path))
    assert (entry.size, entry.mtime_ns, entry.ctime_ns) == (
        4,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def test_hidden_files_and_tool_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, a="a", node_modules__x="x", __pycache__="x")
    for folder in (".git", "node_modules", "__pycache__", "CVS", "__MACOSX", "sub/.cache"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "x.md").write_text("x")
    (tmp_path / ".hidden.md").write_text("x")
    (tmp_path / "~$report.docx").write_bytes(b"\x03Ann" + b" " * 158)  # Word has report.docx open
    seen = look(tmp_path)
    assert [uri for uri in uris(seen) if uri.count("/") or uri.startswith((".", "~"))] == []
    assert "a.md" in uris(seen)
    assert (seen.failures, seen.skips) == ([], [])


def test_a_knowledge_base_is_left_out_and_what_lies_beside_it_is_not(tmp_path: Path) -> None:
    write(tmp_path, a="a", kb__shard__x="x", kb__b="b", prompts__c="c", lock__d="d", shard__e="e")
    (tmp_path / "kb" / "prompts").mkdir()
    for name in ("lock", "closed.json", "current.json", "prompts/p.md", "shard/edge_config.json"):
        (tmp_path / "kb" / name).write_text("{}")
    assert uris(look(tmp_path)) == ["a.md", "kb/b.md", "lock/d.md", "prompts/c.md", "shard/e.md"]
    assert uris(look(tmp_path / "kb")) == ["b.md"]


def test_folders_may_lie_deeper_than_calls_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = 1200
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):  # one by one: the whole path may be too long for the system
        os.mkdir("a")
        os.chdir("a")
    Path("x.md").write_text("x")
    seen = look(tmp_path)
    Path("x.md").unlink()
    for _ in range(depth):  # nor could the folder of the test be removed
        os.chdir("..")
        os.rmdir("a")
    assert uris(seen) == ["a/" * depth + "x.md"]


def test_the_ignore_file_works_like_gitignore(tmp_path: Path) -> None:
    write(tmp_path, a="a", draft_b="b", sub__draft_c="c", sub__keep="k", out__x="x")
    (tmp_path / ".kbqaignore").write_text("# drafts\ndraft_*\n!draft_b.md\n/out/\n\n")
    assert uris(look(tmp_path)) == ["a.md", "draft_b.md", "sub/keep.md"]


def test_an_ignore_file_further_down_has_the_last_word(tmp_path: Path) -> None:
    write(tmp_path, a="a", sub__a="a", sub__b="b", sub__deep__a="a", out__a="a", sub__out__c="c")
    (tmp_path / ".kbqaignore").write_text("a.md\nout/\n")
    (tmp_path / "sub" / ".kbqaignore").write_text("/b.md\n!/deep/a.md\n")
    (tmp_path / "out" / ".kbqaignore").write_text("!a.md\n")  # its folder is left out as a whole
    assert uris(look(tmp_path)) == ["sub/deep/a.md"]
    seen = walk(str(tmp_path / "sub" / "deep"), str(tmp_path))
    assert uris(seen) == ["sub/deep/a.md"]


def test_a_selection_takes_what_is_included_and_not_excluded(tmp_path: Path) -> None:
    write(tmp_path, a="a", b="b", sub__a="a", sub__c="c")
    selection = Selection.of(["a.md", "/sub/"], ["sub/a.md"])
    seen = walk(str(tmp_path), str(tmp_path), selection)
    assert uris(seen) == ["a.md", "sub/c.md"]
    assert Selection.of() == EVERYTHING


@pytest.mark.parametrize("stars", ["*" * 50, "*a" * 50, "**/a" * 50])
def test_patterns_of_stars_do_not_hang(tmp_path: Path, stars: str) -> None:
    (tmp_path / ("a" * 190)).write_text("x")
    code = (
        "import sys; from ingest.walking import Selection, walk; "
        "walk(sys.argv[1], sys.argv[1], Selection.of([sys.argv[2]]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), f"{stars}z"]
    subprocess.run(command, env=environment(), timeout=20, check=True)


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(BadRequest, match="bad character range z-a"):
        Selection.of(["[z-a]"])


def test_the_roots_ignore_file_counts_in_a_sub_folder(tmp_path: Path) -> None:
    write(tmp_path, sub__a="a", sub__b="b")
    (tmp_path / ".kbqaignore").write_text("/sub/a.md\n")
    assert uris(walk(str(tmp_path / "sub"), str(tmp_path))) == ["sub/b.md"]


@pytest.mark.parametrize("make", [lambda p: p.write_bytes(b"\xff\xfe\x00"), lambda p: p.mkdir()])
def test_an_ignore_file_that_cannot_be_read_is_told(tmp_path: Path, make: object) -> None:
    make(tmp_path / ".kbqaignore")  # type: ignore[operator]
    with pytest.raises(BadRequest, match=r"\.kbqaignore"):
        look(tmp_path)


def test_links_inside_the_root_are_files(tmp_path: Path) -> None:
    write(tmp_path, a="text")
    (tmp_path / "link.md").symlink_to("a.md")
    assert uris(look(tmp_path)) == ["a.md", "link.md"]


def test_links_out_of_the_root_and_to_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, docs__a="a", docs__sub__b="b", secret="s")
    docs = tmp_path / "docs"
    (docs / "out.md").symlink_to(tmp_path / "secret.md")
    (docs / "up").symlink_to("..")
    (docs / "self").symlink_to(".")
    (docs / "again").symlink_to("sub")
    seen = look(docs)
    assert uris(seen) == ["a.md", "sub/b.md"]
    assert seen.failures == []


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    write(tmp_path, z="z")
    (tmp_path / "broken.md").symlink_to("missing.md")
    (tmp_path / "circle.md").symlink_to("circle.md")
    (tmp_path / "there.md").symlink_to("back.md")
    (tmp_path / "back.md").symlink_to("there.md")
    seen = look(tmp_path)
    assert uris(seen) == ["z.md"]
    assert {(failure.uri, failure.reason) for failure in seen.failures} == {
        (name, "broken link") for name in ("broken.md", "circle.md", "there.md", "back.md")
    }


def test_a_pipe_in_the_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, a="a")
    os.mkfifo(tmp_path / "pipe.md")
    assert uris(look(tmp_path)) == ["a.md"]


def test_a_pipe_named_directly_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    seen = walk(str(tmp_path / "pipe.md"), str(tmp_path))
    assert [failure.reason for failure in seen.failures] == ["not a regular file"]


def test_a_name_that_is_no_utf8_has_a_uri(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.md"
    with open(path, "wb") as file:
        file.write(b"Coffee.")
    (entry,) = look(tmp_path).entries
    assert entry.uri == "caf\\xe9.md"
    assert load(Path(entry.path), uri=entry.uri).text == "Coffee."


def test_unsupported_suffixes_are_skipped_and_said(tmp_path: Path) -> None:
    write(tmp_path, a="a")
    (tmp_path / "b.XYZ").write_text("b")
    (tmp_path / "C.MD").write_text("c")
    (tmp_path / "README").write_text("r")
    seen = look(tmp_path)
    assert uris(seen) == ["C.MD", "README", "a.md"]
    assert [(skip.uri, skip.reason, skip.skipped) for skip in seen.skips] == [
        ("b.XYZ", "files of type .xyz are not supported", True)
    ]


def test_a_file_named_directly_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "b.xyz").write_text("b")
    assert uris(walk(str(tmp_path / "b.xyz"), str(tmp_path))) == ["b.xyz"]


def test_a_folder_in_place_of_a_file_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path, **{"odd.md__a": "a"})
    assert uris(look(tmp_path)) == ["odd.md/a.md"]


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/", True),
        ("/", "/a", False),
        ("/a/b", "/a/", True),
    ],
)
def test_is_under(path: str, folder: str, expected: bool) -> None:
    assert is_under(path, folder) is expected


def test_uri_of_uses_slashes() -> None:
    assert uri_of("/root/dir/文件.md", "/root") == "dir/文件.md"
