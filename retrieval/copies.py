"""Passages that say the same, word for word, shown once: five versions of one manual.

Only what the better passage says as well is left out. A version that differs in one number says
something else and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.hits import Hit

MIN_CHARACTERS = 40  # "Yes." stands in many documents and makes none of them a copy


def fold(hits: Sequence[Hit]) -> list[Hit]:
    """`hits`, best first, without those whose words a better one of another document holds.

    `copies` of a hit that stays names their documents, in order of score.
    """
    kept: list[tuple[str, Hit]] = []
    for hit in hits:
        words = " ".join(hit.chunk.kept_text.casefold().split())
        for place, (known, better) in enumerate(kept):
            if better.uri != hit.uri and len(words) >= MIN_CHARACTERS and words in known:
                if hit.uri not in better.copies:
                    kept[place] = (known, replace(better, copies=(*better.copies, hit.uri)))
                break
        else:
            kept.append((words, hit))
    return [hit for _, hit in kept]
