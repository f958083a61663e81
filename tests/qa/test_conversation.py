from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import BadRequest, StorageError
from qa.conversation import Conversation, Conversations
from qa.kept import Exchange, LastAnswers, exchange_json, exchange_of
from qa.knowledge_base import KnowledgeBase
from qa.turn import Answer, Citation, Message, Statement
from tests.qa.conftest import OpenLibrary
from tests.qa.test_plugins import Model

pytestmark = pytest.mark.integration

BASE = "/bases/handbook"
QUESTION = "How many days of annual leave do I have?"


@pytest.fixture
def kept(tmp_path: Path) -> Conversations:
    return Conversations(tmp_path / "state" / "conversations.sqlite")


def exchange(question: str, text: str = "Yes [1].", asked: float = 1.0) -> Exchange:
    cited = Citation(1, "a.md", 2, 0, 3, "yes", True, "A", ("B", "C"))
    said = Statement(0, 8, "Yes.", (cited,), 0.5, True)
    answer = Answer(
        text, (cited,), (), False, "m", {"total_tokens": 3}, {"total": 0.1}, 0.2, ("n",), (said,)
    )
    return Exchange(question, answer, asked)


def test_an_exchange_is_kept_whole() -> None:
    assert exchange_of(exchange_json(exchange("Is it?"))) == exchange("Is it?")


def test_an_exchange_kept_by_an_older_kbqa_is_read() -> None:
    told = exchange_json(exchange("q"))
    del told["evidence"], told["doubtful"], told["query"]
    assert exchange_of(told) == exchange("q")


def test_doubt_is_kept() -> None:
    said = exchange("q")
    doubted = replace(said, answer=replace(said.answer, evidence=0.25, doubtful=True))
    assert exchange_of(exchange_json(doubted)) == doubted


def test_conversations_are_listed_loaded_and_forgotten(kept: Conversations) -> None:
    assert kept.list(BASE) == []
    first, second = kept.start(BASE), kept.start(BASE)
    kept.append(first.id, BASE, exchange("One\n thing?", asked=1), new=True)
    kept.append(second.id, BASE, exchange("Another?", asked=2), new=True)
    kept.append(first.id, BASE, exchange("And then?", asked=3))
    kept.append(kept.start("/other").id, "/other", exchange("Elsewhere?", asked=4), new=True)
    assert [(s.id, s.title, s.exchanges) for s in kept.list(BASE)] == [
        (first.id, "One thing?", 2),
        (second.id, "Another?", 1),
    ]
    assert kept.load("last", BASE).id == first.id
    loaded = kept.load(second.id[:6], BASE)
    assert [found.question for found in loaded.exchanges] == ["Another?"]
    kept.delete(first.id, BASE)
    assert [summary.id for summary in kept.list(BASE)] == [second.id]


def test_all_with_a_base_are_forgotten(kept: Conversations) -> None:
    ids = {base: kept.begin(base) for base in (BASE, f"{BASE}/key", f"{BASE}-2", f"{BASE}-2/key")}
    kept.append(ids[BASE], BASE, exchange("One?"))
    kept.forget(BASE)
    assert [bool(kept.list(base)) for base in ids] == [False, True, True, True]
    kept.forget_below(BASE)
    assert [bool(kept.list(base)) for base in ids] == [False, False, True, True]


def test_those_of_a_caller_are_forgotten(kept: Conversations) -> None:
    bases = ("one/ab", "two/ab", "one/cab", "one/a", "ab/one")
    for base in bases:
        kept.begin(base)
    kept.forget_of("ab")
    assert [bool(kept.list(base)) for base in bases] == [False, False, True, True, True]


def test_what_is_not_there_is_told(kept: Conversations) -> None:
    with pytest.raises(BadRequest, match=rf"no conversation with {BASE}"):
        kept.load("last", BASE)
    for number in range(2):
        kept.append(f"ab{number}", BASE, exchange("?"), new=True)
    with pytest.raises(BadRequest, match="2 conversations 'ab'"):
        kept.load("ab", BASE)


def test_an_exchange_may_take_the_place_of_the_last(kept: Conversations) -> None:
    begun = kept.begin(BASE)
    for question, instead in (("One?", False), ("Two?", False), ("Three?", True)):
        kept.append(begun, BASE, exchange(question), instead=instead)
    assert [e.question for e in kept.load(begun, BASE).exchanges] == ["One?", "Three?"]


def test_files_are_their_owners_alone(kept: Conversations, tmp_path: Path) -> None:
    kept.begin(BASE)
    answers = LastAnswers(tmp_path / "state" / "last")
    answers.keep(BASE, exchange("?"))
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*files, tmp_path / "state"])


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_text("no database at all, but a text that is long enough" * 9)
    with pytest.raises(StorageError, match=r"c\.sqlite"):
        Conversations(tmp_path / "c.sqlite").list(BASE)


def test_threads_may_write_at_once(kept: Conversations) -> None:
    def write(name: str) -> None:
        for number in range(5):
            kept.append(name, BASE, exchange(f"{number}?"))

    begun = [kept.begin(BASE), kept.begin(BASE)]
    threads = [threading.Thread(target=write, args=(begun[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(summary.exchanges for summary in kept.list(BASE)) == [10, 10]


def test_what_was_forgotten_while_it_was_asked_stays_so(kept: Conversations) -> None:
    begun = kept.begin(BASE)
    kept.forget(BASE)
    kept.append(begun, BASE, exchange("Of the base that is gone?"))
    assert kept.list(BASE) == []


def test_a_last_answer_replaces_the_one_before(tmp_path: Path) -> None:
    answers = LastAnswers(tmp_path)
    with pytest.raises(BadRequest, match="no answer of /bases/handbook is kept"):
        answers.load(BASE)
    answers.keep(BASE, exchange("One?"))
    answers.keep(BASE, exchange("Two \ud800?"))
    answers.keep("/other", exchange("Three?"))
    assert answers.load(BASE).question == "Two ??"
    assert len(list(tmp_path.iterdir())) == 2
    next(tmp_path.iterdir()).write_text("{}")
    next(reversed(list(tmp_path.iterdir()))).write_text("[1")
    for base in (BASE, "/other"):
        with pytest.raises(BadRequest, match="is kept"):
            answers.load(base)


# --- with a base ---


@pytest.fixture
def prompts() -> list[Sequence[Message]]:
    return []


@pytest.fixture
def talk(
    open_library: OpenLibrary, kept: Conversations, prompts: list[Sequence[Message]]
) -> tuple[KnowledgeBase, Conversation]:
    def answer(messages: Sequence[Message]) -> str:
        prompts.append(messages)
        return f"You have 25 days of annual leave [1]. Answer {len(prompts)}."

    base = open_library(model=Model(answer))
    return base, kept.start(base.location)


def test_a_further_question_knows_what_was_said(
    talk: tuple[KnowledgeBase, Conversation],
    kept: Conversations,
    prompts: list[Sequence[Message]],
) -> None:
    base, conversation = talk
    conversation.ask(base, QUESTION)
    answer = conversation.ask(base, "When do they expire?")
    assert [message.content for message in prompts[-1][1:3]] == [
        QUESTION,
        "You have 25 days of annual leave. Answer 1.",
    ]
    again = kept.load(conversation.id, base.location)
    assert [e.question for e in again.exchanges] == [QUESTION, "When do they expire?"]
    assert again.exchanges[-1].answer.citations == answer.citations


def test_asking_again_forgets_the_last_answer(
    talk: tuple[KnowledgeBase, Conversation],
    kept: Conversations,
    prompts: list[Sequence[Message]],
) -> None:
    base, conversation = talk
    with pytest.raises(BadRequest, match="nothing has been asked"):
        conversation.ask_again(base)
    conversation.ask(base, QUESTION)
    assert conversation.ask_again(base).text.endswith("Answer 2.")
    assert len(prompts[1]) == len(prompts[0])
    assert len(kept.load("last", base.location).exchanges) == len(conversation.exchanges) == 1


def test_what_fails_leaves_the_conversation_as_it_was(
    talk: tuple[KnowledgeBase, Conversation], kept: Conversations
) -> None:
    base, conversation = talk

    def stop(token: str) -> None:
        raise KeyboardInterrupt

    asked: list[Callable[[], Answer]] = [
        lambda: conversation.ask(base, ""),
        lambda: conversation.ask(base, QUESTION, stop),
    ]
    for ask in asked:
        with pytest.raises((BadRequest, KeyboardInterrupt)):
            ask()
    assert conversation.exchanges == ()
    assert kept.list(base.location) == []


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    talk: tuple[KnowledgeBase, Conversation], kept: Conversations, tmp_path: Path
) -> None:
    base, conversation = talk
    file = tmp_path / "state" / "conversations.sqlite"
    file.mkdir(parents=True)
    answer = conversation.ask(base, QUESTION)
    assert "25 days" in answer.text
    assert "this answer is not kept: cannot use the conversations in" in answer.notes[-1]
    file.rmdir()
    conversation.ask(base, "And when do they expire?")
    assert [e.question for e in kept.load("last", base.location).exchanges] == [
        "And when do they expire?"
    ]


def test_asking_again_what_was_not_kept_forgets_nothing_else(
    talk: tuple[KnowledgeBase, Conversation], kept: Conversations, tmp_path: Path
) -> None:
    base, conversation = talk
    file = tmp_path / "state" / "conversations.sqlite"
    conversation.ask(base, QUESTION)
    file.rename(tmp_path / "aside")
    file.mkdir()
    conversation.ask(base, "And when do they expire?")
    file.rmdir()
    (tmp_path / "aside").rename(file)
    conversation.ask_again(base)
    assert [e.question for e in kept.load(conversation.id, base.location).exchanges] == [
        QUESTION,
        "And when do they expire?",
    ]
    conversation.ask_again(base)
    assert len(kept.load(conversation.id, base.location).exchanges) == 2
