"""Our own layers: complete, described, in an order that works."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

import qa.plugins
from ingest.errors import BadRequest
from qa.layers import KBQA, OURS, available, chain_of
from qa.settings import DEFAULT_PLUGINS


def test_every_file_of_plugins_is_a_layer() -> None:
    folder = Path(qa.plugins.__path__[0])
    files = {file.stem for file in folder.glob("[!_]*.py")}
    assert files == set(OURS)
    assert {layer.name for layer in available()} >= files
    assert all(layer.description and layer.source == KBQA for layer in OURS.values())


def test_the_table_is_in_an_order_that_works() -> None:
    assert [layer.name for layer in chain_of(list(OURS))] == list(OURS)
    assert [name for name in OURS if name in DEFAULT_PLUGINS] == list(DEFAULT_PLUGINS)


def test_an_order_that_cannot_work_is_told() -> None:
    with pytest.raises(BadRequest) as caught:
        chain_of(["trace", "build_prompt", "retrieve"])
    assert str(caught.value) == (
        "the setting plugins names 'build_prompt' before 'retrieve', which must stand further out; "
        "this order will do: retrieve, build_prompt"
    )


@pytest.mark.parametrize("names", [["redact"], ["cache_answers"], ["retrieve", "redact"]])
def test_a_chain_that_asks_without_passages_is_told(names: list[str]) -> None:
    with pytest.raises(BadRequest, match="this list will do: ") as caught:
        chain_of(names)
    whole = str(caught.value).partition("will do: ")[2].split(", ")
    assert [layer.name for layer in chain_of(whole)] == whole
    assert {*names, *DEFAULT_PLUGINS} == set(whole)


def test_what_stands_anywhere_stands_anywhere() -> None:
    for order in permutations(["trace", "retrieve", "build_prompt"]):
        if order.index("retrieve") < order.index("build_prompt"):
            assert [layer.name for layer in chain_of(order)] == list(order)


def test_a_layer_stands_there_once() -> None:
    with pytest.raises(BadRequest, match="'retrieve' twice"):
        chain_of(["retrieve", "retrieve"])
