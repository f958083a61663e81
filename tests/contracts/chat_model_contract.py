"""What every `ChatModel` that speaks to a server does. Inherit it and write `open_model`."""

from __future__ import annotations

import traceback

import pytest

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    RateLimited,
    TimedOut,
    Unreachable,
)
from qa.images import Image
from qa.models import ChatModel
from qa.turn import Message
from tests.scripted_server import (
    Behaviour,
    ScriptedServer,
    blind,
    cut_stream,
    endless,
    hang,
    hang_in_stream,
    no_choices,
    no_usage,
    saying,
    status,
    text,
    well,
)

KEY = "sk-contract-0123456789"
PROMPT = (Message("system", "Cite."), Message("user", "Where is the tower? 塔在哪里？"))
PICTURED = (
    Message("user", "What is this?", (Image("screen.png", "image/png", b"PNG", "ERR 42"),)),
)
SHORT = 0.3  # seconds

ERRORS: list[tuple[Behaviour, type[KbqaError]]] = [
    (status(400, "context too long"), BadRequest),
    (status(401, f"wrong key {KEY}"), NotAuthorised),
    (status(403), NotAuthorised),
    (status(404, "model m not found"), BadRequest),
    (status(429, "quota", retry_after="1000"), RateLimited),
    (status(500, x_should_retry="false"), Unreachable),
    (text("{not json"), Unreachable),
    (no_choices, Unreachable),
    (saying(""), Unreachable),
    (saying("", finish="length"), BadRequest),
]


def ignore(token: str) -> None:
    """A reader of streams that does not care."""


class ChatModelContract:
    """The contract suite; a fresh server and model for each test."""

    def open_model(self, server: ScriptedServer, *, timeout: float = 5.0) -> ChatModel:
        """The model under test, at `server`, with the key `KEY`."""
        raise NotImplementedError

    def test_answers(self) -> None:
        with ScriptedServer(lambda messages: f"About: {messages[-1]['content']} [1]") as server:
            reply = self.open_model(server).generate(PROMPT)
        assert reply.text == "About: Where is the tower? 塔在哪里？ [1]"
        roles = [(m["role"], m["content"]) for m in server.requests[0].body["messages"]]
        assert roles == [(m.role, m.content) for m in PROMPT]

    @pytest.mark.parametrize(
        ("finish", "words"), [("length", "answer_tokens"), ("content_filter", "content filter")]
    )
    def test_an_answer_that_is_cut_off_says_so(self, finish: str, words: str) -> None:
        with ScriptedServer(then=saying("It stands in", finish=finish)) as server:
            model = self.open_model(server)
            for on_token in (None, ignore):
                reply = model.generate(PROMPT, on_token=on_token)
                assert reply.text == "It stands in"
                assert "is cut off" in reply.notes[0]
                assert words in reply.notes[0]

    def test_is_a_chat_model_with_a_name(self) -> None:
        with ScriptedServer() as server:
            model = self.open_model(server)
        assert isinstance(model, ChatModel)
        assert ":" in model.name

    def test_streams_the_same_text(self) -> None:
        answer = "埃菲尔铁塔在巴黎。 The tower is in Paris [1], <think> is a tag.\n"
        with ScriptedServer(lambda messages: answer) as server:
            model, tokens = self.open_model(server), list[str]()
            whole = model.generate(PROMPT)
            streamed = model.generate(PROMPT, on_token=tokens.append)
        assert streamed.text == whole.text == answer
        assert "".join(tokens) == answer
        assert len(tokens) > 3

    def test_counts_tokens(self) -> None:
        with ScriptedServer() as server:
            usage = self.open_model(server).generate(PROMPT).usage
        assert usage == {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}

    def test_does_without_usage(self) -> None:
        with ScriptedServer(then=no_usage) as server:
            model = self.open_model(server)
            assert model.generate(PROMPT).usage["estimated"] == 1
            assert model.generate(PROMPT, on_token=ignore).usage["estimated"] == 1

    @pytest.mark.parametrize("streaming", [False, True])
    def test_keeps_thoughts_out(self, streaming: bool) -> None:
        thinking = saying("\n<think>\nParis? <b>\n</think>\n\nParis [1]", reasoning="Lyon?")
        tokens = list[str]()
        with ScriptedServer(then=thinking) as server:
            model = self.open_model(server)
            reply = model.generate(PROMPT, on_token=tokens.append if streaming else None)
        assert reply.text == "Paris [1]"
        assert "".join(tokens) in ("", "Paris [1]")

    @pytest.mark.parametrize("streaming", [False, True])
    @pytest.mark.parametrize(("behaviour", "kind"), ERRORS)
    def test_maps_errors_to_one_line_without_the_key(
        self, behaviour: Behaviour, kind: type[KbqaError], streaming: bool
    ) -> None:
        with ScriptedServer(then=behaviour) as server:
            model = self.open_model(server)
            with pytest.raises(KbqaError) as caught:
                model.generate(PROMPT, on_token=ignore if streaming else None)
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert model.name in str(caught.value)
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert KEY not in repr(model)

    @pytest.mark.parametrize("bad", [status(429, retry_after="0.01"), status(500)])
    def test_tries_again(self, bad: Behaviour) -> None:
        with ScriptedServer(script=[bad, well]) as server:
            assert self.open_model(server).generate(PROMPT).text == "Paris [1]"
        assert len(server.requests) == 2

    def test_a_hanging_server_ends_in_time_out(self) -> None:
        with ScriptedServer(then=hang) as server, pytest.raises(TimedOut):
            self.open_model(server, timeout=SHORT).generate(PROMPT)

    def test_a_stream_that_hangs_ends_in_time_out(self) -> None:
        tokens = list[str]()
        with ScriptedServer(then=hang_in_stream) as server, pytest.raises(TimedOut):
            self.open_model(server, timeout=SHORT).generate(PROMPT, on_token=tokens.append)
        assert tokens == ["Par"]

    def test_a_cut_stream_is_told(self) -> None:
        with (
            ScriptedServer(then=cut_stream) as server,
            pytest.raises(Unreachable, match="closed the connection in the middle of the answer"),
        ):
            self.open_model(server).generate(PROMPT, on_token=ignore)

    def test_errors_of_the_reader_are_the_readers(self) -> None:
        def read(token: str) -> None:
            raise ValueError("mine")

        with ScriptedServer() as server, pytest.raises(ValueError, match="mine"):
            self.open_model(server).generate(PROMPT, on_token=read)

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
    def test_a_reader_who_has_enough_ends_the_request(self, kind: type[BaseException]) -> None:
        def read(token: str) -> None:
            raise kind

        with ScriptedServer(then=endless) as server:
            model = self.open_model(server)
            with pytest.raises(kind):
                model.generate(PROMPT, on_token=read)
            assert server.left.wait(5.0)

    def test_sends_images(self) -> None:
        with ScriptedServer() as server:
            assert self.open_model(server).generate(PICTURED).notes == ()
        text, picture = server.requests[0].body["messages"][0]["content"]
        assert text == {"type": "text", "text": "What is this?"}
        assert picture["image_url"]["url"] == "data:image/png;base64,UE5H"

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_server_that_takes_no_images_gets_the_words(self, streaming: bool) -> None:
        with ScriptedServer(then=blind) as server:
            model = self.open_model(server)
            reply = model.generate(PICTURED, on_token=ignore if streaming else None)
        assert reply.text == "Paris [1]"
        assert reply.notes == (f"{model.name} takes no images: it was given the text in them",)
        said = server.requests[-1].body["messages"][0]["content"]
        assert said == "What is this?\n\nscreen.png:\nERR 42"

    def test_lone_surrogates_do_not_stop_it(self) -> None:
        with ScriptedServer() as server:
            self.open_model(server).generate([Message("user", "a\ud800b")])
        assert server.requests[0].body["messages"][0]["content"] == "a?b"
