"""Grounded questions and answers, in exactly the form in which the chain asks a model.

The prompt of an example is what `KnowledgeBase.before_model` makes of its question: the base's own
search, its templates, its fences. The answer is the sentence that answers, with the number of the
source it stands in; or, where the document that answers was left out of the search, a refusal.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import BadRequest, StorageError
from qa.citing.marks import NO_ANSWER
from qa.evaluation.generating import generate
from qa.evaluation.questions import Question
from qa.evaluation.targets import holds_answer
from qa.language import language_of
from qa.sentences import sentences
from qa.tuning.labelled import resolved
from qa.tuning.pairs import HELD_OUT, is_telling
from qa.turn import Message, Turn
from retrieval.conditions import Match, Not

if TYPE_CHECKING:
    from qa.knowledge_base import KnowledgeBase
    from qa.models import ChatModel

LEAST = 20  # examples to learn from
REFUSAL_EVERY = 5  # examples
_MARKUP = re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)])[ \t]+|\*\*|__|`")
_STOP = re.compile(r"[.。!！?？]+$")


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the answer to it. `question` is what it was made from."""

    prompt: tuple[Message, ...]
    answer: str
    question: Question

    @property
    def refuses(self) -> bool:
        """Whether the sources do not hold the answer."""
        return self.answer == NO_ANSWER

    @property
    def row(self) -> dict[str, Any]:
        """A line of the chat form that hosted fine-tuning takes."""
        messages = [*self.prompt, Message("assistant", self.answer)]
        return {"messages": [{"role": one.role, "content": one.content} for one in messages]}


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples to learn from, and those of documents that are held out."""

    training: tuple[Example, ...]
    held_out: tuple[Example, ...]


def examples(
    kb: KnowledgeBase,
    count: int,
    *,
    questions: Iterable[Question] = (),
    model: ChatModel | None = None,
    seed: int = 0,
) -> Examples:
    """At most `count` examples: of `questions`, then of questions made from the documents (by
    `model`, if there is one). Raises BadRequest where there are too few."""
    chance = random.Random(seed)
    asked = resolved(questions, (record.uri for record in kb.documents()))
    made = [*asked, *generate(kb, count, model=model, seed=seed)][:count]
    chance.shuffle(made)
    found = [
        example
        for number, question in enumerate(made)
        if (example := _example(kb, question, refuse=number % REFUSAL_EVERY == 0))
    ]
    parts: dict[bool, list[Example]] = {True: [], False: []}
    for example in found:
        parts[_is_held_out(example.question, seed)].append(example)
    if len(parts[False]) < LEAST or not parts[True]:
        cure = "a higher --count" if len(made) == count else "--generate, which asks an LLM"
        raise BadRequest(
            f"{kb.location} is too small to learn from: it gives {len(parts[False])} questions "
            f"with an answer, and at least {LEAST} are needed; {cure} may give more"
        )
    return Examples(tuple(parts[False]), tuple(parts[True]))


def write_chat(found: Sequence[Example], target: Path) -> None:
    """The examples as JSON Lines of messages. Raises BadRequest if the file is there already."""
    if target.exists():
        raise BadRequest(f"{target} exists already: name another file")
    temporary = target.with_name(f".{target.name}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            for example in found:
                file.write(f"{json.dumps(example.row, ensure_ascii=False)}\n")
        temporary.replace(target)
    except OSError as exc:
        raise StorageError(f"cannot write {target}: {exc.strerror or exc}") from exc
    finally:
        temporary.unlink(missing_ok=True)


def _is_held_out(question: Question, seed: int) -> bool:
    said = f"{seed} {next(iter(question.documents), question.text)}"
    digest = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") < HELD_OUT * 2**32


def _example(kb: KnowledgeBase, question: Question, *, refuse: bool) -> Example | None:
    """None for a question whose answer the search does not find, or finds where it should not."""
    if question.unanswerable or refuse:
        return _refusal(kb, question)
    turn = kb.before_model(question.text)
    answers = list(_answers(question, turn)) if turn else []
    return Example(turn.prompt, answers[0], question) if turn and answers else None


def _refusal(kb: KnowledgeBase, question: Question) -> Example | None:
    without = Not(Match("uri", tuple(question.documents))) if question.documents else None
    turn = kb.before_model(question.text, filters=without)
    if turn is None or any(_answers(question, turn)):
        return None
    return Example(turn.prompt, NO_ANSWER, question)


def _answers(question: Question, turn: Turn) -> Iterator[str]:
    """What the sources of a turn say to it, each with the number of its source."""
    for number, hit in enumerate(turn.hits, 1):
        if question.documents and hit.uri not in question.documents:
            wanted: Sequence[str] = question.answers
        else:
            quoted = [span for span in question.spans if isinstance(span, str)]
            wanted = [*question.answers, *quoted]
        text = hit.chunk.kept_text
        for start, end in sentences(text):
            sentence = " ".join(text[start:end].split())
            if not is_telling(sentence) or sentence.startswith("|"):  # no answer by itself
                continue
            whole = any(holds_answer(quote, [sentence]) for quote in wanted)
            if whole or holds_answer(sentence, wanted):
                yield _cited(sentence, number)


def _cited(sentence: str, number: int) -> str:
    plain = _MARKUP.sub("", sentence).strip()
    stop = "。" if language_of(plain) == "zh" else "."
    return f"{_STOP.sub('', plain)} [{number}]{stop}"
