"""`kbqa plugins` and `kbqa ask --show-prompt`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from qa.knowledge_base import KnowledgeBase
from qa.settings import DEFAULT_PLUGINS
from qa.turn import Handler, Message, Turn
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.qa.conftest import OpenLibrary
from tests.qa.test_plugins import Model

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"


def test_plugins_lists_the_chain_in_order(kbqa: Kbqa) -> None:
    lines = kbqa("plugins").out.splitlines()
    assert [line.split()[1] for line in lines[: len(DEFAULT_PLUGINS)]] == list(DEFAULT_PLUGINS)
    assert lines[0].endswith("times the whole turn  (kbqa)")
    assert "the model: extractive" in lines


def test_plugins_tells_where_each_comes_from(kbqa: Kbqa) -> None:
    Path("mine.py").write_text("def shout(turn, call_next):\n    'Aloud.'\n", "utf-8")
    Path("kbqa.toml").write_text(
        'plugins = ["./mine.py:shout", "retrieve", "build_prompt"]', "utf-8"
    )
    found = kbqa("plugins", "--json").json
    assert found["llm"] is False
    assert found["chain"][0] == {
        "name": "shout",
        "source": str(Path("mine.py").resolve()),
        "needs_llm": False,
        "description": "Aloud.",
    }
    assert [layer["name"] for layer in found["chain"]] == ["shout", "retrieve", "build_prompt"]
    assert {"trace", "cite_sources"} <= {layer["name"] for layer in found["available"]}


def test_a_chain_that_cannot_be_is_told_in_one_line(kbqa: Kbqa) -> None:
    Path("kbqa.toml").write_text('plugins = ["build_prompt", "retrieve"]', "utf-8")
    is_one_clear_line(kbqa("plugins"), 2, "'build_prompt' before 'retrieve'")
    Path("kbqa.toml").write_text('plugins = ["./gone.py:shout"]', "utf-8")
    is_one_clear_line(kbqa("plugins"), 2, "there is no file", "gone.py")


def test_show_prompt_prints_what_a_model_is_sent(
    kbqa: Kbqa, open_library: OpenLibrary, base_folder: Path
) -> None:
    sent: list[Sequence[Message]] = []

    def answer(messages: Sequence[Message]) -> str:
        sent.append(messages)
        return "25 days [1]."

    with open_library(model=Model(answer)) as base:
        base.ask(QUESTION)
    shown = kbqa("ask", QUESTION, "--show-prompt", "--json", "--kb", base_folder).json
    messages = [{"role": m.role, "content": unfenced(m.content)} for m in sent[0]]
    for message in shown["prompt"]:
        message["content"] = unfenced(message["content"])
    assert shown == {"prompt": messages}
    for_people = unfenced(kbqa("ask", QUESTION, "--show-prompt", "--kb", base_folder).out)
    assert all(message["content"] in for_people for message in messages)


def unfenced(prompt: str) -> str:
    """The prompt without the code of its fence, which nobody can guess."""
    codes = set(re.findall(r"<<< ([a-z]{16})$", prompt, re.MULTILINE))
    assert len(codes) <= 1
    return prompt.replace(next(iter(codes), " "), " ")


def test_show_prompt_tells_when_nothing_is_sent(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", "Which team won the World Cup?", "--show-prompt", "--kb", base_folder)
    assert (done.code, done.out) == (0, "")
    assert "nothing would be sent" in done.err


def test_a_base_has_prompts_of_its_own(kbqa: Kbqa, base_folder: Path) -> None:
    (base_folder / "prompts").mkdir()
    template = base_folder / "prompts" / "user.en.txt"
    template.write_text("Q: {question}\nS: {sources}", "utf-8")
    shown = kbqa("ask", QUESTION, "--show-prompt", "--json", "--kb", base_folder).json
    assert shown["prompt"][-1]["content"].startswith(f"Q: {QUESTION}\nS: ")
    template.write_text("Q: {question}", "utf-8")
    is_one_clear_line(kbqa("ask", QUESTION, "--kb", base_folder), 2, str(template), "{sources}")


def test_a_prompt_asks_no_model_and_outlives_no_error(open_library: OpenLibrary) -> None:
    def swallows(turn: Turn, call_next: Handler) -> Turn:
        try:
            return call_next(turn)
        except Exception:  # noqa: BLE001 - as plugins of others may
            return turn

    def never(messages: Sequence[Message]) -> str:
        raise AssertionError(json.dumps([m.content for m in messages]))

    base: KnowledgeBase = open_library(model=Model(never), plugins=[swallows])
    assert [message.role for message in base.prompt(QUESTION)] == ["system", "user"]


def test_an_answer_whose_tokens_a_plugin_kept_is_told_at_its_end(open_library: OpenLibrary) -> None:
    Path("mine.py").write_text(
        "from dataclasses import replace\n"
        "def shout(turn, call_next):\n"
        "    turn = call_next(replace(turn, on_token=None))\n"
        "    return replace(turn, text=turn.text.upper())\n",
        "utf-8",
    )
    tokens: list[str] = []
    base = open_library(model=Model(lambda messages: "25 days [1]."), plugins=["mine.py:shout"])
    assert base.ask(QUESTION, tokens.append).text == "".join(tokens) == "25 DAYS [1]."
