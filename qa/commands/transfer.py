"""The commands `kbqa export` and `kbqa import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa.command import Json, Kb, app, print_json
from qa.settings import load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.transfer import Transferred


@app.command("export")
def export_(
    file: Annotated[Path, typer.Argument(help="File to write; must not exist.")],
    kb: Kb = None,
    json_: Json = False,
) -> None:
    """Write the knowledge base to one file: texts, vectors, ledger, prompts, with checksums."""
    from qa.command_base import opened, until_the_end

    with until_the_end(opened(load_settings(kb=kb))) as base:
        _tell(base.export(file), "exported to", file, json_)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `kbqa export` wrote.")],
    kb: Kb = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the base that is there.")
    ] = False,
    json_: Json = False,
) -> None:
    """Make a knowledge base out of a file of `kbqa export`; nothing is embedded anew."""
    from qa.command_base import require_local
    from qa.transfer import import_base

    settings = load_settings(kb=kb)
    require_local(settings, "import")
    _tell(import_base(file, settings, replace=replace), "imported from", file, json_)


def _tell(done: Transferred, how: str, file: Path, json_: bool) -> None:
    if json_:
        print_json({"points": done.points, "chunks": done.chunks, "bytes": done.size})
    else:
        print(f"{done.chunks} chunks {how} {file} ({done.size / 1e6:.1f} MB)")
