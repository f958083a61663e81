from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from qa.settings import keys_file
from tests.contracts.chat_model_contract import KEY
from tests.qa.command_line import Kbqa, is_one_clear_line


class Typed(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\nmore\n"))


@pytest.mark.usefixtures("piped")
def test_set_list_and_remove(kbqa: Kbqa, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = kbqa("keys", "set", "openai")
    assert (kept.code, kept.err) == (0, "")
    assert kept.out == f"the key of openai is kept in {keys_file()}\n"
    monkeypatch.setenv("ZAI_API_KEY", "0123456789-zai")
    listed = kbqa("keys", "list")
    assert listed.out == f"openai  …{KEY[-4:]}  ({keys_file()})\nzai  …-zai  (ZAI_API_KEY)\n"
    assert kbqa("keys", "list", "--json").json["keys"][1] == {
        "provider": "zai", "key": "…-zai", "source": "ZAI_API_KEY",
    }  # fmt: skip
    assert kbqa("keys", "remove", "openai").out.startswith("the key of openai was removed from ")
    is_one_clear_line(kbqa("keys", "remove", "openai"), 2, "no key of openai is kept")
    monkeypatch.delenv("ZAI_API_KEY")
    assert kbqa("keys", "list").err == "there are no keys: `kbqa keys set PROVIDER`\n"


def test_a_key_is_typed_without_echo(kbqa: Kbqa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typed())
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY if "zai" in prompt else "")
    assert kbqa("keys", "set", "zai").code == 0
    assert json.loads(keys_file().read_text("utf-8")) == {"zai": KEY}


def test_a_key_is_no_argument(kbqa: Kbqa) -> None:
    done = kbqa("keys", "set", "openai", KEY)
    is_one_clear_line(done, 2, "a key is no argument")
    assert KEY not in done.out + done.err


@pytest.mark.parametrize("provider", ["opnai", "langchain:", "anthropic"])
@pytest.mark.usefixtures("piped")
def test_an_unknown_provider_is_told(kbqa: Kbqa, provider: str) -> None:
    is_one_clear_line(kbqa("keys", "set", provider), 2, f"'{provider}'", "langchain:NAME")
    assert not keys_file().exists()


@pytest.mark.usefixtures("piped")
def test_a_stored_key_is_used_and_never_shown(kbqa: Kbqa, base_folder: Path) -> None:
    question = ("ask", "How many days of leave?", "--kb", base_folder, "--model", "openai:m")
    is_one_clear_line(kbqa(*question), 3, "OPENAI_API_KEY", "kbqa keys set openai")
    kbqa("keys", "set", "openai")
    for command in (("keys", "list"), ("config",), ("config", "--json")):
        done = kbqa(*command)
        assert done.code == 0
        assert KEY not in done.out + done.err
    keys_file().chmod(0o644)
    for refused in (kbqa(*question), kbqa("keys", "list")):
        is_one_clear_line(refused, 3, "chmod 600")
        assert KEY not in refused.out + refused.err
