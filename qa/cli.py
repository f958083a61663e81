"""The command `kbqa`. Results to stdout, progress and messages to stderr."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from ingest.errors import KbqaError
from qa.command import (
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    SERVER_URL,
    app,
    exit_code,
    fail,
    say,
)
from qa.commands import (  # noqa: F401 (each adds its commands to `app`)
    access,
    ask,
    chat,
    delete_base,
    eval,
    ingest,
    keys,
    look,
    mcp,
    plugins,
    reembed,
    serve,
    transfer,
    tune,
    tune_model,
)
from qa.settings import unknown_variables

__all__ = ["EXIT_CODES", "app", "exit_code", "main"]


@app.callback(invoke_without_command=True)
def main_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    url: Annotated[
        str | None, typer.Option(help="Use the bases of this `kbqa serve`, not those here.")
    ] = None,
) -> None:
    """Options of every command."""
    SERVER_URL.set(url)
    for variable, near in unknown_variables().items():
        guess = f"did you mean {near}? " if near else ""
        say(f"there is no setting {variable}: {guess}`kbqa config` lists them")
    if version:
        from importlib.metadata import version as installed

        print(f"kbqa {installed('kbqa')}")
        raise typer.Exit


def main() -> None:
    """Entry point: run, and turn an error into one line and an exit code."""
    wants_json = "--json" in sys.argv
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr, sys.stdin):  # a C locale knows no Chinese
        if isinstance(stream, io.TextIOWrapper):
            errors = "replace" if stream is sys.stdin else "backslashreplace"
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer has caught Ctrl-C
            fail("interrupted; what was finished is kept", INTERRUPTED, wants_json)
        sys.exit(code if isinstance(code, int) else 0)
    except TyperException as exc:
        _fail_to_understand(exc, wants_json)
    except typer.Abort:
        fail("nothing was done: it was not confirmed", FAILED, wants_json)
    except KbqaError as exc:
        fail(str(exc), exit_code(exc), wants_json, marked=getattr(exc, "marked", ""))
    except BrokenPipeError:  # the reader, `head` say, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        fail(f"{exc.strerror or exc}{where}", FAILED, wants_json)


def _open_what_is_closed() -> None:
    """Nowhere in the place of a stream that was closed from outside, which Python has as None."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 (to the end of the process)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _fail_to_understand(exc: TyperException, wants_json: bool) -> NoReturn:
    """One line for a command line that cannot be understood; the help where there is no command."""
    message = exc.format_message()
    if "\n" in message:
        say(message)
        sys.exit(exc.exit_code)
    context = getattr(exc, "ctx", None)
    hint = f" (`{context.command_path} -h` lists what there is)" if context else ""
    fail(message.rstrip(".") + hint, exc.exit_code, wants_json)
