from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import BadRequest, NotConfigured, TimedOut
from qa.hf_model import parted, with_adapter
from qa.images import Image
from qa.models import ModelOptions, open_model
from qa.turn import Message
from tests import tiny_model

pytestmark = pytest.mark.torch

PROMPT = [Message("user", tiny_model.PROMPT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


def test_answers_and_streams(folder: Path) -> None:
    model, tokens = open_model(f"hf:{folder}", environ={}), list[str]()
    reply = model.generate(PROMPT, on_token=tokens.append)
    assert reply.text == tiny_model.ANSWER == "".join(tokens)
    assert len(tokens) > 1
    assert reply.usage["total_tokens"] == sum(
        reply.usage[f"{part}_tokens"] for part in ("prompt", "completion")
    )
    assert model.generate(PROMPT).text == reply.text


def test_a_reader_who_has_enough_ends_the_answer(folder: Path) -> None:
    model, tokens = open_model(f"hf:{folder}", environ={}), list[str]()

    def read(token: str) -> None:
        tokens.append(token)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.generate(PROMPT, on_token=read)
    assert len(tokens) == 1
    assert model.generate(PROMPT).text == tiny_model.ANSWER


def test_images_are_told_in_words(folder: Path) -> None:
    picture = Image("tower.png", "image/png", b"")
    reply = open_model(f"hf:{folder}", environ={}).generate([replace(PROMPT[0], images=(picture,))])
    assert reply.text == tiny_model.ANSWER
    assert "takes no images" in reply.notes[0]


def test_the_answer_ends_at_the_limit(folder: Path) -> None:
    model = open_model(f"hf:{folder}", ModelOptions(max_tokens=2), environ={})
    reply = model.generate(PROMPT)
    assert reply.text.split() == tiny_model.ANSWER.split()[:2]
    assert "is cut off" in reply.notes[0]


def test_samples_with_a_temperature(folder: Path) -> None:
    model = open_model(f"hf:{folder}", ModelOptions(temperature=0.01), environ={})
    assert model.generate(PROMPT).text == tiny_model.ANSWER


def test_an_adapter_changes_the_answer(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    adapter = tiny_model.teach_adapter(folder, tmp_path / "lora", "in the")
    model = open_model(f"hf:{folder}?adapter={adapter}", environ={})
    assert model.generate(PROMPT).text == "in the"


def test_an_adapter_may_lie_in_a_folder_of_any_name(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    adapter = tiny_model.teach_adapter(folder, tmp_path / "lo+ra & 5%41 适配", "in the")
    spec = with_adapter(f"hf:{folder}?trust_remote_code=0", adapter)
    assert parted(spec) == (str(folder), str(adapter), False)
    assert open_model(spec, environ={}).generate(PROMPT).text == "in the"


def test_an_adapter_of_a_deeper_model_is_refused(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    deeper = tiny_model.build(tmp_path / "deeper", steps=1, layers=3)
    adapter = tiny_model.teach_adapter(deeper, tmp_path / "lora", "in the", steps=1)
    with pytest.raises(NotConfigured, match=r"the adapter in .* is for another model") as caught:
        open_model(f"hf:{folder}?adapter={adapter}", environ={}).generate(PROMPT)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_a_model_of_another_width_is_refused(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    adapter = tiny_model.teach_adapter(folder, tmp_path / "lora", "in the", steps=1)
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace('"r": 8', '"r": 4'), "utf-8")
    with pytest.raises(NotConfigured, match=r"the adapter in .* is for another model"):
        open_model(f"hf:{folder}?adapter={adapter}", environ={}).generate(PROMPT)


def test_a_prompt_beyond_the_context_is_told(folder: Path) -> None:
    long = [Message("user", "tower " * 300)]
    with pytest.raises(BadRequest, match=r"takes 256: lower prompt_tokens"):
        open_model(f"hf:{folder}", environ={}).generate(long)


def test_an_answer_that_takes_too_long_ends(folder: Path) -> None:
    model = open_model(f"hf:{folder}", ModelOptions(timeout=1e-9), environ={})
    with pytest.raises(TimedOut, match="did not finish"):
        model.generate(PROMPT)


def test_a_model_without_a_chat_template_is_told(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BadRequest, match="no chat template"):
        open_model(f"hf:{bare}", environ={}).generate(PROMPT)


@pytest.mark.parametrize("spec", ["hf:./nowhere", "hf:some/model?adapter=./nowhere"])
def test_a_folder_that_is_not_there_is_told(spec: str) -> None:
    with pytest.raises(BadRequest, match=r"there is no folder .*nowhere"):
        open_model(spec, environ={})


def test_an_unknown_parameter_is_told() -> None:
    with pytest.raises(BadRequest, match=r"'lora'.*adapter and trust_remote_code"):
        open_model("hf:some/model?lora=x", environ={})


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="cannot be loaded"):
        open_model(f"hf:{tmp_path}", environ={}).generate(PROMPT)


def test_a_hub_name_that_is_not_here_is_told_offline() -> None:
    with pytest.raises(NotConfigured, match="`hf download nobody/no-such-model`"):
        open_model("hf:nobody/no-such-model", environ={}).generate(PROMPT)
