"""`cache_answers`: the same question about the same documents is answered once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from hashlib import sha256

from qa.turn import Handler, Plugin, Turn

ANSWERS = 256  # kept; the one not asked for longest goes


def cache_answers(version: str) -> Plugin:
    """A plugin that answers from memory what was answered before; `version` tells of model and
    prompts.

    An answer belongs to question, history, filters, images and to the passages in the version of
    their documents: when one of these changes, it is not found again. Answers that something went
    wrong with (notes) are not kept. They lie in this process's memory, never on the disk, and may
    be asked for by several threads at a time.
    """
    answers: OrderedDict[bytes, Turn] = OrderedDict()
    lock = threading.Lock()

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        key = _key(turn, version)
        with lock:
            known = answers.get(key)
            if known is not None:
                answers.move_to_end(key)
        if known is not None:
            return _told(turn, known)
        answered = call_next(turn)
        if answered.notes == turn.notes:
            with lock:
                answers[key] = _kept(answered)
                while len(answers) > ANSWERS:
                    answers.popitem(last=False)
        return answered

    return plugin


def _kept(turn: Turn) -> Turn:
    """The turn without what is large, or of its caller."""
    return replace(turn, prompt=(), sources=(), images=(), on_token=None, on_hits=None)


def _told(turn: Turn, known: Turn) -> Turn:
    """What was answered to a turn like this one, which costs nothing now."""
    if turn.on_token:
        turn.on_token(known.text)
    return replace(
        known,
        images=turn.images,
        on_token=turn.on_token,
        on_hits=turn.on_hits,
        timings=turn.timings,
        usage=turn.usage,
        cost=turn.cost,
        evidence=turn.evidence,
        notes=(*turn.notes, "answered before; the documents have not changed since"),
    )


def _key(turn: Turn, version: str) -> bytes:
    passages = [(hit.chunk.document_id, hit.chunk.start, hit.chunk.end) for hit in turn.hits]
    pictures = [sha256(image.data).digest() for image in turn.images]
    asked = (turn.question, turn.history, turn.filters, pictures, turn.query)
    return sha256(repr((version, asked, passages)).encode("utf-8", "replace")).digest()
