from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ingest.documents import Document
from ingest.loaders import Source, load, plugins
from ingest.loaders.registry import parser_of
from ingest.walking import walk


def load_log(source: Source) -> Document:
    text = source.data.decode().replace("|", "\n")
    return Document(source.uri, source.sha256, text, media_type=source.media_type)


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a package had brought an entry point."""
    target = "tests.ingest.loaders.test_plugins:load_log"
    point = EntryPoint("text/x-log2 .log2 .log3", target, plugins.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    plugins._found.cache_clear()
    yield
    plugins._found.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_a_package_brings_a_loader(tmp_path: Path) -> None:
    (tmp_path / "a.LOG3").write_text("one|two")
    (tmp_path / "b.log4").write_text("one|two")
    seen = walk(str(tmp_path), str(tmp_path))
    assert [entry.uri for entry in seen.entries] == ["a.LOG3"]
    assert [skip.uri for skip in seen.skips] == ["b.log4"]
    document = load(tmp_path / "a.LOG3")
    assert (document.text, document.media_type) == ("one\ntwo", "text/x-log2")
    assert document.parser == parser_of("text/x-log2") != ""


def test_without_one_the_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.log3").write_text("one|two")
    assert walk(str(tmp_path), str(tmp_path)).entries == []
    assert parser_of("text/x-log2") == ""
