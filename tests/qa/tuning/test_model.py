"""A chat model learns from a base: a tiny one, that knows the words of these documents."""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ingest.documents import Document
from ingest.errors import BadRequest, StorageError, Unreachable
from qa.citing.marks import NO_ANSWER
from qa.evaluation.questions import Question
from qa.hf_model import HfChatModel
from qa.knowledge_base import KnowledgeBase
from qa.settings import Settings, load_settings
from qa.tuning import model as training
from qa.tuning.examples import Examples, examples, write_chat
from tests import tiny_model
from tests.lent_embedder import LentEmbedder
from tests.qa.command_line import Kbqa

pytestmark = pytest.mark.torch

TERMS = [
    "gasket", "manifold", "ledger", "turbine", "spindle", "harness", "bracket", "coupling",
    "flange", "impeller", "louver", "mandrel", "nozzle", "orifice", "plenum", "quill", "rotor",
    "sprocket", "tappet", "valve", "winch", "yoke", "camshaft", "damper", "ejector", "ferrule",
    "grommet", "hopper", "idler", "journal", "keyway", "lanyard", "muffler", "needle", "oiler",
    "pawl", "ratchet", "shim", "trunnion", "washer",
]  # fmt: skip


def documents() -> list[Document]:
    chance = random.Random(0)
    found = []
    for number, term in enumerate(TERMS):
        metal, place = chance.choice(["steel", "brass", "copper"]), chance.choice("abcdef")
        text = (
            f"The {term} is the {metal} part in hall {place} that holds unit {number}. "
            f"Somebody looks at it once a year."
        )
        found.append(Document.from_text(text, uri=f"{term}.md", title=f"Part {number}"))
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        data_dir=tmp_path / "data", kb="parts", top_k=3, min_score=0.0, answer_tokens=24
    )


@pytest.fixture
def base(settings: Settings, embedder: LentEmbedder) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(embedder=embedder, settings=settings) as base:
        base.ingest_documents(documents())
        yield base


@pytest.fixture
def found(base: KnowledgeBase) -> Examples:
    return examples(base, 60)


def test_an_example_is_what_the_chain_asks_and_what_it_would_cite(
    base: KnowledgeBase, found: Examples
) -> None:
    every = [*found.training, *found.held_out]
    assert not {e.question.text for e in found.training} & {e.question.text for e in found.held_out}
    refusals = [example for example in every if example.refuses]
    assert 0.05 < len(refusals) / len(every) < 0.5
    for example in every:
        system, user = example.prompt
        assert (system.role, user.role) == ("system", "user")
        assert user.content.rstrip().endswith(f"Question: {example.question.text}")
        (quote,) = example.question.spans
        assert isinstance(quote, str)
        if example.refuses:
            assert example.answer == NO_ANSWER
            assert quote not in user.content
            continue
        said, number = example.answer.removesuffix(".").removesuffix("]").split(" [")
        source = user.content.split(f"[{number}] ")[1].split("\n[")[0]
        assert said in source
        asked = base.prompt(example.question.text)
        assert asked[0] == system
        assert [line for line in asked[1].content.splitlines() if ">>>" not in line
                and "<<<" not in line] == [line for line in user.content.splitlines()
                if ">>>" not in line and "<<<" not in line]  # fmt: skip


def test_labelled_questions_come_first(base: KnowledgeBase) -> None:
    asked = Question("1", "Which part holds unit 3?", documents={"turbine.md": 1},
                     answers=("the steel part", "turbine"))  # fmt: skip
    mine = examples(base, 60, questions=[asked] * 1)
    texts = [example.question.text for example in (*mine.training, *mine.held_out)]
    assert texts.count("Which part holds unit 3?") <= 1


def test_the_chat_form_is_what_hosted_tuning_takes(found: Examples, tmp_path: Path) -> None:
    write_chat(found.training, tmp_path / "chat.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len(found.training)
    for row in rows:
        assert [one["role"] for one in row["messages"]] == ["system", "user", "assistant"]
        assert all(one["content"].strip() for one in row["messages"])
    with pytest.raises(BadRequest, match="exists already"):
        write_chat(found.training, tmp_path / "chat.jsonl")


def test_the_loss_falls_the_adapter_loads_the_answer_changes(
    base: KnowledgeBase,
    settings: Settings,
    found: Examples,
    kbqa: Kbqa,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "RATE", 5e-3)  # at 2e-2 rounding decides where it ends
    monkeypatch.setattr(training, "EPOCHS", 2)
    words = {
        word
        for example in (*found.training, *found.held_out)
        for text in (*(one.content for one in example.prompt), example.answer)
        for line in text.splitlines()
        if "<<<" not in line and ">>>" not in line  # drawn anew each time, and so would its weights
        for word in line.split()
    }
    model = tiny_model.build(tmp_path / "model", steps=5, words=words, positions=1024)
    base.close()
    adapter = tmp_path / "lo+ra & 5%41"
    train, held = training.train, list[object]()

    def train_alone(*given: Any, **options: Any) -> training.TrainedModel:
        gc.collect()
        held.extend(one for one in gc.get_objects() if type(one) is HfChatModel)
        KnowledgeBase.open(settings=settings).close()  # nobody has it open
        return train(*given, **options)

    monkeypatch.setattr(training, "train", train_alone)
    monkeypatch.setenv("KBQA_TOP_K", "3")
    monkeypatch.setenv("KBQA_ANSWER_TOKENS", "24")
    ran = kbqa(
        "tune", "model", f"hf:{model}", "--out", adapter, "--kb", base.location,
        "--minutes", "3", "--count", "60", "--eval", "2", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    told = ran.json
    assert told["steps"] == 2 * len(found.training)
    assert told["loss"][1] < 0.95 * told["loss"][0]
    assert told["answers"] or "are not scored" in ran.err  # it may have nothing to say
    assert not held
    card = json.loads((adapter / "card.json").read_text("utf-8"))
    assert card["examples"] == len(found.training)
    assert {path.name for path in adapter.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "card.json",
    }  # fmt: skip
    question = found.training[0].question.text
    answers = []
    for spec in (f"hf:{model}", told["model"]):
        with KnowledgeBase.open(settings=settings, model=spec) as again:
            try:
                answers.append(again.ask(question).text)
            except Unreachable:  # it has nothing to say
                answers.append("")
    assert answers[0] != answers[1]
    (tmp_path / "empty").mkdir()
    failed = kbqa(
        "tune", "model", f"hf:{tmp_path / 'empty'}", "--out", tmp_path / "a", "--eval", "0",
        "--kb", base.location,
    )  # fmt: skip
    assert (failed.code, failed.err.count("\n")) == (3, 1)
    assert "cannot be loaded" in failed.err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".a", "a-"))]
    assert not (tmp_path / "a").exists()


def test_the_code_of_a_model_runs_only_where_the_user_trusts_it() -> None:
    assert training.place_of("hf:m?trust_remote_code=0") == ("m", False)
    assert training.place_of("hf:m?trust_remote_code=1") == ("m", True)


def test_no_room_for_the_adapter_is_one_line(tmp_path: Path) -> None:
    weights = {"a": np.zeros(3)}
    with (
        pytest.raises(StorageError, match=f"cannot write {tmp_path / 'out'}: "),
        training._written(tmp_path / "out") as folder,
    ):
        save_file(weights, folder / "gone" / "adapter_model.safetensors")  # its writer's own error
    assert not list(tmp_path.iterdir())


def test_questions_about_documents_that_are_not_there_teach_no_refusal(
    base: KnowledgeBase,
) -> None:
    asked = Question("1", "Which part holds unit 3?", documents={"gone.md": 1})
    for seed in range(5):  # every fifth question is refused
        found = examples(base, 60, questions=[asked], seed=seed)
        assert asked.text not in {one.question.text for one in (*found.training, *found.held_out)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hf:./m"], "name a local model and a folder"),
        (["openai:gpt-4o", "--out", "a"], "cannot be tuned here"),
        (["hf:./m?adapter=./a", "--out", "a"], "has an adapter already"),
        (["hf:./m", "--out", "."], "exists already"),
        (["hf:./m", "--out", "a", "--minutes", "-1"], "--minutes -1"),
        (["--export", "x.jsonl"], "too small to learn from"),
        (["--export", "gone/x.jsonl"], "--export gone/x.jsonl: there is no folder gone"),
        (["--export", "."], "it is a folder"),
        (["--dry-run", "--generate"], "needs an LLM"),
        (["--dry-run", "--count", "1"], "a higher --count may give more"),
        (["--dry-run", "--seed", "-1"], "--seed"),
        (["hf:./m?lora=1", "--out", "a"], "unknown parameter 'lora'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, kbqa: Kbqa, base_folder: Path
) -> None:
    ran = kbqa("tune", "model", *arguments, "--kb", base_folder)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
