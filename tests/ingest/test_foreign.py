from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ingest.documents import Document
from ingest.errors import BadRequest, LoadError, NotConfigured
from ingest.foreign import adopted
from ingest.readers import name_of, parsed, read_with

READER = """
class Reader:
    def __init__(self, base="x"):
        if base == "bad":
            raise ValueError("no such base")
        self.base = base

    def load_data(self, names, upper=False):
        from tests.ingest.test_foreign import Foreign
        return [Foreign(n.upper() if upper else n, {"source": f"{self.base}/{n}"}) for n in names]

NOT_ONE = object
"""


@dataclass
class Foreign:
    """What LlamaIndex's documents have in common with this."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    id_: str = "0b0c0a52-6d5b-4f0e-9f3a-111111111111"


@dataclass
class Chained:
    """As LangChain has it."""

    page_content: str
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str | None = None


def uris(documents: list[Any], prefix: str = "") -> list[str]:
    return [document.uri for document in adopted(documents, prefix)]


def test_ours_stay_as_they_are() -> None:
    mine = Document.from_text("x", uri="mine")
    assert list(adopted([mine], "p")) == [mine]


def test_a_uri_is_where_it_lies_or_its_id_or_its_text() -> None:
    found = uris(
        [
            Foreign("a", {"file_path": "/docs/a.md"}),
            Foreign("b", {"file_path": "/docs/b.pdf", "page_label": "3"}),
            Foreign("c", {"url": "https://x.example/c"}),
            Foreign("d", id_="ticket-17"),
            Foreign("e"),
            Chained("f", {"source": "f.txt", "page": 0}),
        ],
        "R",
    )
    assert found[:4] == [
        "R/docs/a.md", "R/docs/b.pdf#page=3", "R/https://x.example/c", "R/ticket-17",
    ]  # fmt: skip
    assert found[4] == uris([Foreign("e", id_="0b0c0a52-6d5b-4f0e-9f3a-222222222222")], "R")[0]
    assert found[5] == "R/f.txt#page=0"
    assert uris([Foreign("a", {"source": "x"}), Foreign("b", {"source": "x"})]) == ["x", "x#2"]


def test_what_is_kept_can_be_stored_and_does_not_change_by_itself() -> None:
    metadata = {
        "tags": ["a", "b"],
        "n": 3,
        "none": None,
        "title": "T",
        "file_type": "text/markdown",
    }
    one, two = (
        next(adopted([Foreign("text", {**metadata, "last_accessed_date": day})]))
        for day in ("2025-01-01", "2025-01-02")
    )
    assert one == two
    assert (one.title, one.media_type) == ("T", "text/markdown")
    assert one.metadata["tags"] == ["a", "b"]


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(BadRequest, match="str is no document"):
        list(adopted(["text"]))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "kbqa_test_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "kbqa_test_reader", raising=False)
    return "kbqa_test_reader"


def test_a_reader_gets_its_arguments_where_it_names_them(module: str) -> None:
    arguments = parsed(["base=wiki", "names=a", "names=b", "upper=true"])
    assert arguments == {"base": "wiki", "names": ["a", "b"], "upper": True}
    loaded = list(read_with(f"{module}:Reader", arguments))
    assert [document.text for document in loaded] == ["A", "B"]
    assert uris(loaded, name_of(f"{module}:Reader")) == ["Reader/wiki/a", "Reader/wiki/b"]


@pytest.mark.parametrize(
    ("spec", "arguments", "error", "word"),
    [
        ("reader", {}, BadRequest, "package.module:Class"),
        ("nowhere_at_all:Reader", {}, NotConfigured, "pip install nowhere-at-all"),
        ("MODULE:Nobody", {}, BadRequest, "has no Nobody"),
        ("MODULE:NOT_ONE", {}, BadRequest, "no load_data"),
        ("MODULE:Reader", {"base": "bad"}, LoadError, "no such base"),
        ("MODULE:Reader", {}, BadRequest, "names"),
        ("MODULE:Reader", {"colour": "red"}, BadRequest, "colour"),
    ],
)
def test_what_is_wrong_with_a_reader_is_said(
    module: str, spec: str, arguments: dict[str, Any], error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        read_with(spec.replace("MODULE", module), arguments)


def test_arguments_are_key_and_value() -> None:
    with pytest.raises(BadRequest, match="KEY=VALUE"):
        parsed(["input_dir"])
