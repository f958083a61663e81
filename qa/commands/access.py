"""`kbqa access`: the keys of `kbqa serve`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.errors import BadRequest
from qa.command import Json, app, print_json, say
from qa.settings import Settings, load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.server.database import Database
    from qa.server.keys import Key, Keys

access = typer.Typer(
    help="Keys of those who may use `kbqa serve`.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(access, name="access")

ROLES = ("reader", "editor", "admin")


@access.command()
def create(
    role: Annotated[str, typer.Option(help="reader, editor or admin.")],
    kb: Annotated[
        list[str] | None,
        typer.Option("--kb", help="Only for this base; may be repeated; default: for all."),
    ] = None,
    note: Annotated[str, typer.Option(help="Whose it is.")] = "",
    json_: Json = False,
) -> None:
    """Make a key and show it, this once: only its hash is kept."""
    if role not in ROLES:
        raise BadRequest(f"--role {role}: there are {', '.join(ROLES)}")
    from qa.server.bases import Bases, require_name
    from qa.server.keys import Keys, Role

    for name in kb or ():
        require_name(name)
    with _database() as (settings, database):
        known = Bases(settings, database).names()
        key, text = Keys(database).create(Role(role), kb or (), note)
    for name in sorted({*(kb or ())} - {*known}):
        say(f"there is no knowledge base '{name}' yet; the key is for it once there is")
    if json_:
        print_json({"id": key.id, "key": text, "role": role, "kb": kb or []})
        return
    print(text)
    scope = ", ".join(kb or ()) or "all bases"
    say(f"a key with the role {role} for {scope}; `kbqa access revoke {key.id}`")


@access.command("list")
def list_(json_: Json = False) -> None:
    """List the keys: id, role, bases; the keys themselves are not kept."""
    with _keys() as keys:
        known = keys.list()
    if json_:
        print_json({"keys": [_shown(key) for key in known]})
        return
    for key in known:
        day = time.strftime("%Y-%m-%d", time.localtime(key.created))
        scope = ", ".join(sorted(key.bases)) if key.bases else "all bases"
        print(f"{key.id}  {key.role:<6}  {day}  {scope}{'  ' if key.note else ''}{key.note}")


@access.command()
def revoke(id_: Annotated[str, typer.Argument(metavar="ID")], json_: Json = False) -> None:
    """Make a key worthless, from the next request on, and forget its conversations."""
    from qa.conversation import Conversations
    from qa.server.keys import Keys

    with _database() as (settings, database):
        Keys(database).revoke(id_)
    Conversations(settings.data_dir / ".server" / "conversations.db").forget_of(id_)
    if json_:
        print_json({"revoked": id_})
    else:
        print(f"{id_} revoked")


def _shown(key: Key) -> dict[str, object]:
    bases = sorted(key.bases or ())
    return {"id": key.id, "role": key.role.value, "kb": bases, "note": key.note,
            "created": key.created}  # fmt: skip


@contextmanager
def _keys() -> Iterator[Keys]:
    from qa.server.keys import Keys

    with _database() as (_, database):
        yield Keys(database)


@contextmanager
def _database() -> Iterator[tuple[Settings, Database]]:
    from contextlib import closing

    from qa.server.database import Database

    settings = load_settings()
    with closing(Database(settings.data_dir / ".server")) as database:
        yield settings, database
