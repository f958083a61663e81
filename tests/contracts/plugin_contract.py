"""What is wanted of every plugin, whoever wrote it. Subclass and give `plugin`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from ingest.documents import Chunk, Document
from ingest.errors import Unreachable
from qa.images import Image
from qa.turn import Handler, Message, Plugin, Turn
from retrieval.hits import Hit

TEXT = "Every employee has 25 days of annual leave a year."
DOCUMENT = Document.from_text(TEXT, uri="handbook.md", title="Handbook")
HIT = Hit(Chunk(DOCUMENT.id, DOCUMENT.uri, DOCUMENT.title, 0, len(TEXT), TEXT), 0.9)
QUESTION = "How many days of annual leave do I have?"
ANSWER = "You have **25 days** of leave, see [the portal](https://portal.example/a) [1]."
BUILT = (Message("system", "Cite."), Message("user", QUESTION))


def turn_of(on_token: Callable[[str], None] | None = None) -> Turn:
    """A turn on its way in, with everything that an outer plugin may have filled."""
    return Turn(
        QUESTION,
        history=(Message("user", "And leave?"), Message("assistant", "25 days [1]")),
        images=(Image("image.png", "image/png", b"data"),),
        query="annual leave days",
        hits=(HIT,),
        prompt=BUILT,
        timings={"outer": 1.0},
        usage={"outer": 1},
        notes=("outer",),
        evidence=0.9,
        on_token=on_token,
    )


def saying(text: str, size: int = 3) -> Handler:
    """A handler like a model: streams pieces of `size` characters and returns them joined."""

    def handler(turn: Turn) -> Turn:
        for start in range(0, len(text), size):
            if turn.on_token:
                turn.on_token(text[start : start + size])
        return replace(turn, text=text, model="test:model")

    return handler


class PluginContract:
    """The tests; each starts from a fresh plugin."""

    def test_tokens_join_to_the_answer(self, plugin: Plugin) -> None:
        for size in (1, 3, 1000):
            tokens: list[str] = []
            answered = plugin(turn_of(tokens.append), saying(ANSWER, size))
            assert "".join(tokens) == answered.text

    def test_streaming_changes_nothing_but_the_tokens(self, plugin: Plugin) -> None:
        silent = plugin(turn_of(), saying(ANSWER))
        heard = plugin(turn_of(lambda token: None), saying(ANSWER))
        assert heard.text == silent.text
        assert heard.citations == silent.citations

    def test_the_reader_comes_back(self, plugin: Plugin) -> None:
        tokens: list[str] = []
        on_token = tokens.append
        assert plugin(turn_of(on_token), saying(ANSWER)).on_token is on_token

    def test_what_it_does_not_work_on_passes_through(self, plugin: Plugin) -> None:
        given = turn_of()
        seen: list[Turn] = []

        def inner(turn: Turn) -> Turn:
            seen.append(turn)
            return replace(turn, text=ANSWER, model="test:model", usage={**turn.usage, "inner": 1})

        answered = plugin(given, inner)
        assert [turn.question for turn in seen] == [QUESTION]
        assert seen[0].images == answered.images == given.images
        assert answered.history == given.history
        assert answered.timings["outer"] == 1.0
        assert answered.notes[:1] == ("outer",)
        assert answered.usage["inner"] == answered.usage["outer"] == 1
        assert answered.model == "test:model"

    def test_it_changes_no_turn_in_place(self, plugin: Plugin) -> None:
        given = turn_of()
        before = [(field.name, repr(getattr(given, field.name))) for field in fields(Turn)]
        plugin(given, saying(ANSWER))
        assert [(field.name, repr(getattr(given, field.name))) for field in fields(Turn)] == before

    def test_an_error_passes_and_leaves_it_usable(self, plugin: Plugin) -> None:
        def fails(turn: Turn) -> Turn:
            if turn.on_token:
                turn.on_token("You have [")
            raise Unreachable("the model is gone")

        with pytest.raises(Unreachable, match="the model is gone"):
            plugin(turn_of(lambda token: None), fails)
        assert plugin(turn_of(), saying(ANSWER)).text

    def test_the_same_again(self, plugin: Plugin) -> None:
        seen: list[Turn] = []

        def inner(turn: Turn) -> Turn:
            seen.append(turn)
            return replace(turn, text=ANSWER)

        first, second = plugin(turn_of(), inner), plugin(turn_of(), inner)
        assert first.text == second.text
        for turn in seen[1:]:
            assert replace(turn, timings={}) == replace(seen[0], timings={})
