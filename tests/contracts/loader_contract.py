"""What every loader does, whatever the format. Inherit it and write `name` and `sample`.

class TestRtf(LoaderContract):
    name, media_type = "folder/letter.rtf", RTF

    def sample(self) -> bytes:
        return RTF_BYTES
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import pytest

from ingest.documents import Document, Mark, Page, Section
from ingest.errors import LoadError
from ingest.loaders import load_bytes

CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # \t and \n may stand in a text
ADDRESS = re.compile(
    r"(?:(?P<sheet>.+)!)?(?P<left>[A-Z]{1,3})(?P<top>\d+):(?P<right>[A-Z]{1,3})(?P<bottom>\d+)"
)
SHARES = (0.01, 0.2, 0.5, 0.8, 0.99)
MARKS = {"table", "rows", "boilerplate", "hidden", "image"}


class LoaderContract:
    """The contract suite of one loader; `sample` is a small, sound file of its format."""

    name = ""
    """Uri of the sample, with the suffix that such files have."""

    media_type: str | None = None
    """What the loader is called for; None leaves it to detection."""

    def sample(self) -> bytes:
        """A file that shows what the format has: headings, tables, pages, both languages."""
        raise NotImplementedError

    def load(self, data: bytes) -> Document:
        return load_bytes(data, uri=self.name, media_type=self.media_type)

    @pytest.fixture
    def data(self) -> bytes:
        return sample_of(type(self))  # type: ignore[arg-type] # a class is hashable

    @pytest.fixture
    def document(self, data: bytes) -> Document:
        return self.load(data)

    def test_identity_version_and_title(self, document: Document, data: bytes) -> None:
        assert document.uri == self.name
        assert document.sha256 == hashlib.sha256(data).hexdigest()
        assert document.title.strip() == document.title != ""
        assert "\n" not in document.title
        assert document.parser
        assert self.media_type in (None, document.media_type)

    def test_text_is_clean(self, document: Document) -> None:
        assert document.text.strip()
        assert not CONTROLS.search(document.text)
        assert not CONTROLS.search(document.title)
        assert document.text.encode("utf-8")

    def test_spans_are_ordered_and_inside_the_text(self, document: Document) -> None:
        everything: tuple[Sequence[Page | Section | Mark], ...] = (
            document.pages,
            document.sections,
            document.marks,
        )
        for spans in everything:
            assert all(0 <= span.start <= span.end <= len(document.text) for span in spans)
            assert all(one.start <= two.start for one, two in pairwise(spans))

    def test_pages_are_counted_and_do_not_overlap(self, document: Document) -> None:
        assert [page.number for page in document.pages] == sorted(
            {page.number for page in document.pages}
        )
        assert all(page.number >= 1 for page in document.pages)
        assert all(one.end <= two.start for one, two in pairwise(document.pages))

    def test_sections_have_titles_and_levels(self, document: Document) -> None:
        assert all(section.title.strip() for section in document.sections)
        assert all(section.level >= 1 for section in document.sections)
        for section in document.sections:
            assert section.start < section.end

    def test_marks_say_what_they_are(self, document: Document) -> None:
        assert {mark.kind for mark in document.marks} <= MARKS
        for mark in document.marks:
            assert mark.start < mark.end
            if mark.kind == "rows":
                assert_rows(mark.label, document.text[mark.start : mark.end])

    def test_facts_are_plain_values(self, document: Document) -> None:
        for facts in (document.metadata, document.quality):
            for key, value in facts.items():
                assert isinstance(key, str)
                assert isinstance(value, str | int | float | bool)

    def test_loading_twice_gives_equal_documents(self, document: Document, data: bytes) -> None:
        assert self.load(data) == document

    def test_an_empty_file_is_refused(self) -> None:
        with pytest.raises(LoadError, match="is empty"):
            self.load(b"")

    def test_cut_files_load_or_raise_load_error(self, data: bytes) -> None:
        for share in SHARES:
            self.load_or_reason(data[: int(share * len(data))])

    def test_flipped_bytes_load_or_raise_load_error(self, data: bytes) -> None:
        for damaged in flipped(data):
            self.load_or_reason(damaged)

    def test_random_bytes_load_or_raise_load_error(self, data: bytes) -> None:
        noise = random.Random(7)
        for size in (1, 17, 512, 5_000):
            self.load_or_reason(noise.randbytes(size))
            self.load_or_reason(data[:64] + noise.randbytes(size))

    def load_or_reason(self, data: bytes) -> None:
        """The file loads, or a LoadError says why not in one line; nothing else may happen."""
        text = text_or_error(lambda: self.load(data).text)
        if isinstance(text, LoadError):
            assert text.uri == self.name
            assert text.reason.strip()
            assert "\n" not in text.reason
        else:
            assert text.strip()
            assert not CONTROLS.search(text)


@cache
def sample_of(suite: type[LoaderContract]) -> bytes:
    """The sample, made once: writers put the time into what they write."""
    return suite().sample()


def text_or_error(load: Callable[[], str]) -> str | LoadError:
    try:
        return load()
    except LoadError as error:
        return error


def flipped(data: bytes) -> Iterator[bytes]:
    """Copies of `data`, each with a little more of it damaged."""
    damaged = bytearray(data)
    for place in range(7, len(data), max(len(data) // 12, 1)):
        damaged[place] ^= 0x5A
        yield bytes(damaged)


def assert_rows(label: str, text: str) -> None:
    """The address has as many rows as the text has lines."""
    address = ADDRESS.fullmatch(label)
    assert address, label
    assert int(address["bottom"]) - int(address["top"]) == text.count("\n"), label
