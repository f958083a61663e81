"""What others may import: complete, sorted, documented; and what the package brings along."""

from __future__ import annotations

import importlib
import inspect
from importlib.resources import files

import pytest

import qa
from ingest import errors
from qa.prompting import NAMES

EXPORTING = ("qa", "ingest", "ingest.loaders")
CONTRACT = {
    "Answer", "Chunk", "Citation", "Document", "Handler", "Hit", "KnowledgeBase", "Plugin",
    "SyncReport", "Turn",
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTING)
def test_exported_names_are_complete_and_sorted(name: str) -> None:
    module = importlib.import_module(name)
    exported = module.__all__
    assert exported == sorted(exported)
    assert len(exported) == len(set(exported))
    assert all(hasattr(module, key) for key in exported)
    if "__getattr__" in vars(module):  # what it exports is imported when asked for
        return
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(exported)


def test_the_contract_is_exported() -> None:
    assert set(qa.__all__) >= CONTRACT


@pytest.mark.parametrize("name", qa.__all__)
def test_what_is_exported_is_documented(name: str) -> None:
    exported = getattr(qa, name)
    if not inspect.isclass(exported):  # Handler and Plugin, told in qa.turn
        return
    assert inspect.getdoc(exported)
    for member, value in vars(exported).items():
        if not member.startswith("_") and inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_signatures_of_the_contract() -> None:
    def parameters(function: object) -> list[str]:
        assert callable(function)
        return list(inspect.signature(function).parameters)

    kb = qa.KnowledgeBase
    assert parameters(kb.open)[:4] == ["path_or_url", "embedder", "model", "plugins"]
    assert parameters(kb.ingest)[:2] == ["self", "path"]
    assert parameters(kb.ingest_documents)[:2] == ["self", "documents"]
    assert parameters(kb.search) == ["self", "query", "k", "filters"]
    assert inspect.signature(kb.search).parameters["k"].default == 10
    assert parameters(kb.ask)[:3] == ["self", "question", "on_token"]
    assert parameters(kb.document) == ["self", "uri"]
    assert parameters(qa.Document.from_text)[:3] == ["text", "uri", "title"]


def test_errors_are_one_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    assert all(issubclass(kind, qa.KbqaError) for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


@pytest.mark.parametrize("package", ["ingest", "retrieval", "qa"])
def test_types_are_shipped(package: str) -> None:
    assert (files(package) / "py.typed").is_file()


def test_prompts_are_shipped() -> None:
    assert {path.name for path in (files("qa") / "prompts").iterdir()} == set(NAMES)
