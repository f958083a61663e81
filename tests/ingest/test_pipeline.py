from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.pipeline import PREFETCH
from ingest.pipeline import prepare as prepare_all
from ingest.walking import walk
from tests.ingest.ledger import split_by_words, write


def prepare(*arguments: Any) -> Iterator[Prepared | Failure]:
    """What is prepared, without the word after each file that it is finished."""
    items = prepare_all(*arguments)
    with closing(items):  # type: ignore[type-var]
        yield from (item for item in items if not isinstance(item, Finished))


def entries(folder: Path) -> list[FileEntry]:
    return walk(str(folder), str(folder)).entries


def loading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kbqa-load"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert loading() == []


def test_items_come_in_the_order_given(tmp_path: Path) -> None:
    write(tmp_path, **{f"f{n:03}": f"Text {n}." for n in range(3 * PREFETCH)})
    (tmp_path / "f050.md").write_text("")
    given = entries(tmp_path)[::-1]
    items = list(prepare(given, split_by_words))
    assert [i.uri if isinstance(i, Failure) else i.document.uri for i in items] == [
        entry.uri for entry in given
    ]
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
    drawn = itertools.count()

    def endless() -> Iterator[FileEntry]:
        while True:
            next(drawn)
            yield entry

    with closing(prepare(endless(), split_by_words)) as items:  # type: ignore[type-var]
        for _ in range(5):
            next(items)
    assert 5 <= next(drawn) <= 5 + PREFETCH + 3


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
        next(items)


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
    image, readme, program = sorted(
        prepare(entries(tmp_path), split_by_words),
        key=lambda i: ["image.md", "README", "program"].index(
            i.uri if isinstance(i, Failure) else i.document.uri
        ),
    )
    assert isinstance(image, Failure)
    assert not image.skipped
    assert isinstance(program, Failure)
    assert program.skipped
    assert isinstance(readme, Prepared)


def test_a_file_that_vanished_is_told(tmp_path: Path) -> None:
    write(tmp_path, a="Text.")
    given = entries(tmp_path)
    (tmp_path / "a.md").unlink()
    assert list(prepare(given, split_by_words)) == [
        Failure("a.md", "no such file", str(tmp_path / "a.md"), entry=given[0])
    ]
