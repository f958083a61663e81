"""The command `kbqa`. Results to stdout, progress and messages to stderr."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from ingest.errors import KbqaError
from qa.command import EXIT_CODES, FAILED, INTERRUPTED, SERVER_URL, app, exit_code, fail
from qa.commands import (  # noqa: F401 (each adds its commands to `app`)
    access,
    ask,
    chat,
    eval,
    ingest,
    keys,
    look,
    mcp,
    plugins,
    reembed,
    serve,
)

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
    if version:
        from importlib.metadata import version as installed

        print(f"kbqa {installed('kbqa')}")
        raise typer.Exit


def main() -> None:
    """Entry point: run, and turn an error into one line and an exit code."""
    wants_json = "--json" in sys.argv
    for stream in (sys.stdout, sys.stderr, sys.stdin):  # a C locale knows no Chinese
        if isinstance(stream, io.TextIOWrapper):
            errors = "replace" if stream is sys.stdin else "backslashreplace"
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        app()
    except SystemExit as exc:
        if exc.code == INTERRUPTED:  # typer has caught Ctrl-C
            fail("interrupted; what was finished is kept", INTERRUPTED, wants_json)
        raise
    except KbqaError as exc:
        fail(str(exc), exit_code(exc), wants_json, marked=getattr(exc, "marked", ""))
    except BrokenPipeError:  # the reader, `head` say, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        fail(f"{exc.strerror or exc}{where}", FAILED, wants_json)
