"""What plugins ask the LLM on the side: questions put otherwise, other searches for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from time import perf_counter

from qa.chain import with_costs
from qa.model_wrappers import FALLS
from qa.models import ChatModel
from qa.traced import search
from qa.turn import Message, Turn
from retrieval.hits import Hit
from retrieval.index import Index

LONGEST = 500  # characters of a question that a model may come up with
_AROUND = re.compile(
    r"\A\s*(?:[-*•·]|[(（]?\d{1,2}[.):、）](?!\d))?\s*(?:(?:Question|问题)[:：])?\s*[\"'“「]?\s*"
    r"|\s*[\"'”」]?\s*\Z"
)


def asked_aside(turn: Turn, model: ChatModel, prompt: str, *, by: str) -> tuple[Turn, str]:
    """The reply to a prompt, and the turn with what it cost, its time as that of the plugin `by`.

    A model that cannot be reached costs a note, not the answer: the reply is "" then.
    """
    started = perf_counter()
    try:
        reply = model.generate((Message("user", prompt),))
    except FALLS as exc:
        return replace(turn, notes=(*turn.notes, f"{by}: {exc}")), ""
    timings = {**turn.timings, by: perf_counter() - started}
    return replace(with_costs(turn, reply), timings=timings), reply.text.strip()


def questions_in(reply: str, *, most: int) -> list[str]:
    """The lines of a reply without bullets and quotation marks, each once, the first `most`."""
    lines = (_AROUND.sub("", line) for line in reply.splitlines())
    return list(dict.fromkeys(line[:LONGEST] for line in lines if line))[:most]


def searched_also(turn: Turn, index: Index, queries: Iterable[str]) -> tuple[Turn, list[float]]:
    """The turn with the best hits of its own and of `queries`, as many as it had; the evidence
    for each query.

    Each search has its turn in naming a hit; a passage that several found has its best score.
    """
    k = max(1, len(turn.hits))
    found = [search(index, query, k, turn.filters) for query in queries]
    hits = merged([turn.hits, *(explanation.hits for explanation in found)], k)
    return replace(turn, hits=hits), [explanation.evidence for explanation in found]


def merged(lists: Sequence[Sequence[Hit]], k: int) -> tuple[Hit, ...]:
    """`k` hits, taken from the lists in turns, in the order of their scores."""
    best: dict[tuple[str, int, int], Hit] = {}
    for hit in chain.from_iterable(lists):
        key = _key(hit)
        if key not in best or hit.score > best[key].score:
            best[key] = hit
    turns = chain.from_iterable(zip_longest(*lists))
    keys = list(dict.fromkeys(_key(hit) for hit in turns if hit is not None))[:k]
    return tuple(sorted((best[key] for key in keys), key=lambda hit: -hit.score))


def _key(hit: Hit) -> tuple[str, int, int]:
    return hit.chunk.document_id, hit.chunk.start, hit.chunk.end
