from __future__ import annotations

import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from ingest.errors import BadRequest, NotAuthorised, NotConfigured
from qa.models import PROVIDERS, ModelOptions, open_model
from qa.presets import PRESETS, Preset
from qa.reply_text import ReplyText
from tests.contracts.chat_model_contract import KEY, PROMPT
from tests.scripted_server import ScriptedServer, status


def at(server: ScriptedServer) -> ModelOptions:
    return ModelOptions(base_url=server.base_url)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_presets_are_sound(preset: Preset) -> None:
    local = urlsplit(preset.base_url).hostname == "127.0.0.1"
    assert urlsplit(preset.base_url).scheme == ("http" if local else "https")
    assert local == (preset.key_variable is None) == bool(preset.hint)
    if preset.other_site:
        other = PRESETS[preset.other_site]
        assert (other.other_site, other.omits) == (preset.name, preset.omits)
        assert other.base_url != preset.base_url


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_every_preset_opens_under_its_spec(preset: Preset) -> None:
    environ = {preset.key_variable: KEY} if preset.key_variable else {}
    model = open_model(f"{preset.name}:{preset.example}", environ=environ)
    assert model.name == f"{preset.name}:{preset.example}"


def test_a_model_name_may_hold_colons() -> None:
    with ScriptedServer() as server:
        open_model("ollama:qwen3:0.6b", at(server), environ={}).generate(PROMPT)
    assert server.requests[0].body["model"] == "qwen3:0.6b"


def test_an_unknown_provider_is_told_with_the_known_ones() -> None:
    with pytest.raises(BadRequest, match="did you mean 'ollama'") as caught:
        open_model("olama:qwen3", environ={})
    assert all(provider in str(caught.value) for provider in PROVIDERS)


def test_extractive_is_told_to_be_built_in() -> None:
    with pytest.raises(BadRequest, match="built in"):
        open_model("extractive", environ={})


@pytest.mark.parametrize("spec", ["openai", "openai:", "langchain:", "langchain:openai"])
def test_a_spec_without_its_model_is_told(spec: str) -> None:
    with pytest.raises(BadRequest, match="lacks"):
        open_model(spec, environ={})


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_key_is_told_by_its_variable(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "not looked at")
    environ = {} if value is None else {"DASHSCOPE_API_KEY": value}
    with pytest.raises(NotConfigured, match="DASHSCOPE_API_KEY"):
        open_model("dashscope:qwen-plus", environ=environ)


def test_a_given_key_wins_and_is_stripped() -> None:
    with ScriptedServer() as server:
        environ = {"OPENAI_API_KEY": "other"}
        options = ModelOptions(base_url=server.base_url, api_key=f" {KEY}\n")
        model = open_model("openai:m", options, environ=environ)
        model.generate(PROMPT)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_stored_key_is_used_where_no_other_is_given() -> None:
    keys = {"openai": KEY, "langchain:openai": KEY}
    for spec in ("openai:m", "langchain:openai:m"):
        assert open_model(spec, environ={}, stored=keys.get).name == spec


@pytest.mark.parametrize(
    ("spec", "sent"),
    [
        ("openai:m", "Bearer none"),
        ("langchain:openai:m", "Bearer none"),
        ("vllm:m", f"Bearer {KEY}"),
    ],
)
def test_a_stored_key_goes_to_its_providers_address_only(spec: str, sent: str) -> None:
    keys = {"openai": KEY, "langchain:openai": KEY, "vllm": KEY}
    with ScriptedServer() as server:
        open_model(spec, at(server), environ={}, stored=keys.get).generate(PROMPT)
    assert server.requests[0].headers["authorization"] == sent


def test_arguments_that_a_provider_refuses_are_not_sent() -> None:
    with ScriptedServer() as server:
        for spec in ("moonshot:kimi-k2.6", "zhipu:glm-4-flash"):
            open_model(spec, at(server), environ={}).generate(PROMPT)
    assert ["temperature" in request.body for request in server.requests] == [False, True]


def test_a_server_of_ones_own_needs_no_key() -> None:
    with ScriptedServer() as server:
        reply = open_model("openai:m", at(server), environ={}).generate(PROMPT)
    assert reply.text == "Paris [1]"


def test_a_key_that_cannot_be_sent_is_told_without_it() -> None:
    with pytest.raises(NotConfigured, match="OPENAI_API_KEY") as caught:
        open_model("openai:m", environ={"OPENAI_API_KEY": "sk-a\nsk-b“"})
    assert "sk-a" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a/v1", "http://", "http://h:99999/v1", "http://[v1"]
)
@pytest.mark.parametrize("spec", ["openai:m", "langchain:openai:m"])
def test_a_base_url_that_is_none_is_told(spec: str, url: str) -> None:
    with pytest.raises(BadRequest, match="base URL"):
        open_model(spec, ModelOptions(base_url=url, api_key=KEY), environ={})


def test_the_other_site_is_told_when_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(then=status(401)) as server:
        preset = Preset("twin", server.base_url, "TWIN_KEY", "m", other_site="twin-intl")
        monkeypatch.setattr("qa.models.PRESETS", {"twin": preset})
        monkeypatch.setattr("qa.models.PROVIDERS", ("twin",))
        with pytest.raises(NotAuthorised, match=r"check TWIN_KEY.*twin-intl:MODEL"):
            open_model("twin:m", environ={"TWIN_KEY": KEY}).generate(PROMPT)


def test_langchain_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(NotConfigured, match=r"pip install 'kbqa\[langchain\]'"):
        open_model("langchain:openai:m", environ={})


def test_a_package_of_langchain_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain")
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with pytest.raises(NotConfigured, match="pip install langchain-anthropic"):
        open_model("langchain:anthropic:claude", environ={})


def test_a_key_that_langchain_misses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(NotConfigured, match="OPENAI_API_KEY"):
        open_model("langchain:openai:m", environ={})


def test_an_unknown_provider_of_langchain_is_told() -> None:
    pytest.importorskip("langchain")
    with pytest.raises(BadRequest, match="cannot be opened"):
        open_model("langchain:nobody:m", environ={})


def test_importing_the_seam_loads_no_sdk() -> None:
    code = (
        "import sys, qa.models; "
        "assert not {'openai', 'langchain', 'langchain_core', 'httpx2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("whole", "text"),
    [
        ("Paris", "Paris"),
        ("", ""),
        ("  \n ", ""),
        ("<think>a</think>Paris", "Paris"),
        ("\n <think>a < b</thin</think>\n<think>b</think>\n Paris ", "Paris "),
        ("<think>never ends </thi", ""),
        ("<thin", "<thin"),
        ("<thinker> said", "<thinker> said"),
        ("Say <think>x</think>", "Say <think>x</think>"),
    ],
)
def test_thoughts_are_left_out_however_they_are_cut(whole: str, text: str, size: int) -> None:
    tokens = list[str]()
    reply = ReplyText(tokens.append)
    for start in range(0, len(whole), size):
        reply.add(whole[start : start + size])
    assert reply.close() == text == "".join(tokens)
