"""The command `kbqa delete-base`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.errors import BadRequest, StorageError
from qa.command import FAILED, Json, Kb, app, print_json, say
from qa.settings import Settings, is_url, kb_folder, load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.conversation import Conversations


@app.command("delete-base")
def delete_base_(
    kb: Kb = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_: Json = False,
) -> None:
    """Remove a knowledge base, the conversations about it and the keys for it alone; your
    documents' files stay.

    There is no way back but a file of `kbqa export`.
    """
    if kb is None:
        raise BadRequest("delete-base: name the base with --kb")  # the default is no one's wish
    settings = load_settings(kb=kb)
    if not yes:
        if not sys.stdin.isatty() or json_:
            raise BadRequest(f"delete-base --kb {kb}: there is no way back; confirm with --yes")
        if not typer.confirm(f"Remove the knowledge base at {_place(settings)}?", err=True):
            say("nothing was removed")
            raise typer.Exit(FAILED)
    location = _deleted(settings)
    if json_:
        print_json({"deleted": location})
    else:
        print(f"removed the knowledge base at {location}")


def _deleted(settings: Settings) -> str:
    from qa.command_base import behind_server
    from qa.conversation import Conversations
    from qa.opening import base_exists, delete_base

    kept = Conversations(settings.state_dir / "conversations.sqlite")
    behind = behind_server(settings)
    if behind is not None:
        with behind:
            behind.delete()
            kept.forget(behind.location)
            return behind.location
    try:
        location = delete_base(settings)
    except StorageError:
        if not base_exists(settings):  # only files of it are left
            _forget(settings, kept, _place(settings))
        raise
    _forget(settings, kept, location)
    return location


def _forget(settings: Settings, kept: Conversations, location: str) -> None:
    """Conversations with a base go with it; of a named one also what a server has kept, its keys
    above all."""
    from qa.command_base import address_file

    kept.forget(location)
    if is_url(settings.kb) or not address_file(settings).parent.is_dir():
        return
    base = kb_folder(settings.kb, settings).resolve()
    if base.parent == settings.data_dir.resolve():
        from contextlib import closing

        from qa.server.app import build_service

        with closing(build_service(settings)) as service:
            service.forget_base(base.name)


def _place(settings: Settings) -> str:
    return settings.kb if is_url(settings.kb) else str(kb_folder(settings.kb, settings))
