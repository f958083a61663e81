"""What the commands of `kbqa` share: the app, options, exit codes, output."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ingest.errors import (
    BadRequest,
    KbqaError,
    Locked,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)
from qa.neutral import for_json
from qa.terminal import print
from retrieval.conditions import Condition
from retrieval.filter_text import from_options

FAILED, BAD_REQUEST, PARTLY_DONE, INTERRUPTED = 1, 2, 8, 130
EXIT_CODES: dict[type[KbqaError], int] = {
    BadRequest: BAD_REQUEST,
    NotConfigured: 3,
    NotAuthorised: 4,
    Unreachable: 5,
    RateLimited: 6,
    TimedOut: 7,
    Locked: 9,
}
EXIT_CODE_HELP = (
    "Exit codes: 0 ok, 1 failed, 2 bad request, 3 not configured, 4 not authorised, 5 unreachable, "
    "6 rate-limited, 7 timed out, 8 partly done (some documents failed), 9 locked."
)

app = typer.Typer(
    name="kbqa",
    help="Answers questions from a folder of documents, in Chinese and English, each statement "
    "tied to the passage it rests on.\n\nStart with `kbqa ingest FOLDER`, then "
    '`kbqa ask "your question"`.',
    epilog=EXIT_CODE_HELP,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SERVER_URL: ContextVar[str | None] = ContextVar("SERVER_URL", default=None)
"""What `--url` before the command says."""
ENDS_PROCESS: ContextVar[bool] = ContextVar("ENDS_PROCESS", default=False)
"""Whether the process ends with the command, and what it holds may end with it."""

Kb = Annotated[
    str | None,
    typer.Option("--kb", help="Knowledge base: a name, a folder, or http://host:6333/NAME."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no hints.")]
EmbedderOption = Annotated[
    str | None, typer.Option(help="minilm, st:NAME_OR_FOLDER or openai:MODEL.")
]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", help="Such as 'path:handbook/** type:(pdf,docx) lang:zh date>=2024-01'."
    ),
]


def exit_code(error: KbqaError) -> int:
    """The exit code of an error, by the closest class in `EXIT_CODES`; 1 for all others."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return FAILED


def text_of(argument: str) -> str:
    """An argument, or what is on stdin for `-`."""
    return sys.stdin.read() if argument == "-" else utf8(argument)


def utf8(argument: str) -> str:
    """What an argument says in UTF-8, whatever the locale."""
    return os.fsencode(argument).decode("utf-8", "replace")


def condition_of(options: list[str] | None) -> Condition | None:
    """What all `--filter` options together ask for."""
    return from_options([utf8(option) for option in options or []])


def check_target(file: Path, option: str) -> None:
    """Raise BadRequest for what no file can be written to: before the work, not at its end."""
    if file.is_dir():
        raise BadRequest(f"{option} {file}: it is a folder, and a file is to be written")
    if not file.parent.is_dir():
        raise BadRequest(f"{option} {file}: there is no folder {file.parent}")


def print_json(value: Any, *, flush: bool = False) -> None:
    """One JSON object on stdout, in one line."""
    print(for_json(json.dumps(value, ensure_ascii=False)), flush=flush)


def say(message: str) -> None:
    """A line for people, on stderr."""
    print(message, file=sys.stderr)


def fail(message: str, code: int, wants_json: bool, *, marked: str = "") -> NoReturn:
    """End with one line on stderr, and an object on stdout if asked for.

    `marked` is what was wrong with a caret at the fault; it follows for people.
    """
    line = " ".join(message.split())
    with suppress(OSError):  # no one reads, or the disk is full, which may be what is told
        if wants_json:
            event = {"event": "error"} if "--stream" in sys.argv else {}
            print_json({**event, "error": line, "exit_code": code}, flush=True)
    with suppress(OSError):
        say(f"kbqa: {line}")
        if marked:
            say(marked)
    sys.exit(code)
