from __future__ import annotations

import pytest

from ingest.documents import Chunk
from qa.citing.attribution import supporter


def chunk(text: str) -> Chunk:
    return Chunk("d", "a.md", "", 0, len(text), text)


DENYING = chunk("The HEPA filter cannot be washed; replace it after 12 months.")
SHARING = chunk("The HEPA filter H13 is in stock.")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("The HEPA filter can be washed.", None),
        ("The HEPA filter cannot be washed.", 1),
        ("The HEPA filter is in stock.", 2),
    ],
)
def test_no_mark_where_a_nearer_source_denies_it(said: str, expected: int | None) -> None:
    assert supporter(said, [DENYING, SHARING]) == expected


def test_without_the_denial_the_words_decide() -> None:
    assert supporter("The HEPA filter can be washed.", [SHARING]) == 1
