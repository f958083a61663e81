"""What is hidden from an LLM, and that all of it comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.images import Image
from qa.models import Reply
from qa.plugins.redact import redact
from qa.redaction import RedactedModel, Redaction
from qa.redaction import hidden as hidden_in
from qa.turn import Message, Turn
from tests.contracts.plugin_contract import saying

SECRETS = {
    "EMAIL": ["zhang.san+1@mail.example.com.cn", "a@b.io"],
    "PHONE": [
        "13812345678", "+86 138-1234-5678", "138 1234 5678", "010-12345678", "(021) 6543 2109",
        "+44 20 7946 0958", "+1 (415) 555-2671", "415-555-2671", "400-810-8888",
    ],
    "ID": ["11010519491231002X", "11010519491231002x", "219-09-9999"],
    "CARD": ["4111 1111 1111 1111", "5555555555554444", "6212-3456-7890-1232"],
    "IBAN": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "KEY": [
        "sk-proj-abcdef1234567890XYZ", "ghp_" + "a1" * 18, "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
}  # fmt: skip
PLAIN = [
    "11010519491231002Y", "1234567890123456", "2024-01-15", "12:30:45", "192.168.1.20",
    "ISO 9001:2015", "LS-600", "price 12000.50", "@home", "page 13 of 240",
    "3.14159265358979",
]  # fmt: skip
ALL = [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets]


def hidden(text: str) -> str:
    return Redaction([text]).hide(text)


@pytest.mark.parametrize(("kind", "secret"), ALL)
@pytest.mark.parametrize("around", ["{}", "电话{}，谢谢", "Call ({}), now.", "x: {}\ny"])
def test_secrets_are_hidden(kind: str, secret: str, around: str) -> None:
    assert hidden(around.format(secret)) == around.format(f"<{kind}_1>")


@pytest.mark.parametrize("text", PLAIN)
def test_other_numbers_stay(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("said", ['api_key = "{}"', "password: {}", "密码是{}", "TOKEN={}"])
def test_what_is_called_a_secret_is_one(said: str) -> None:
    assert hidden(said.format("hunter22x")) == said.format("<KEY_1>")


def test_the_same_value_has_one_placeholder_and_no_placeholder_two_values() -> None:
    texts = ["a@b.io c@d.io", "<EMAIL_1> a@b.io"]
    redaction = Redaction(texts)
    assert [redaction.hide(text) for text in texts] == [
        "<EMAIL_2> <EMAIL_3>",
        "<EMAIL_1> <EMAIL_2>",
    ]
    assert redaction.restore("<EMAIL_1> <EMAIL_2> <EMAIL_9>") == "<EMAIL_1> a@b.io <EMAIL_9>"


PIECES = st.lists(
    st.sampled_from([*(secret for _, secret in ALL), *PLAIN, "<EMAIL_1>", "<", "KEY_1>", ","]),
    max_size=10,
).map(" ".join)  # fmt: skip


@given(PIECES | st.text())
def test_what_is_hidden_comes_back(text: str) -> None:
    redaction = Redaction([text])
    assert redaction.restore(redaction.hide(text)) == text


@given(PIECES, st.integers(1, 7))
def test_streamed_answers_come_back_across_any_border(text: str, size: int) -> None:
    sent: list[str] = []
    tokens: list[str] = []

    def echoes(turn: Turn) -> Turn:
        sent.append(turn.prompt[0].content)
        return saying(turn.prompt[0].content, size)(turn)

    turn = Turn("q", prompt=(Message("user", text),), on_token=tokens.append)
    answered = redact(turn, echoes)
    assert "".join(tokens) == answered.text == text
    assert "a@b.io" not in sent[0]


class Echo:
    """A `ChatModel` that remembers what it saw and says it."""

    name = "test:echo"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        self.seen.append(messages[-1].content)
        for character in messages[-1].content if on_token else "":
            assert on_token
            on_token(character)
        return Reply(messages[-1].content)


def test_a_model_asked_on_the_side_sees_no_secrets_either() -> None:
    echo, tokens = Echo(), list[str]()
    model = RedactedModel(echo)
    assert model.name == "test:echo"
    messages = [Message("user", "I am a@b.io")]
    assert model.generate(messages).text == "I am a@b.io"
    assert model.generate(messages, on_token=tokens.append).text == "".join(tokens) == "I am a@b.io"
    assert echo.seen == ["I am <EMAIL_1>"] * 2


def test_the_words_in_a_picture_are_redacted_with_the_question() -> None:
    image = Image("card.png", "image/png", b"...", "mail ann@corp.example or bob@corp.example")
    asked = Message("user", "Who is ann@corp.example, not <EMAIL_1>?", (image,))
    (shown,), redaction = hidden_in([asked])
    assert shown.images[0].data == image.data
    assert "corp.example" not in f"{shown.content}{shown.images[0].text}"
    assert redaction.restore(shown.content) == asked.content
    assert redaction.restore(shown.images[0].text) == image.text
