"""The layers around the model: kbqa's own, how any others are found, what order they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import IntEnum
from itertools import pairwise

from ingest.errors import BadRequest
from qa.foreign_plugins import Found, brought, from_file, is_file_spec, of_object
from qa.parts import Parts, WithParts
from qa.plugins.build_prompt import build_prompt
from qa.plugins.cache_answers import cache_answers
from qa.plugins.check_support import check_support
from qa.plugins.cite_sources import cite_sources
from qa.plugins.decompose import decompose
from qa.plugins.fence_sources import fence_sources
from qa.plugins.hyde import hyde
from qa.plugins.multi_query import multi_query
from qa.plugins.plain_answer import plain_answer
from qa.plugins.read_images import read_images
from qa.plugins.redact import redact
from qa.plugins.require_evidence import require_evidence
from qa.plugins.retrieve import retrieve
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.plugins.translate_answer import translate_answer
from qa.plugins.widen import widen
from qa.redaction import RedactedModel
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
    TRANSLATION = 8
    MESSAGES = 9


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
        lambda parts: rewrite_query(parts.model, parts.prompts),
        "makes a follow-up understandable without what came before",
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
        "multi_query",
        lambda parts: multi_query(parts.llm("multi_query"), parts.index, parts.prompts),
        "looks the question up in other words too",
        stage=Stage.HITS,
        needs_llm=True,
    ),
    Layer(
        "hyde",
        lambda parts: hyde(parts.llm("hyde"), parts.index, parts.prompts),
        "looks up an invented answer too",
        stage=Stage.HITS,
        needs_llm=True,
    ),
    Layer(
        "decompose",
        lambda parts: decompose(parts.llm("decompose"), parts.index, parts.prompts),
        "looks the parts of the question up too",
        stage=Stage.HITS,
        needs_llm=True,
    ),
    Layer(
        "require_evidence",
        lambda parts: require_evidence(
            min_score=parts.settings.min_score, sure_score=parts.settings.sure_score
        ),
        "refuses when the passages do not cover the question, tells where they hardly do",
        stage=Stage.HITS,
    ),
    Layer(
        "widen",
        lambda parts: widen(parts.index),
        "shows passages in their section, or with their neighbours",
        stage=Stage.HITS,
    ),
    Layer(
        "cache_answers",
        lambda parts: cache_answers(_version(parts)),
        "answers again what was asked before, while the documents stay the same",
        stage=Stage.HITS,
    ),
    Layer(
        "fence_sources",
        lambda parts: fence_sources(),
        "quotes the sources so that nothing in them is an instruction",
        stage=Stage.SOURCES,
    ),
    Layer(
        "build_prompt",
        lambda parts: build_prompt(budget=parts.settings.prompt_tokens, prompts=parts.prompts),
        "writes the prompt: sources, history, question",
        stage=Stage.PROMPT,
    ),
    Layer(
        "check_support",
        lambda parts: check_support(parts.embedder),
        "marks statements that their quotes do not bear out",
        stage=Stage.CITATIONS,
    ),
    Layer(
        "cite_sources",
        lambda parts: cite_sources(parts.index.document),
        "turns marks into citations and checks each",
        stage=Stage.CITATIONS,
    ),
    Layer(
        "plain_answer",
        lambda parts: plain_answer,
        "writes links, images and tags of the answer as plain text",
        stage=Stage.ANSWER,
    ),
    Layer(
        "translate_answer",
        lambda parts: translate_answer(parts.llm("translate_answer"), parts.prompts),
        "has an answer translated that is in another language than the question",
        stage=Stage.TRANSLATION,
        needs_llm=True,
    ),
    Layer(
        "redact",
        lambda parts: redact,
        "keeps personal data and keys from the LLM",
        stage=Stage.MESSAGES,
    ),
)


def chain_of(specs: Sequence[str | Plugin | WithParts]) -> list[Layer]:
    """The layers that `specs` name, outermost first: kbqa's names, those of entry points,
    `FILE.py:NAME`, or plugins as objects.

    A list without any of ours stands around the default ones; one of ours is the whole chain, which
    must look for passages and tell an LLM of them. Raises BadRequest in one line.
    """
    layers = [_layer(spec) for spec in specs]
    if not any(layer.source == KBQA for layer in layers):
        layers += [OURS[name] for name in DEFAULT_PLUGINS]
    _require_order(layers)
    _require_indispensable(layers)
    return layers


def made(layers: Sequence[Layer], parts: Parts) -> list[Plugin]:
    """The plugins themselves. Raises NotConfigured for one that needs an LLM when there is none,
    BadRequest for one that cannot be made.

    With `redact` among them, what others ask the LLM on the side is redacted as well.
    """
    if parts.model is not None and OURS["redact"] in layers:
        parts = replace(parts, model=RedactedModel(parts.model))
    return [layer.make(parts) for layer in layers]


def available() -> list[Layer]:
    """All that can be named without a path: kbqa's own, and those that packages bring."""
    return [*OURS.values(), *(_foreign(found) for found in brought() if found.name not in OURS)]


def _version(parts: Parts) -> str:
    return f"{parts.model.name if parts.model else ''} {parts.prompts.version}"


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


def _require_indispensable(layers: Sequence[Layer]) -> None:
    """One of somebody else's may do what is missing of ours."""
    if any(layer.source != KBQA for layer in layers):
        return
    names = {layer.name for layer in layers}
    for needed in ("retrieve", "build_prompt"):
        if needed not in names:
            named = layers[0].name
            whole = [name for name in OURS if name in names or name in DEFAULT_PLUGINS]
            raise BadRequest(
                f"the setting plugins names '{named}', which makes it the whole chain, and not "
                f"'{needed}'; this list will do: {', '.join(whole)}"
            )


def _require_order(layers: Sequence[Layer]) -> None:
    placed = [layer for layer in layers if layer.stage is not None]
    names = [layer.name for layer in placed]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadRequest(f"the setting plugins names '{twice}' twice: leave one out")
    for outer, inner in pairwise(placed):
        if (outer.stage or 0) > (inner.stage or 0):
            right = sorted(placed, key=lambda layer: layer.stage or 0)
            raise BadRequest(
                f"the setting plugins names '{outer.name}' before '{inner.name}', which must stand "
                f"further out; this order will do: {', '.join(layer.name for layer in right)}"
            )
