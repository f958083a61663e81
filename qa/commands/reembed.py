"""The command `kbqa reembed`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from ingest.errors import BadRequest
from qa.command import EmbedderOption, Json, Kb, Quiet, app, print_json, say
from qa.settings import load_settings
from qa.terminal import print
from retrieval.reembedding import Building

LINE_EVERY = 10.0  # seconds between lines of progress


@app.command()
def reembed(
    embedder: EmbedderOption = None,
    kb: Kb = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the version before.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Remove the version before, for its space.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Embed all passages anew with another embedder; the base answers from the old until then.

    Interrupted, it goes on when it is called again. The version before is kept for --rollback,
    until the next reembed or --discard.
    """
    if (embedder is not None) + rollback + discard != 1:
        raise BadRequest("reembed takes one of --embedder NAME, --rollback and --discard")
    from qa.command_base import local

    settings = load_settings(kb=kb).model_copy(update={"embedder": None})  # that of the base
    with local(settings, "reembed") as base:
        if discard:
            done = "discarded" if base.discard_versions() else "nothing to discard"
        elif rollback:
            base.rollback()
            done = "rolled back"
        else:
            base.reembed(str(embedder), on_progress=None if quiet else _lines())
            done = "embedded"
        found = base.status()
    if json_:
        print_json({"done": done, "embedder": found.embedder, "chunks": found.chunks})
        return
    print(f"{done}: {found.chunks} chunks, embedder {found.embedder}")
    if rollback and not quiet:
        say("run `kbqa ingest` for what has changed since")


def _lines() -> Callable[[Building], None]:
    last = time.monotonic()

    def show(building: Building) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            line = f"{building.done}/{building.total} documents, {building.chunks} chunks"
            say(line)

    return show
