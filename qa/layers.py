"""The layers around the model: kbqa's own, how any others are found, what order they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from itertools import pairwise

from ingest.errors import BadRequest
from qa.foreign_plugins import Found, brought, from_file, is_file_spec, of_object
from qa.parts import Parts, WithParts
from qa.plugins.build_prompt import build_prompt
from qa.plugins.cite_sources import cite_sources
from qa.plugins.read_images import read_images
from qa.plugins.require_evidence import require_evidence
from qa.plugins.retrieve import retrieve
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.settings import DEFAULT_PLUGINS
from qa.turn import Plugin

KBQA = "kbqa"


class Stage(IntEnum):
    """What a layer of ours works on. Those of an earlier stage stand further out."""

    QUERY = 1
    SEARCH = 2
    HITS = 3
    SOURCES = 4
    PROMPT = 5
    CITATIONS = 6
    ANSWER = 7
    MESSAGES = 8


@dataclass(frozen=True, slots=True)
class Layer:
    """A plugin that can be made. `stage`: None may stand anywhere."""

    name: str
    make: Callable[[Parts], Plugin]
    description: str
    source: str = KBQA
    stage: Stage | None = None
    needs_llm: bool = False


def _ours(*layers: Layer) -> Mapping[str, Layer]:
    return {layer.name: layer for layer in layers}


OURS = _ours(
    Layer("trace", lambda parts: trace, "times the whole turn"),
    Layer(
        "rewrite_query",
        lambda parts: rewrite_query,
        "looks a follow-up up with what it follows",
        stage=Stage.QUERY,
    ),
    Layer(
        "read_images",
        lambda parts: read_images,
        "looks up what is written in images",
        stage=Stage.QUERY,
    ),
    Layer(
        "retrieve",
        lambda parts: retrieve(parts.index, k=parts.settings.top_k),
        "finds the passages",
        stage=Stage.SEARCH,
    ),
    Layer(
        "require_evidence",
        lambda parts: require_evidence(min_score=parts.settings.min_score),
        "refuses when they do not cover the question",
        stage=Stage.HITS,
    ),
    Layer(
        "build_prompt",
        lambda parts: build_prompt(budget=parts.settings.prompt_tokens, prompts=parts.prompts),
        "writes the prompt: sources, history, question",
        stage=Stage.PROMPT,
    ),
    Layer(
        "cite_sources",
        lambda parts: cite_sources(parts.index.document),
        "turns marks into citations and checks each",
        stage=Stage.CITATIONS,
    ),
)


def chain_of(specs: Sequence[str | Plugin | WithParts]) -> list[Layer]:
    """The layers that `specs` name, outermost first: kbqa's names, those of entry points,
    `FILE.py:NAME`, or plugins as objects.

    A list without any of ours stands around the default ones. Raises BadRequest in one line.
    """
    layers = [_layer(spec) for spec in specs]
    if not any(layer.source == KBQA for layer in layers):
        layers += [OURS[name] for name in DEFAULT_PLUGINS]
    _require_order(layers)
    return layers


def made(layers: Sequence[Layer], parts: Parts) -> list[Plugin]:
    """The plugins themselves. Raises NotConfigured for one that needs an LLM when there is none,
    BadRequest for one that cannot be made."""
    return [layer.make(parts) for layer in layers]


def available() -> list[Layer]:
    """All that can be named without a path: kbqa's own, and those that packages bring."""
    return [*OURS.values(), *(_foreign(found) for found in brought() if found.name not in OURS)]


def _layer(spec: str | Plugin | WithParts) -> Layer:
    if not isinstance(spec, str):
        return _foreign(of_object(spec))
    if spec in OURS:
        return OURS[spec]
    if is_file_spec(spec):
        return _foreign(from_file(spec))
    candidates = [found for found in brought() if found.name == spec]
    if len(candidates) > 1:
        sources = " and ".join(found.source for found in candidates)
        raise BadRequest(f"the plugin '{spec}' comes from {sources}: uninstall one of them")
    if not candidates:
        raise BadRequest(_unknown(spec))
    return _foreign(candidates[0])


def _foreign(found: Found) -> Layer:
    return Layer(found.name, found.make, found.description, found.source)


def _unknown(spec: str) -> str:
    known = [layer.name for layer in available()]
    close = get_close_matches(spec, known, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return (
        f"there is no plugin '{spec}': {guess}there are {', '.join(known)}, and one of your own is "
        "written FILE.py:NAME"
    )


def _require_order(layers: Sequence[Layer]) -> None:
    placed = [layer for layer in layers if layer.stage is not None]
    names = [layer.name for layer in placed]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadRequest(f"the setting plugins names '{twice}' twice: leave one out")
    for outer, inner in pairwise(placed):
        if (outer.stage or 0) > (inner.stage or 0):
            raise BadRequest(
                f"the setting plugins names '{outer.name}' before '{inner.name}', which must stand "
                f"further out: write '{inner.name}' first"
            )
