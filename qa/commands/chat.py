"""`kbqa chat`: questions in a row, at a terminal or from a pipe."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.errors import BadRequest, KbqaError
from qa.command import Filter, Json, Kb, Quiet, app, condition_of, exit_code, print_json, say, utf8
from qa.commands.ask import BaseUrl, Model, keep_last
from qa.settings import Settings, load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from prompt_toolkit.history import History

    from qa.chat import Chat, Output
    from qa.conversation import Conversations, Summary
    from qa.kept import Exchange
    from qa.passages import Passage
    from qa.turn import Answer

PROMPT = "> "


@app.command()
def chat(
    id_: Annotated[
        str,
        typer.Argument(metavar="[ID]", help="Which conversation, for --resume and --delete."),
    ] = "last",
    kb: Kb = None,
    model: Model = None,
    base_url: BaseUrl = None,
    filters: Filter = None,
    resume: Annotated[bool, typer.Option("--resume", "-r", help="Go on with ID.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the conversations.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Forget the conversation ID.")] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask questions that follow each other. /help lists its commands.

    Ctrl-C stops an answer, Ctrl-D ends the chat. From a pipe each line is a question or a command;
    --json prints one event a line. Conversations are kept in `state_dir`.
    """
    from qa.chat import Chat
    from qa.command_base import opened_to_ask
    from qa.conversation import Conversations
    from qa.knowledge_base import KnowledgeBase

    settings = load_settings(kb=kb, model=model, base_url=base_url)
    kept = Conversations(settings.state_dir / "conversations.sqlite")
    if id_ != "last" and not (resume or delete):
        raise BadRequest(f"'{id_}': name a conversation with --resume or --delete")
    if delete and id_ == "last":
        raise BadRequest("--delete: name the conversation; `kbqa chat --list` lists them")
    with opened_to_ask(settings, model, base_url) as base:
        if list_ or delete:
            _manage(kept, base.location, id_ if delete else "", json_)
            return
        if not isinstance(base, KnowledgeBase):
            base.status()  # tells now that no server answers, not after the first question
        at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not json_
        output: Output = _Events() if json_ else _Text(stream=sys.stdout.isatty(), quiet=quiet)
        chatting = Chat(
            base,
            kept,
            output,
            model=", ".join(settings.model),
            keep=partial(keep_last, base.location, settings=settings),
            filters=condition_of(filters),
            conversation=kept.load(utf8(id_), base.location) if resume else None,
        )
        if not at_terminal:
            raise typer.Exit(_take(chatting, output, sys.stdin))
        if not quiet:
            said = len(chatting.conversation.exchanges)
            so_far = f", {said} questions so far" if said else ""
            say(f"{base.location}{so_far}: ask a question; /help lists commands, Ctrl-D ends")
        _take(chatting, output, _typed(settings), on_interrupt=output.stopped)


def _manage(kept: Conversations, location: str, delete: str, json_: bool) -> None:
    if delete:
        kept.delete(delete, location)
    found = kept.list(location)
    if json_:
        print_json({"conversations": [asdict(summary) for summary in found]})
        return
    for summary in found:
        print(_line(summary))


def _line(summary: Summary) -> str:
    changed = datetime.fromtimestamp(summary.changed).strftime("%Y-%m-%d %H:%M")
    return f"{summary.id}  {changed}  {summary.exchanges:>3}  {summary.title}"


def _take(
    chatting: Chat,
    output: Output,
    lines: Iterable[str],
    on_interrupt: Callable[[], None] | None = None,
) -> int:
    """Take lines until they end; the exit code is that of the first that failed.

    Ctrl-C goes on with the next line where there is `on_interrupt`.
    """
    if on_interrupt:  # even if a script in the background, where Ctrl-C is ignored, started us
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    for line in lines:
        try:
            chatting.take(line)
        except KeyboardInterrupt:
            if on_interrupt is None:
                raise
            on_interrupt()
        except KbqaError as exc:
            code = code or exit_code(exc)
            output.error(exc)
        if chatting.done:
            break
    return code


def _typed(settings: Settings) -> Iterator[str]:
    """Lines as they are typed, with editing, history and completion; Ctrl-C clears a line."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    from qa.chat import COMMANDS

    names = [command.partition(" ")[0] for command in COMMANDS]
    session: PromptSession[str] = PromptSession(
        history=_history(settings.state_dir / "chat-history"),
        completer=WordCompleter(names, sentence=True),
        complete_while_typing=False,
    )
    while True:
        try:
            yield session.prompt(PROMPT)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history(path: Path) -> History:
    """The lines typed before, in a file of its owner's; none where it cannot be used."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from qa.kept import private_folder

    try:
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as exc:
        say(f"lines typed are not kept: cannot use {path}: {exc.strerror or exc}")
        return InMemoryHistory()
    return FileHistory(path)


class _Text:
    """For people: answers on stdout, all else that they need not keep on stderr."""

    def __init__(self, *, stream: bool, quiet: bool) -> None:
        self._quiet = quiet
        self._streaming = False  # an answer whose end has not been shown
        self.on_token: Callable[[str], None] | None = self._token if stream else None

    def _token(self, token: str) -> None:
        self._streaming = True
        print(token, end="", flush=True)

    def answer(self, exchange: Exchange, conversation: str) -> None:
        """The text where it has not been streamed, and what it rests on."""
        from qa.rendering import remarks, show_nearest

        answer, self._streaming = exchange.answer, False
        print("" if self.on_token else answer.text)
        for note in () if self._quiet else remarks(answer):
            say(note)
        if answer.abstained and not self._quiet:
            show_nearest(answer.hits)
        self.sources(answer)
        print(flush=True)

    def sources(self, answer: Answer) -> None:
        """A numbered list."""
        from qa.rendering import show_sources

        show_sources(answer)

    def passages(self, passages: Sequence[Passage]) -> None:
        """Each with what is around it."""
        from qa.rendering import show_passage

        for passage in passages:
            show_passage(passage, styled=sys.stdout.isatty())

    def message(self, *lines: str) -> None:
        """On stderr."""
        say("\n".join(lines))

    def error(self, error: KbqaError) -> None:
        """In a line of its own, on stderr."""
        if self._streaming:
            self._streaming = False
            print(flush=True)
        say(f"kbqa: {' '.join(str(error).split())}")

    def stopped(self) -> None:
        """Below what was written until then."""
        self._streaming = False
        say("\nstopped; /retry asks again")


class _Events:
    """For programs: one JSON object a line."""

    def on_token(self, token: str) -> None:
        """A piece of an answer."""
        print_json({"event": "token", "text": token}, flush=True)

    def answer(self, exchange: Exchange, conversation: str) -> None:
        """The whole answer."""
        from qa.rendering import answer_json

        about = {"event": "answer", "conversation": conversation, "question": exchange.question}
        print_json({**about, **answer_json(exchange.answer)}, flush=True)

    def sources(self, answer: Answer) -> None:
        """Citations."""
        from qa.rendering import citation_json

        cited = [citation_json(citation) for citation in answer.citations]
        print_json({"event": "sources", "citations": cited}, flush=True)

    def passages(self, passages: Sequence[Passage]) -> None:
        """Passages with what is around them."""
        print_json({"event": "passages", "passages": [asdict(p) for p in passages]}, flush=True)

    def message(self, *lines: str) -> None:
        """Lines for people."""
        print_json({"event": "message", "text": "\n".join(lines)}, flush=True)

    def error(self, error: KbqaError) -> None:
        """What went wrong with a line."""
        told = {"event": "error", "error": str(error), "exit_code": exit_code(error)}
        print_json(told, flush=True)

    def stopped(self) -> None:
        """An answer was stopped."""
        print_json({"event": "stopped"}, flush=True)
