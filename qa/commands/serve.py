"""`kbqa serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qa.command import Quiet, app, say
from qa.settings import load_settings


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to bind; any but this machine needs keys.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: a free one.")] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that clients may have ingested; may be repeated."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name that it is called by; may be repeated."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Serve the knowledge bases over HTTP until Ctrl-C.

    On 127.0.0.1 without a key; anywhere else, and as soon as there are keys (`kbqa access`), every
    request needs one.
    """
    from qa.server.running import serve as run

    settings = load_settings(
        serve_host=host,
        serve_port=port,
        serve_folders=folder or None,
        serve_names=name or None,
    )
    is_silent = quiet and settings.serve_port != 0  # a free port is known from here only
    run(
        settings,
        on_start=lambda url: None if is_silent else say(f"kbqa serves {url}; Ctrl-C ends it"),
    )
