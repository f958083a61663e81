"""What every loader promises, whatever the format."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import Source, load_bytes, register

from .builders import CHINESE, ENGLISH, pdf, word_document

FILES = {
    "guide.md": f"# Guide\n\n{ENGLISH}\n\n## 保养\n\n{CHINESE}\n".encode(),
    "notes.txt": f"Notes\n\n{ENGLISH}\n\n{CHINESE}\n".encode(),
    "old.txt": f"{CHINESE}\n\f{CHINESE * 3}\n".encode("gbk"),
    "page.html": f"<h1>Page</h1><p>{ENGLISH}</p><h2>保养</h2><p>{CHINESE}</p>".encode(),
    "manual.docx": word_document(),
    "paper.pdf": pdf([["# Pump paper", ENGLISH], ["The second page."]]),
}
CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

every_loader = pytest.mark.parametrize("name", FILES)


def loaded(name: str) -> Document:
    return load_bytes(FILES[name], uri=f"folder/{name}")


@every_loader
def test_identity_version_and_title(name: str) -> None:
    document = loaded(name)
    assert document.uri == f"folder/{name}"
    assert document.sha256 == hashlib.sha256(FILES[name]).hexdigest()
    assert document.title.strip() == document.title != ""


@every_loader
def test_text_is_clean(name: str) -> None:
    text = loaded(name).text
    assert text.strip()
    assert not CONTROLS.search(text)
    assert "\n\n\n" not in text
    assert " \n" not in text


@every_loader
def test_pages_and_sections_are_ordered_spans_of_the_text(name: str) -> None:
    document = loaded(name)
    for spans in (document.pages, document.sections):
        starts = [span.start for span in spans]
        assert starts == sorted(starts)
        assert all(0 <= span.start <= span.end <= len(document.text) for span in spans)
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))


@every_loader
def test_a_section_starts_with_its_heading(name: str) -> None:
    document = loaded(name)
    for section in document.sections:
        line = document.text[section.start : section.end].split("\n", 1)[0]
        assert line == f"{'#' * section.level} {section.title}"


@every_loader
def test_loading_twice_gives_equal_documents(name: str) -> None:
    assert loaded(name) == loaded(name)


def text_or_reason(data: bytes, name: str) -> str:
    """The text of the document, or the reason why there is none; nothing else may happen."""
    try:
        return load_bytes(data, uri=name).text
    except LoadError as error:
        return error.reason


@every_loader
def test_cut_files_load_or_raise_load_error(name: str) -> None:
    data = FILES[name]
    for share in (0.01, 0.2, 0.5, 0.8, 0.99):
        assert text_or_reason(data[: int(share * len(data))], name).strip()


@every_loader
def test_flipped_bytes_load_or_raise_load_error(name: str) -> None:
    data = bytearray(FILES[name])
    for place in range(7, len(data), max(len(data) // 12, 1)):
        data[place] ^= 0x5A
        assert text_or_reason(bytes(data), name).strip()


def test_importing_the_package_imports_no_parser() -> None:
    code = "import sys, ingest.loaders; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"unstructured", "pypdfium2", "lxml", "selectolax", "torch", "spacy", "docx"}
    heavy |= {"markdown_it", "charset_normalizer"}
    assert not heavy & set(run.stdout.split())


def test_a_registered_loader_takes_its_type() -> None:
    @register("application/x-shout")
    def shout(source: Source) -> Document:
        return Document(source.uri, source.sha256, source.data.decode().upper())

    assert load_bytes(b"hey", uri="a.shout", media_type="application/x-shout").text == "HEY"


def test_what_a_parser_raises_becomes_a_load_error() -> None:
    @register("application/x-broken")
    def broken(source: Source) -> Document:
        raise ZeroDivisionError("line one\nline two")

    with pytest.raises(LoadError, match="line one line two") as caught:
        load_bytes(b"hey", uri="a.broken", media_type="application/x-broken")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
