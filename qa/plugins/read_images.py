"""`read_images`: what is written in the images of a question is looked up with it."""

from __future__ import annotations

from dataclasses import replace

from qa.images import Image, with_text
from qa.turn import Handler, Turn

LOOKED_UP = 500  # characters: a page of small print would drown the question


def read_images(turn: Turn, call_next: Handler) -> Turn:
    """Read the images by OCR, for the search, and for models that take none."""
    if not turn.images:
        return call_next(turn)
    images = tuple(with_text(image) for image in turn.images)
    words = " ".join(image.text for image in images)[:LOOKED_UP]
    query = f"{turn.query or turn.question} {words}".strip()
    notes = (*turn.notes, *(_note(image) for image in images))
    return call_next(replace(turn, images=images, query=query, notes=notes))


def _note(image: Image) -> str:
    if image.text:
        return f"{image.name}: the text in it was looked up with the question"
    return f"{image.name}: no text was found in it, so the search knows the question only"
