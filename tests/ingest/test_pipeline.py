from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.pipeline import PREFETCH, Item, prepare
from ingest.walking import walk
from tests.ingest.ledger import split_by_words, write


def entries(folder: Path) -> list[FileEntry]:
    return walk(str(folder), str(folder)).entries


def loading() -> list[threading.Thread]:
    names = ("kbqa-load", "kbqa-worker")
    return [thread for thread in threading.enumerate() if thread.name in names]


def uris(items: Iterable[Item]) -> list[str]:
    """What comes, in order; the uri of a finished file with a mark."""
    return [
        f"{item.entry.uri} ."
        if isinstance(item, Finished)
        else item.uri
        if isinstance(item, Failure)
        else item.document.uri
        for item in items
    ]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert loading() == []


def test_items_come_in_the_order_given(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n:03}": f"Text {n}." for n in range(3 * PREFETCH)})
    (tmp_path / "f050.md").write_text("")
    given = entries(tmp_path)[::-1]
    items = list(prepare(given, split_by_words))
    expected = [(entry.uri, f"{entry.uri} .") for entry in given]
    assert uris(items) == [uri for pair in expected for uri in pair]
    assert [item.uri for item in items if isinstance(item, Failure)] == ["f050.md"]
    first = items[0]
    assert isinstance(first, Prepared)
    assert first.entry == given[0]
    assert [chunk.text for chunk in first.chunks] == [f"Text {3 * PREFETCH - 1}."]


def test_nothing_gives_nothing() -> None:
    assert list(prepare([], split_by_words)) == []


def test_the_thread_ends_when_the_consumer_stops(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n}": "Text." for n in range(3 * PREFETCH)})
    with closing(prepare(entries(tmp_path), split_by_words)) as items:  # type: ignore[type-var]
        next(items)
        assert loading()
    assert loading() == []


def test_the_thread_ends_when_the_consumer_raises(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n}": "Text." for n in range(3 * PREFETCH)})

    def consume() -> None:
        for _ in prepare(entries(tmp_path), split_by_words):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        consume()


def test_it_runs_ahead_but_not_for_ever(tmp_path: Path) -> None:
    write(tmp_path, a="Text.")
    (entry,) = entries(tmp_path)
    drawn = 0
    ahead = threading.Event()

    def endless() -> Iterator[FileEntry]:
        nonlocal drawn
        while True:
            drawn += 1
            if drawn > 10:
                ahead.set()
            yield entry

    with closing(prepare(endless(), split_by_words)) as items:  # type: ignore[type-var]
        for _ in range(5):
            next(items)
        assert ahead.wait(60)
    assert drawn <= 5 + 2 * PREFETCH + 3


def test_errors_of_split_are_raised(tmp_path: Path) -> None:
    write(tmp_path, a="Good.", b="Bad.", c="Good.")

    def split(document: Document) -> list[Chunk]:
        if document.text == "Bad.":
            raise ZeroDivisionError("of split")
        return split_by_words(document)

    items = prepare(entries(tmp_path), split)
    first = next(items)
    assert isinstance(first, Prepared)
    with pytest.raises(ZeroDivisionError, match="of split"):
        list(items)


def test_errors_of_the_entries_are_raised() -> None:
    def broken() -> Iterator[FileEntry]:
        raise KeyError("of entries")
        yield

    with pytest.raises(KeyError, match="of entries"):
        list(prepare(broken(), split_by_words))


def test_a_file_without_suffix_that_is_no_text_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\x02\x01")
    (tmp_path / "image.md").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (tmp_path / "README").write_text("Text.")
    items = list(prepare(entries(tmp_path), split_by_words))
    assert uris(items)[::2] == ["README", "image.md", "program"]
    _, image, program = items[::2]
    assert isinstance(image, Failure)
    assert not image.skipped
    assert isinstance(program, Failure)
    assert program.skipped


def test_a_file_that_vanished_is_told(tmp_path: Path) -> None:
    write(tmp_path, a="Text.")
    given = entries(tmp_path)
    (tmp_path / "a.md").unlink()
    assert list(prepare(given, split_by_words)) == [
        Failure("a.md", "no such file", str(tmp_path / "a.md"), entry=given[0]),
        Finished(given[0]),
    ]


def test_members_come_before_their_container_is_finished(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.md", "# One")
        archive.writestr("empty.md", "")
    (tmp_path / "b.md").write_text("Text.")
    items = list(prepare(entries(tmp_path), split_by_words))
    assert uris(items) == ["a.zip!/one.md", "a.zip!/empty.md", "a.zip .", "b.md", "b.md ."]
    one, empty, done, own, _ = items
    assert isinstance(one, Prepared)
    assert isinstance(empty, Failure)
    assert isinstance(own, Prepared)
    assert (one.container, empty.container, own.container) == ("a.zip", "a.zip", "")
    assert isinstance(done, Finished)
    assert one.entry == empty.entry == done.entry
    assert done.members == ("a.zip!/one.md", "a.zip!/empty.md")
    assert not done.own
    assert done.media_type == "application/zip"
    assert done.sha256 == hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()


def test_it_ends_while_it_waits_for_a_file(tmp_path: Path) -> None:
    write(tmp_path, a="Text.")
    goes_on = threading.Event()

    def split(document: Document) -> list[Chunk]:
        assert goes_on.wait(60)
        return split_by_words(document)

    def stop() -> None:
        goes_on.set()
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        list(prepare(entries(tmp_path), split, waiting=stop))
    assert loading() == []
