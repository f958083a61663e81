"""Real clients of the OpenAI API against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.qa.server.serving import Served

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"
UNANSWERED = "Who won the football world cup in 1974?"


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as opened:
        yield opened


def test_each_base_is_a_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["library", "other"]
    assert client.models.retrieve("library").owned_by == "kbqa"


def test_an_answer_has_numbered_sources_citations_and_usage(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="library",
        messages=[
            {"role": "system", "content": "Answer in French."},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        temperature=0.3,
    )
    text = completion.choices[0].message.content or ""
    assert "25 days" in text
    assert "Sources:\n[1] handbook.md" in text
    assert completion.usage
    assert completion.usage.total_tokens > 0
    extra = completion.model_extra or {}
    assert extra["citations"][0]["uri"] == "handbook.md"
    assert extra["statements"][0]["citations"] == [0]
    assert extra["abstained"] is False
    assert extra["evidence"] > 0.5
    assert extra["doubtful"] is False


def test_a_streamed_answer_is_the_same(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="library",
            messages=[{"role": "user", "content": "水泵多久加一次润滑油？"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "五百小时" in said
    assert "来源：\n[1] 产品/手册.md" in said
    last, usage = chunks[-2], chunks[-1].usage
    assert last.choices[0].finish_reason == "stop"
    assert (last.model_extra or {})["citations"][0]["verified"] is True
    assert (last.model_extra or {})["statements"]
    assert usage
    assert usage.completion_tokens > 0


def test_a_follow_up_is_understood(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="library",
        messages=[
            {"role": "user", "content": "What does alarm E-17 mean?"},
            {"role": "assistant", "content": "The door is open."},
            {"role": "user", "content": "How do I reset it?"},
        ],
    )
    assert "door" in (completion.choices[0].message.content or "")


def test_a_conversation_goes_on_after_what_is_no_text(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    said: Any = [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot see it."}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "user", "content": QUESTION},
    ]  # fmt: skip
    completion = client.chat.completions.create(model="library", messages=said)
    assert "25 days" in (completion.choices[0].message.content or "")


def test_a_long_conversation_goes_on(client: openai.OpenAI) -> None:
    """A client sends all of it each time, and the person cannot make it shorter."""
    before = [("user", "Good morning."), ("assistant", "Good morning.")] * 200
    said: Any = [{"role": role, "content": text} for role, text in before]
    said[0] = {"role": "user", "content": [{"type": "image_url"}]}  # too long ago to be read
    completion = client.chat.completions.create(
        model="library", messages=[*said, {"role": "user", "content": QUESTION}]
    )
    assert "25 days" in (completion.choices[0].message.content or "")


def test_a_refusal_says_so(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="library", messages=[{"role": "user", "content": UNANSWERED}]
    )
    extra = completion.model_extra or {}
    assert extra["abstained"] is True
    assert extra["citations"] == []


def test_errors_are_those_that_the_client_knows(client: openai.OpenAI) -> None:
    ask = client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="no knowledge base 'nothing'"):
        ask(model="nothing", messages=[{"role": "user", "content": QUESTION}])
    with pytest.raises(openai.BadRequestError, match="of the assistant"):
        ask(model="library", messages=[{"role": "assistant", "content": "x"}])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    with pytest.raises(openai.BadRequestError, match="only text"):
        ask(model="library", messages=[{"role": "user", "content": [image]}])  # type: ignore[list-item, misc]
    for question in (" ", "x" * 20_001):
        with pytest.raises(openai.BadRequestError, match="the question"):
            ask(model="library", messages=[{"role": "user", "content": question}], stream=True)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(model="library", messages=[])
    assert refused.value.type == "invalid"


def test_embeddings_are_those_of_the_base(client: openai.OpenAI, served: Served) -> None:
    texts = ["annual leave", "年假"]
    by_base64 = client.embeddings.create(model="library", input=texts)
    plain = client.embeddings.create(model="library", input=texts[0], encoding_format="float")
    vectors = [row.embedding for row in by_base64.data]
    assert [len(vector) for vector in vectors] == [384, 384]
    assert plain.data[0].embedding == pytest.approx(vectors[0], abs=1e-2)
    many = client.embeddings.create(model="library", input=[f"part {n}" for n in range(130)])
    assert len(many.data) == 130
    for wrong in ([], [""], ["x"] * 2049):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="library", input=wrong)
    tokens: list[Any] = [[1, 2, 3], [[1, 2, 3]]]
    for given in tokens:
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
            client.embeddings.create(model="library", input=given)
    with pytest.raises(openai.BadRequestError, match="384"):
        client.embeddings.create(model="library", input="x", dimensions=7)


def test_langchain_asks_and_streams(served: Served) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="library", base_url=f"{served.url}/v1", api_key="any")  # type: ignore[arg-type]
    assert "25 days" in chat.invoke(QUESTION).text
    pieces = [piece.text for piece in chat.stream(QUESTION)]
    assert "25 days" in "".join(pieces)
    assert len(pieces) > 2
