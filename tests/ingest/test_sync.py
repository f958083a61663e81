from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.documents import Failure, Finished, Prepared
from ingest.errors import BadRequest
from ingest.planning import plan
from ingest.sync import BATCH_DOCUMENTS, Item, Progress, SyncReport, apply, in_batches
from tests.ingest.ledger import Ledger, counts, ingest, prepared, write

# titles of their own: that of a text without a heading is its file's name
ALPHA, ALPHA_0 = "# A\n\nAlpha one.", "# A\n\nAlpha 0ne."


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write(folder, a=ALPHA, b="# B\n\nBeta two.", sub__c="# C\n\nGamma three.")
    return folder


@pytest.fixture
def ledger(docs: Path) -> Ledger:
    """The ledger after `docs` was ingested once."""
    ledger = Ledger()
    assert counts(ingest(docs, ledger)) == {"added": 3}
    ledger.operations.clear()
    return ledger


def wait_for_the_clock(path: Path) -> None:
    """Until the file system's clock has moved on from the ctime of `path`."""
    probe = path.parent / ".probe"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > path.stat().st_ctime_ns:
            probe.unlink()
            return
        time.sleep(0.001)


def edit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")


def swap(folder: Path) -> None:
    (folder / "a.md").rename(folder / "t")
    (folder / "b.md").rename(folder / "a.md")
    (folder / "t").rename(folder / "b.md")


def keep_mtime(folder: Path) -> None:
    path = folder / "a.md"
    status = path.stat()
    wait_for_the_clock(path)
    path.write_text(ALPHA_0)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rename(old: str, new: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / new).parent.mkdir(exist_ok=True)
        (folder / old).rename(folder / new)

    return act


def both(*acts: Callable[[Path], None]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for one in acts:
            one(folder)

    return act


@dataclass(frozen=True)
class Case:
    act: Callable[[Path], object]
    expected: dict[str, int]
    operations: tuple[str, ...]


CASES = {
    "nothing": Case(lambda d: None, {"unchanged": 3}, ()),
    "new": Case(lambda d: write(d, n="New."), {"added": 1, "unchanged": 3}, ("replace",)),
    "edited": Case(
        lambda d: edit(d, "a.md", "Alpha 1, edited."), {"changed": 1, "unchanged": 2}, ("replace",)
    ),
    "edited, same size and mtime": Case(keep_mtime, {"changed": 1, "unchanged": 2}, ("replace",)),
    "deleted": Case(lambda d: (d / "a.md").unlink(), {"removed": 1, "unchanged": 2}, ("remove",)),
    "renamed": Case(rename("a.md", "z.md"), {"renamed": 1, "unchanged": 2}, ("rename",)),
    "moved to a sub-folder": Case(
        rename("a.md", "new/a.md"), {"renamed": 1, "unchanged": 2}, ("rename",)
    ),
    "folder renamed": Case(rename("sub", "dir"), {"renamed": 1, "unchanged": 2}, ("rename",)),
    "renamed, another edited": Case(
        both(rename("a.md", "z.md"), lambda d: edit(d, "b.md", "Beta 2!")),
        {"renamed": 1, "changed": 1, "unchanged": 1},
        ("rename", "replace"),
    ),
    "renamed and edited": Case(
        both(rename("a.md", "z.md"), lambda d: edit(d, "z.md", "Alpha, quite another.")),
        {"added": 1, "removed": 1, "unchanged": 2},
        ("replace", "remove"),
    ),
    "renamed over another": Case(
        rename("a.md", "b.md"), {"changed": 1, "removed": 1, "unchanged": 1}, ("replace", "remove")
    ),
    "swapped": Case(swap, {"changed": 2, "unchanged": 1}, ("replace",)),
    "touched": Case(lambda d: os.utime(d / "a.md", ns=(1, 1)), {"unchanged": 3}, ("touch",)),
    "copied": Case(
        lambda d: shutil.copy(d / "a.md", d / "copy.md"), {"added": 1, "unchanged": 3}, ("replace",)
    ),
    "emptied": Case(lambda d: edit(d, "a.md", ""), {"failed": 1, "unchanged": 2}, ("note",)),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_changed_is_done(name: str, docs: Path, ledger: Ledger) -> None:
    case = CASES[name]
    case.act(docs)
    report = ingest(docs, ledger)
    assert counts(report) == case.expected
    assert tuple(ledger.operations) == case.operations
    kept = {"a.md"} if name == "emptied" else set()
    fresh = Ledger()
    ingest(docs, fresh)
    known, expected = ({uri: row for uri, row in rows.items() if uri not in kept}
                       for rows in (ledger.rows, fresh.rows))  # fmt: skip
    assert known == expected
    assert {uri: text for uri, text in ledger.texts.items() if uri not in kept} == fresh.texts


@pytest.mark.parametrize("name", CASES)
def test_the_next_run_finds_nothing_to_do(name: str, docs: Path, ledger: Ledger) -> None:
    CASES[name].act(docs)
    ingest(docs, ledger)
    ledger.operations.clear()
    again = counts(ingest(docs, ledger))
    again.pop("failed_before", None)
    assert list(again) == ["unchanged"]
    assert ledger.operations == []


def test_a_file_that_becomes_bad_keeps_its_old_version(docs: Path, ledger: Ledger) -> None:
    (docs / "a.md").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    report = ingest(docs, ledger)
    assert counts(report) == {"failed": 1, "unchanged": 2}
    assert [failure.uri for failure in report.failures] == ["a.md"]
    assert ledger.texts["a.md"] == ALPHA
    edit(docs, "a.md", "Alpha again.")
    assert counts(ingest(docs, ledger)) == {"changed": 1, "unchanged": 2}


def test_one_bad_file_stops_nothing(docs: Path) -> None:
    (docs / "a0.pdf").write_bytes(b"%PDF-1.4 broken")
    (docs / "empty.txt").touch()
    report = ingest(docs, Ledger())
    assert counts(report) == {"added": 3, "failed": 2}
    assert {failure.uri for failure in report.failures} == {"a0.pdf", "empty.txt"}
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failures)


def test_of_two_equal_files_one_is_removed(docs: Path) -> None:
    write(docs, twin=ALPHA)
    ledger = Ledger()
    ingest(docs, ledger)
    (docs / "a.md").unlink()
    assert counts(ingest(docs, ledger)) == {"removed": 1, "unchanged": 3}
    assert sorted(ledger.texts) == ["b.md", "sub/c.md", "twin.md"]


def test_equal_files_are_renamed_each_once(docs: Path) -> None:
    write(docs, twin=ALPHA)
    ledger = Ledger()
    ingest(docs, ledger)
    for old, new in (("a.md", "y.md"), ("twin.md", "z.md")):
        (docs / old).rename(docs / new)
    assert counts(ingest(docs, ledger)) == {"renamed": 2, "unchanged": 2}
    assert sorted(ledger.texts) == ["b.md", "sub/c.md", "y.md", "z.md"]


def test_a_sub_folder_after_its_folder_keeps_uris(docs: Path, ledger: Ledger) -> None:
    edit(docs, "sub/c.md", "Gamma, edited.")
    edit(docs, "a.md", "Not looked at.")
    assert counts(ingest(docs / "sub", ledger)) == {"changed": 1}
    assert (ledger.texts["a.md"], ledger.texts["sub/c.md"]) == (ALPHA, "Gamma, edited.")
    assert len(ledger.rows) == 3


def test_a_file_after_its_folder_keeps_its_uri(docs: Path, ledger: Ledger) -> None:
    (docs / "a.md").unlink()
    assert counts(ingest(docs / "sub" / "c.md", ledger)) == {"unchanged": 1}
    assert sorted(ledger.rows) == ["a.md", "b.md", "sub/c.md"]


def test_a_folder_after_its_sub_folder_renames(docs: Path) -> None:
    ledger = Ledger()
    ingest(docs / "sub", ledger)
    assert sorted(ledger.rows) == ["c.md"]
    assert counts(ingest(docs, ledger)) == {"added": 2, "renamed": 1}
    assert sorted(ledger.rows) == ["a.md", "b.md", "sub/c.md"]
    assert counts(ingest(docs, ledger)) == {"unchanged": 3}


@pytest.mark.parametrize("edited", [False, True])
def test_widening_where_names_collide_loses_nothing(tmp_path: Path, edited: bool) -> None:
    """`a.md` becomes `sub/a.md`, which becomes `sub/sub/a.md`, and there is a new `a.md`."""
    docs = tmp_path / "docs"
    write(docs, sub__a="# 1\n\none", sub__sub__a="two", sub__x="three", b__x="four")
    ledger = Ledger()
    ingest(docs / "sub", ledger)
    ingest(docs / "b", ledger)
    assert sorted(ledger.rows) == ["a.md", "b/x.md", "sub/a.md", "x.md"]
    write(docs, a="five")
    if edited:
        edit(docs, "sub/a.md", "one, edited")
    report = ingest(docs, ledger)
    assert report.failed == 0
    fresh = Ledger()
    ingest(docs, fresh)
    assert (ledger.rows, ledger.texts) == (fresh.rows, fresh.texts)
    assert counts(ingest(docs, ledger)) == {"unchanged": 5}


def test_widening_does_not_overwrite_another_roots_document(tmp_path: Path) -> None:
    write(tmp_path / "other", sub__x="of other")
    write(tmp_path / "docs", sub__x="of docs")
    ledger = Ledger()
    ingest(tmp_path / "other", ledger)
    ingest(tmp_path / "docs" / "sub", ledger)
    ingest(tmp_path / "docs", ledger)
    assert ledger.texts == {"sub/x.md": "of other", "docs/sub/x.md": "of docs"}
    for name in ("docs", "other"):
        assert counts(ingest(tmp_path / name, ledger)) == {"unchanged": 1}


def test_the_same_path_below_two_roots_is_two_documents(tmp_path: Path) -> None:
    ledger = Ledger()
    for name in ("one", "two", "deep/two"):
        write(tmp_path / name, a=f"Text of {name}.")
        assert counts(ingest(tmp_path / name, ledger)) == {"added": 1}
    assert ledger.texts == {
        "a.md": "Text of one.",
        "two/a.md": "Text of two.",
        "two-2/a.md": "Text of deep/two.",
    }
    for name in ("one", "two", "deep/two"):
        assert counts(ingest(tmp_path / name, ledger)) == {"unchanged": 1}
    (tmp_path / "two" / "a.md").unlink()
    assert counts(ingest(tmp_path / "two", ledger)) == {"removed": 1}
    assert sorted(ledger.rows) == ["a.md", "two-2/a.md"]


def test_a_root_that_was_moved_is_recognised(docs: Path, ledger: Ledger, tmp_path: Path) -> None:
    moved = docs.rename(tmp_path / "elsewhere")
    edit(moved, "a.md", "Alpha, edited.")
    report = ingest(moved, ledger)
    assert counts(report) == {"changed": 1, "unchanged": 2}
    assert {row.root for row in ledger.rows.values()} == {str(moved)}
    assert counts(ingest(moved, ledger)) == {"unchanged": 3}


def test_a_copy_of_a_root_is_not_a_move(docs: Path, ledger: Ledger, tmp_path: Path) -> None:
    shutil.copytree(docs, tmp_path / "copy")
    assert counts(ingest(tmp_path / "copy", ledger)) == {"added": 3}
    assert len(ledger.rows) == 6


def test_a_single_file_then_its_folder(docs: Path) -> None:
    ledger = Ledger()
    assert counts(ingest(docs / "a.md", ledger)) == {"added": 1}
    assert list(ledger.rows) == ["a.md"]
    assert counts(ingest(docs, ledger)) == {"added": 2, "unchanged": 1}


def test_a_link_to_the_root_is_the_root(docs: Path, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(docs)
    assert counts(ingest(tmp_path / "link", ledger)) == {"unchanged": 3}


@pytest.mark.parametrize("gone", [9, 10, 11, 20])
def test_the_guard_holds_back_when_most_would_vanish(tmp_path: Path, gone: int) -> None:
    docs = tmp_path / "docs"
    write(docs, **{f"f{number}": f"Text {number}." for number in range(20)})
    ledger = Ledger()
    ingest(docs, ledger)
    for number in range(gone):
        (docs / f"f{number}.md").unlink()
    expected = {"removed": gone} if gone <= 10 else {"withheld": gone}
    kept = {"unchanged": 20 - gone} if gone < 20 else {}
    assert counts(ingest(docs, ledger)) == expected | kept
    assert len(ledger.rows) == (20 - gone if gone <= 10 else 20)
    assert counts(ingest(docs, ledger, prune=True)) == kept | (
        {"removed": gone} if gone > 10 else {}
    )
    assert len(ledger.rows) == 20 - gone


def test_documents_below_a_folder_that_cannot_be_listed_stay(docs: Path, ledger: Ledger) -> None:
    """Without root's rights a folder of mode 000; here, for every user, a link that broke."""
    shutil.rmtree(docs / "sub")
    (docs / "sub").symlink_to("unmounted")
    report = ingest(docs, ledger)
    assert counts(report) == {"failed": 1, "unchanged": 2}
    assert report.failures == (Failure("sub", "broken link", str(docs / "sub")),)
    assert "sub/c.md" in ledger.rows


@pytest.mark.skipif(os.getuid() == 0, reason="root may list every folder")
def test_documents_below_a_forbidden_folder_stay(docs: Path, ledger: Ledger) -> None:
    (docs / "sub").chmod(0)
    report = ingest(docs, ledger)
    (docs / "sub").chmod(0o755)
    assert counts(report) == {"failed": 1, "unchanged": 2}
    assert "sub/c.md" in ledger.rows


@pytest.mark.parametrize("path", ["missing", "a\0b", "x" * 5000, "docs/a.md/b", "loop"])
def test_a_path_that_is_not_there_is_refused(path: str, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadRequest, match="no such file or folder"):
        plan(tmp_path / path, {})


def test_an_empty_folder_is_an_empty_plan(tmp_path: Path) -> None:
    assert counts(ingest(tmp_path, Ledger())) == {}


def test_a_plan_only_looks(docs: Path, ledger: Ledger) -> None:
    write(docs, n="New.")
    changes = plan(docs, ledger.rows)
    assert [entry.uri for entry in changes.added] == ["n.md"]
    assert changes.unchanged == 3
    assert ledger.operations == []
    assert "n.md" not in ledger.rows


def test_progress_counts_files_and_chunks(docs: Path) -> None:
    (docs / "empty.md").touch()
    seen: list[tuple[int, int, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.total, progress.done, progress.chunks))

    report = apply(plan(docs, {}), Ledger(), prepare=prepared, on_progress=note)
    read = [(4, done, 0) for done in (0, 0, 1, 1, 2, 2, 3, 3, 4)]  # a document, then its file's end
    assert seen == [*read, (4, 4, 3)]
    assert (report.chunks, report.added, report.failed) == (3, 3, 1)


def test_a_run_that_is_stopped_ends_after_the_document_at_hand(docs: Path, ledger: Ledger) -> None:
    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done:
            raise Stopped

    write(docs, d="# D\n\nDelta four.", e="# E\n\nEpsilon five.")
    changes = plan(docs, ledger.rows)
    with pytest.raises(Stopped):
        apply(changes, ledger, prepare=prepared, on_progress=stop)
    assert ledger.operations == []
    assert counts(ingest(docs, ledger)) == {"added": 2, "unchanged": 3}


def test_batches_end_when_they_are_worth_it() -> None:
    failures: list[Item] = [
        Failure(str(number), "bad") for number in range(2 * BATCH_DOCUMENTS + 3)
    ]
    batches = list(in_batches(failures))
    assert [len(batch) for batch in batches] == [BATCH_DOCUMENTS, BATCH_DOCUMENTS, 3]
    assert [item for batch in batches for item in batch] == failures


def test_reports_add_up() -> None:
    one = SyncReport(added=1, failures=(Failure("a", "bad"),), failed=1, chunks=3, seconds=0.5)
    two = SyncReport(added=2, removed=1, chunks=4, seconds=1.0)
    expected = SyncReport(
        added=3, removed=1, failed=1, failures=(Failure("a", "bad"),), chunks=7, seconds=1.5
    )
    assert one + two == expected


def test_documents_come_with_their_file(docs: Path) -> None:
    items = [i for i in prepared(plan(docs, {}).added) if not isinstance(i, Finished)]
    assert all(isinstance(item, Prepared) and item.entry is not None for item in items)
