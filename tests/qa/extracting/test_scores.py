from __future__ import annotations

from ingest.documents import Chunk
from qa.extracting.scores import features, sentences_of
from retrieval.hits import Hit


def test_a_character_counts_twice_a_pair() -> None:
    text = "很高。高铁。甲。乙。丙。"
    hit = Hit(Chunk("d", "d.txt", "", 0, len(text), text), 1.0)
    found = list(sentences_of(hit))
    words = [row.words for row in features("高铁", found, {"高": 1.0, "高铁": 1.0})]
    assert words[1] == 1
    assert 0.5 < words[0] < 1
    assert words[2:] == [0, 0, 0]
