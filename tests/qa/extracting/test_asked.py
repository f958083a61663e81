from __future__ import annotations

import pytest

from ingest.documents import Chunk
from qa.extracting.asked import Asked

TEXT = """\
The desk is on the ground floor.

### 5. How long is annual leave?

Eight days in the first ten years.

Twelve days afterwards.

## Pay

On the 10th of each month.

**Where do I park?**

Behind hall 3. The barrier opens with your badge.

Bicycles have a rack.

年假有几天？
十天。
"""


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("The desk is", ""),
        ("Eight days", "5. How long is annual leave?"),
        ("Twelve days", "5. How long is annual leave?"),  # a heading's reach
        ("On the 10th", ""),
        ("Behind hall 3", "**Where do I park?"),
        ("The barrier", "**Where do I park?"),
        ("Bicycles", ""),  # beyond that of a line
        ("年假有几天", ""),  # it is no answer to itself
        ("十天", "年假有几天？"),
    ],
)
def test_the_question_above(sentence: str, asked: str) -> None:
    chunk = Chunk("d", "a.md", "", 0, len(TEXT), TEXT)
    assert Asked(chunk).above(TEXT.index(sentence)) == asked


def test_the_heading_of_the_passage_reaches_to_its_first_heading() -> None:
    text = "Eight days.\n\n## Pay\n\nOn the 10th."
    chunk = Chunk("d", "a.md", "", 0, len(text), text, heading=("Leave", "How long is it?"))
    assert Asked(chunk).above(0) == "How long is it?"
    assert Asked(chunk).above(text.index("On")) == ""
