"""What `kbqa chat` does with a line: ask it, or obey a command. Knows no terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ingest.errors import BadRequest, KbqaError, StorageError
from qa.conversation import Conversation, Conversations
from qa.kept import Exchange
from qa.knowledge_base import KnowledgeBase
from qa.passages import Passage, passages_of
from qa.rendering import citation_lines, unsupported_lines
from qa.turn import Answer
from retrieval.conditions import Condition

if TYPE_CHECKING:
    from qa.client import RemoteKnowledgeBase

COMMANDS = {
    "/sources": "what the last answer rests on",
    "/open N": "the passage of its citation N",
    "/retry": "ask the last question again",
    "/model NAME": "answer with another model; without a name: with which one now",
    "/save FILE": "write the conversation to a new Markdown file",
    "/new": "begin a new conversation",
    "/help": "this list",
    "/quit": "end; the conversation is kept (`kbqa chat --resume`)",
}


class Output(Protocol):
    """Where a chat shows things."""

    @property
    def on_token(self) -> Callable[[str], None] | None:
        """Takes an answer as it is written; None for a whole one."""
        ...

    def answer(self, exchange: Exchange, conversation: str) -> None:
        """Show an answer, or what comes after its tokens."""
        ...

    def sources(self, answer: Answer) -> None:
        """Show what an answer rests on."""
        ...

    def passages(self, passages: Sequence[Passage]) -> None:
        """Show passages in their documents."""
        ...

    def message(self, *lines: str) -> None:
        """Show lines for people."""
        ...

    def error(self, error: KbqaError) -> None:
        """Tell what went wrong with a line."""
        ...

    def stopped(self) -> None:
        """Tell that an answer was stopped."""
        ...


class Chat:
    """One `conversation` at a time with one base. `done` after `/quit`."""

    def __init__(
        self,
        base: KnowledgeBase | RemoteKnowledgeBase,
        conversations: Conversations,
        output: Output,
        *,
        model: str,
        keep: Callable[[Exchange], None],
        filters: Condition | None = None,
        conversation: Conversation | None = None,
    ) -> None:
        """`keep` gets each answer, for `kbqa open`."""
        self._base = base
        self._conversations = conversations
        self._output = output
        self._model = model if isinstance(base, KnowledgeBase) else "the model of the server"
        self._keep = keep
        self._filters = filters
        self.conversation = conversation or conversations.start(base.location)
        self._unanswered = ""  # a question that was stopped or failed
        self._obey: dict[str, Callable[[str], None]] = {
            "/sources": lambda _: self._output.sources(self._last().answer),
            "/open": self._open,
            "/retry": lambda _: self._retry(),
            "/model": self._use_model,
            "/save": self._save,
            "/new": lambda _: self._begin(),
            "/help": lambda _: self._output.message(*help_lines()),
            "/quit": lambda _: self._quit(),
        }
        self.done = False

    def take(self, line: str) -> None:
        """Ask a question or obey a command. Raises what `KnowledgeBase.ask` does, BadRequest."""
        line = line.strip()
        name, _, argument = line.partition(" ")
        if not line:
            return
        if not line.startswith("/"):
            self._ask(line)
        elif name in self._obey:
            self._obey[name](argument.strip())
        else:
            raise BadRequest(f"there is no command {name}: /help lists them")

    def _ask(self, question: str) -> None:
        self._unanswered = question
        self.conversation.ask(self._base, question, self._output.on_token, filters=self._filters)
        self._answered()

    def _retry(self) -> None:
        if self._unanswered:
            self._ask(self._unanswered)
            return
        self.conversation.ask_again(self._base, self._output.on_token, filters=self._filters)
        self._answered()

    def _answered(self) -> None:
        self._unanswered = ""
        self._keep(self._last())
        self._output.answer(self._last(), self.conversation.id)

    def _last(self) -> Exchange:
        if not self.conversation.exchanges:
            raise BadRequest("nothing has been answered in this conversation")
        return self.conversation.exchanges[-1]

    def _open(self, number: str) -> None:
        if not number.isdecimal():
            raise BadRequest(
                f"/open needs the number of a citation, such as /open 1, not '{number}'"
            )
        citations = self._last().answer.citations
        base = self._base
        self._output.passages(passages_of(int(number), citations, base.document, base.file_state))

    def _use_model(self, name: str) -> None:
        if name:
            if not isinstance(self._base, KnowledgeBase):
                raise BadRequest("/model: behind a server, its own model answers")
            self._base.use_model([spec.strip() for spec in name.split(",")])
            self._model = name
        self._output.message(f"answers come from {self._model}")

    def _save(self, file: str) -> None:
        if not file:
            raise BadRequest("/save needs the name of a file")
        path = Path(os.path.expanduser(file))  # that of Path raises for a ~name that is nobody's
        try:
            with path.open("x", encoding="utf-8") as opened:
                opened.write("\n".join(markdown_lines(self.conversation.exchanges)))
        except FileExistsError as exc:
            raise BadRequest(f"{path} exists already: /save writes new files only") from exc
        except OSError as exc:
            raise StorageError(f"cannot write {path}: {exc.strerror or exc}") from exc
        self._output.message(f"saved to {path}")

    def _begin(self) -> None:
        self.conversation = self._conversations.start(self._base.location)
        self._unanswered = ""
        self._output.message("a new conversation; the one before is kept")

    def _quit(self) -> None:
        self.done = True


def help_lines() -> Iterator[str]:
    """The commands of a chat, one a line."""
    for command, meaning in COMMANDS.items():
        yield f"{command:<12} {meaning}"


def markdown_lines(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """A conversation as Markdown."""
    for exchange in exchanges:
        answer = exchange.answer
        yield from (f"## {exchange.question}", "", answer.text, "")
        lines = [*citation_lines(answer.citations), *unsupported_lines(answer.statements)]
        yield from ("\n".join(("```text", *lines, "```", "")),) if lines else ()
