"""A small base of four files, made once and copied for each test that opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from qa.knowledge_base import KnowledgeBase
from qa.settings import load_settings
from retrieval.embedding import Embedder, open_embedder
from tests.ingest.loaders.builders import pdf
from tests.lent_embedder import LentEmbedder
from tests.qa.command_line import Kbqa
from tests.sample_base import copy_base

HANDBOOK = """# Staff handbook

## Leave

Every employee has 25 days of annual leave a year. Leave that is not used by 31 March expires.

## Travel

A hotel may cost 120 euros a night. Trains are booked in second class.
"""
CHINESE = """# 水泵手册

## 保养

水泵每运行五百小时需要加注润滑油。密封件的寿命为两年。

## 价格

备用密封件每个 38 元，运费 12 元。
"""
PDF_PAGES = (
    ["# Furnace manual", "The furnace heats steel to 900 degrees.", "Wear gloves at all times."],
    ["# Alarms", "Alarm E-17 means that the door is open.", "Close the door to reset it."],
)
NOTES = "The council met on 3 May.\nThe new warehouse opens in Rotterdam in September 2026.\n"

OpenLibrary = Callable[..., KnowledgeBase]


def write_documents(folder: Path) -> Path:
    """The four files in `folder`."""
    (folder / "产品").mkdir(parents=True)
    (folder / "handbook.md").write_text(HANDBOOK, "utf-8")
    (folder / "产品" / "手册.md").write_text(CHINESE, "utf-8")
    (folder / "furnace.pdf").write_bytes(pdf(PDF_PAGES, title="Furnace manual"))
    (folder / "notes.txt").write_text(NOTES, "utf-8")
    return folder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The four files, for a test to change."""
    return write_documents(tmp_path / "docs")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, cache_dir: Path) -> Path:
    """A closed base of the four files. To be copied, not opened."""
    folder = tmp_path_factory.mktemp("library")
    documents = write_documents(folder / "docs")
    settings = load_settings(cache_dir=cache_dir, data_dir=folder)
    with KnowledgeBase.open(folder / "kb", embedder=embedder, settings=settings) as base:
        assert base.ingest(documents).added == 4
    return folder / "kb"


@pytest.fixture
def base_folder(library: Path, tmp_path: Path) -> Path:
    """A closed base of the four files, of the test's own."""
    return copy_base(library, tmp_path / "kb")


@pytest.fixture
def open_library(base_folder: Path, embedder: Embedder) -> Iterator[OpenLibrary]:
    """Opens the base of the four files with the default embedder; closed after the test."""
    with ExitStack() as opened:

        def open_(**options: Any) -> KnowledgeBase:
            options.setdefault("embedder", embedder)
            return opened.enter_context(KnowledgeBase.open(base_folder, **options))

        yield open_


@pytest.fixture
def kb(open_library: OpenLibrary) -> KnowledgeBase:
    """The base of the four files, open."""
    return open_library()


@pytest.fixture
def kbqa(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, embedder: LentEmbedder
) -> Kbqa:
    """The command `kbqa` in this process, which is lent the default embedder."""

    def open_(spec: str, **options: Any) -> Embedder:
        return embedder if spec == embedder.name else open_embedder(spec, **options)

    monkeypatch.setattr("qa.opening.open_embedder", open_)
    return Kbqa(capsys, monkeypatch)
