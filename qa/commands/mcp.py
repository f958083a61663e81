"""`kbqa mcp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from qa.command import Kb, app
from qa.settings import load_settings

if TYPE_CHECKING:
    from qa.server.mcp_tools import AnyBase


@app.command()
def mcp(kb: Kb = None) -> None:
    """Show a knowledge base to a model by the Model Context Protocol, over stdin and stdout.

    It is started by the program that holds the model; `kbqa serve` offers the same at /mcp. Where
    a server holds the base, it is asked.
    """
    import anyio

    from qa.client import RemoteKnowledgeBase
    from qa.command_base import opened, until_the_end
    from qa.server.observing import log_to_stderr

    settings = load_settings(kb=kb)
    with until_the_end(opened(settings)) as base:
        if isinstance(base, RemoteKnowledgeBase):
            base.status()  # whoever starts it is told now what is wrong, not a model later
        log_to_stderr(settings.serve_log)
        anyio.run(_serve, settings.kb.rstrip("/").rpartition("/")[2], base)
    raise typer.Exit


async def _serve(name: str, base: AnyBase) -> None:
    from mcp.server.stdio import stdio_server

    from qa.server.mcp_tools import mcp_server

    server = mcp_server(lambda ctx: _One(name, base))
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


class _One:
    """A base alone, as a `qa.server.mcp_tools.Source`."""

    def __init__(self, name: str, base: AnyBase) -> None:
        self._name, self._base = name, base

    def names(self) -> list[str]:
        """Its name."""
        return [self._name]

    async def open(self, name: str) -> AnyBase:
        """It is open."""
        return self._base
