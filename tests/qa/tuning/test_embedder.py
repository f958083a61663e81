"""A base teaches its embedder: on a tiny model, since the real one takes seconds a step."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.documents import Document
from ingest.errors import BadRequest, StorageError
from qa.evaluation.questions import Question
from qa.evaluation.statistics import Difference
from qa.knowledge_base import KnowledgeBase
from qa.settings import Settings, load_settings
from qa.transfer import import_base
from qa.tuning import embedder as tuning
from qa.tuning import judging, training
from qa.tuning.judging import Judgement
from tests.qa.command_line import Kbqa
from tests.retrieval.qdrant_over_http import QdrantOverHttp
from tests.tiny_embedder import build

pytestmark = pytest.mark.torch

THINGS = ["pump", "seal", "valve", "motor", "filter", "gauge", "hose", "tank", "switch", "fan"]
PLACES = ["Rotterdam", "Lisbon", "Oslo", "Graz", "Turin", "Leeds", "Porto", "Malmo", "Ghent"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"st:{build(tmp_path_factory.mktemp('tiny'))}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_QUESTIONS", 15)
    monkeypatch.setattr(judging, "ASKED", 45)
    monkeypatch.setattr(judging, "MOST_PASSAGES", 60)
    monkeypatch.setattr(tuning, "COMPARED", 20)
    monkeypatch.setattr(training, "EPOCHS", 3)


def documents(count: int = 160) -> list[Document]:
    """Of three sentences each."""
    chance = random.Random(0)
    found = []
    for number in range(count):
        place, (one, two, three) = PLACES[number % len(PLACES)], chance.sample(THINGS, 3)
        text = (
            f"The {one} of plant {number} in {place} is changed every {number + 3} months. "
            f"Its {two} was bought in {1900 + number} from a firm in {place}. "
            f"When the {three} of plant {number} fails, call the workshop at once."
        )
        found.append(Document.from_text(text, uri=f"plants/{number}.md", title=f"Plant {number}"))
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", kb="plants")


@pytest.fixture
def base(settings: Settings, tiny: str) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(embedder=tiny, settings=settings) as base:
        base.ingest_documents(documents())
        yield base


def test_it_learns_is_judged_adopted_carried_along_and_taken_back(
    base: KnowledgeBase,
    settings: Settings,
    tiny: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Judgement, "is_better", True)  # whatever random weights learn
    asked = Question("1", "Who is called when things fail?", documents={"plants/3.md": 1})
    found = tuning.prospect(base, settings, questions=[asked])
    assert found.base == tiny
    assert found.split.kinds["sentence"] > 50
    assert found.split.kinds["labelled"] >= 1
    stages: list[str] = []
    done = tuning.tune(
        base, found, settings, minutes=2, on_stage=lambda what, *_: stages.append(what)
    )
    assert done.trained.steps > 3
    assert done.trained.last_loss < done.trained.first_loss
    assert any(stage.startswith("step ") for stage in stages)
    assert 10 <= done.judgement.questions <= 90
    name = f"{tiny}+{done.adapter.tag}"
    assert base.status().embedder == name
    hits = base.search("Where was the seal bought?", 5)
    assert len(hits) == 5
    assert not (Path(base.location) / tuning.FOLDER).exists()
    base.export(tmp_path / "plants.kbqa")
    base.close()

    copy = settings.model_copy(update={"kb": "copy"})
    import_base(tmp_path / "plants.kbqa", copy)
    for known in (settings, copy, settings.model_copy(update={"embedder": tiny})):
        with KnowledgeBase.open(settings=known, create=False) as again:
            assert again.status().embedder == name
            assert again.search("Where was the seal bought?", 5) == hits
    with (
        KnowledgeBase.open(settings=copy) as again,
        pytest.raises(BadRequest, match=f"no earlier version .*`kbqa reembed --embedder {tiny}`"),
    ):
        again.rollback()
    with KnowledgeBase.open(settings=settings) as again:
        again.ingest_documents([*documents(), Document.from_text("A new hose.", uri="new.md")])
        assert again.search("new hose", 1)[0].uri == "new.md"
        again.rollback()
        assert again.status().embedder == tiny
        assert np.allclose(np.linalg.norm(again.embedder.embed(["hose"]), axis=1), 1, atol=1e-3)


def test_a_base_on_a_server_is_tuned_too(
    settings: Settings, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Judgement, "is_better", True)
    with QdrantOverHttp() as server:
        place = f"{server.url}/plants"
        with KnowledgeBase.open(place, embedder=tiny, settings=settings) as base:
            base.ingest_documents(documents())
            found = tuning.prospect(base, settings)
            done = tuning.tune(base, found, settings, minutes=0.02)
            hits = base.search("Where was the seal bought?", 3)
        with KnowledgeBase.open(place, settings=settings) as again:
            assert again.status().embedder == f"{tiny}+{done.adapter.tag}"
            assert again.search("Where was the seal bought?", 3) == hits
            again.rollback()
            assert again.status().embedder == tiny
    assert not list((settings.data_dir / f".{tuning.FOLDER}").iterdir())


class Killed(Exception):
    """The process would have died here."""


def test_killed_it_goes_on_and_changed_documents_begin_anew(
    base: KnowledgeBase, settings: Settings, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "WRITE_EVERY", 0.0)
    found = tuning.prospect(base, settings)
    assert tuning.interrupted(base, settings) == ""

    def die(what: str, *_: Any) -> None:
        if what.startswith("step 4"):
            raise Killed

    with pytest.raises(Killed):
        tuning.tune(base, found, settings, minutes=1, on_stage=die)
    assert base.status().embedder == tiny
    assert tuning.interrupted(base, settings) == "resumes"
    assert tuning.interrupted(base, settings, seed=1) == "outdated"
    asked = Question("1", "Who is called when things fail?", documents={"plants/3.md": 1})
    more = tuning.prospect(base, settings, questions=[asked])
    assert tuning.interrupted(base, settings, found=found) == "resumes"
    assert tuning.interrupted(base, settings, found=more) == "outdated"
    steps: list[str] = []

    def see(what: str, *_: Any) -> None:
        if what.startswith("step"):
            steps.append(what.split(",")[0])
            raise Killed

    with pytest.raises(Killed):
        tuning.tune(base, found, settings, minutes=1, on_stage=see)
    assert steps == ["step 4"]  # the fourth had not been written
    base.ingest_documents([*documents(), Document.from_text("A new hose.", uri="new.md")])
    assert tuning.interrupted(base, settings) == "outdated"
    with pytest.raises(Killed):
        tuning.tune(base, found, settings, minutes=1, on_stage=see)
    assert steps[1:] == ["step 1"]


def test_interrupted_by_the_user_it_goes_on_with_the_next_step(
    base: KnowledgeBase, settings: Settings
) -> None:
    found = tuning.prospect(base, settings)
    steps: list[str] = []

    def stop(what: str, *_: Any) -> None:
        if what.startswith("step"):
            steps.append(what.split(",")[0])
            if what.startswith("step 2") or len(steps) > 2:
                raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tuning.tune(base, found, settings, minutes=1, on_stage=stop)
    assert steps == ["step 1", "step 2", "step 3"]


def test_labelled_questions_may_name_nothing_in_the_base(
    base: KnowledgeBase, settings: Settings, kbqa: Kbqa, tmp_path: Path
) -> None:
    base.close()
    lines = [
        {"question": "Who is called when things fail?", "document": f"./{name}"}
        for name in ("plants/3.md", "plants/gone.md")
    ] + [{"question": "Who is the king?", "document": "gone.md"}]
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    ran = kbqa("tune", "embedder", "--dry-run", "--questions", file, "--kb", base.location)
    assert f"1 questions of {file} name no passage of " in ran.err
    assert " labelled" in ran.out


def test_the_training_takes_a_step_where_all_time_is_spent_before(
    base: KnowledgeBase, settings: Settings
) -> None:
    found = tuning.prospect(base, settings)
    assert tuning.tune(base, found, settings, minutes=1e-6).trained.steps == 1


def test_no_room_for_what_was_learned_is_one_line(
    base: KnowledgeBase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "WRITE_EVERY", 0.0)
    found = tuning.prospect(base, settings)
    folder = Path(base.location) / tuning.FOLDER
    (folder / training.CHECKPOINT).with_suffix(".part").mkdir(parents=True)  # cannot be written
    with pytest.raises(StorageError, match="cannot write") as caught:
        tuning.tune(base, found, settings, minutes=1)
    assert "\n" not in str(caught.value)


def difference(gain: float, p: float) -> Difference:
    return Difference("", 0.5, 0.5 + gain, gain, 0, 0, p, 0, 0, 100)


NO_CHANGE = (0.0, 1.0)


@pytest.mark.parametrize(
    ("dense", "hybrid", "better"),
    [
        (NO_CHANGE, (0.006, 0.5), True),
        (NO_CHANGE, (0.004, 0.5), False),
        (NO_CHANGE, (0.004, 0.01), True),
        (NO_CHANGE, NO_CHANGE, False),
        ((0.05, 0.01), NO_CHANGE, True),
        ((0.05, 0.01), (-0.004, 0.5), True),
        ((0.05, 0.01), (-0.006, 0.5), False),
        ((0.05, 0.01), (-0.004, 0.01), False),
        ((0.004, 0.01), (0.001, 0.9), True),
        ((0.004, 0.5), (0.001, 0.9), False),
        ((-0.05, 0.01), (0.006, 0.01), True),
    ],
)
def test_only_a_gain_is_adopted(
    dense: tuple[float, float], hybrid: tuple[float, float], better: bool
) -> None:
    judged = Judgement(100, 100, difference(*dense), difference(*hybrid))
    assert judged.is_better is better


def test_a_base_too_small_and_an_embedder_elsewhere_are_refused(
    settings: Settings, tiny: str
) -> None:
    with KnowledgeBase.open(embedder=tiny, settings=settings) as base:
        base.ingest_documents(documents(5))
        with pytest.raises(BadRequest, match=r"is too small to learn from: it gives \d+ pairs"):
            tuning.prospect(base, settings)
    with pytest.raises(BadRequest, match="cannot be tuned: its weights are not on this machine"):
        training.trainable("openai:text-embedding-3-small")


def test_the_command_shows_what_it_would_learn_and_keeps_nothing_that_is_no_better(
    base: KnowledgeBase,
    settings: Settings,
    tiny: str,
    kbqa: Kbqa,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Judgement, "is_better", False)
    dropped: list[Path] = []
    monkeypatch.setattr(tuning, "drop_graph", lambda folder, adapter: dropped.append(folder))
    before = base.search("Where was the seal bought?", 5)
    base.close()
    where = ("--kb", base.location)
    plain = kbqa("tune", "embedder", "--dry-run", *where)
    assert plain.code == 0, plain.err
    assert plain.out.count("\n[") == 10
    assert re.search(r"about \d+\.\d minutes: 10 of training at most, ", plain.out)
    shown = kbqa("tune", "embedder", "--dry-run", "--json", *where).json
    assert (shown["embedder"], len(shown["sample"])) == (tiny, 10)
    ran = kbqa("tune", "embedder", "--json", "--minutes", "0.02", *where)
    assert ran.code == 0, ran.err
    assert ran.json["adopted"] is False
    assert ran.json["embedder"] == tiny
    assert ran.json["questions"] == shown["held_out"]
    assert dropped == [settings.cache_dir]
    hybrid = ran.json["hybrid"]
    assert hybrid["difference"] == pytest.approx(hybrid["after"] - hybrid["before"], abs=2e-4)
    assert kbqa("tune", "--rollback", *where).code == 2
    with KnowledgeBase.open(settings=settings) as again:
        assert again.status().embedder == tiny
        assert again.search("Where was the seal bought?", 5) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tune"], "kbqa tune embedder"),
        (["tune", "--rollback"], "has not been tuned"),
        (["tune", "--rollback", "embedder"], "stands alone"),
        (["tune", "embedder", "--minutes", "0"], "--minutes 0"),
        (["tune", "embedder", "--minutes", "1e5"], "below 100,000"),
        (["tune", "embedder", "--seed", "-1"], "--seed"),
        (["tune", "--quiet", "embedder"], "behind the command: kbqa tune embedder"),
        (["tune", "--kb", "a", "model"], "behind the command: kbqa tune model"),
        (["tune", "embedder", "--questions", "nothing.jsonl"], "no such file"),
        (["tune", "embedder", "--generate"], "needs an LLM"),
        (["tune", "embedder"], "too small"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, kbqa: Kbqa, base_folder: Path
) -> None:
    named: list[str | Path] = ["--kb", base_folder] if arguments != ["tune"] else []
    ran = kbqa(*arguments, *named)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
