"""The base that a command is about: here, or behind a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import BadRequest
from qa.command import ENDS_PROCESS, SERVER_URL
from qa.knowledge_base import KnowledgeBase
from qa.settings import Settings, is_url, kb_folder

if TYPE_CHECKING:
    from qa.client import RemoteKnowledgeBase


def opened(settings: Settings, *, create: bool = False) -> KnowledgeBase | RemoteKnowledgeBase:
    """The base `settings.kb`: of the server that `--url` or the setting `server_url` names; of the
    server of this machine where one runs and holds it; else opened here.

    Raises what `KnowledgeBase.open` raises, and BadRequest for a base that no server has.
    """
    behind = behind_server(settings)
    return KnowledgeBase.open(settings=settings, create=create) if behind is None else behind


@contextmanager
def until_the_end(
    base: KnowledgeBase | RemoteKnowledgeBase,
) -> Iterator[KnowledgeBase | RemoteKnowledgeBase]:
    """What a command does with `base` is the last that it does with one."""
    try:
        yield base
    finally:
        if ENDS_PROCESS.get() and isinstance(base, KnowledgeBase):
            base.leave()
        else:
            base.close()


def behind_server(settings: Settings) -> RemoteKnowledgeBase | None:
    """The base where it is one of a server, as `opened` tells; None where it is opened here."""
    named = url = SERVER_URL.get() or settings.server_url
    if url is None and not _has_place(settings.kb):
        url = _server_here(settings)
    if url is None:
        return None
    if _has_place(settings.kb):
        raise BadRequest(f"--kb {settings.kb}: a server knows its bases by name")
    from qa.client import RemoteKnowledgeBase

    key = settings.server_key.get_secret_value() if settings.server_key else ""
    location = "" if named else str(kb_folder(settings.kb, settings))
    return RemoteKnowledgeBase(url, settings.kb, key=key, location=location)


def opened_to_ask(
    settings: Settings, model: str | None, base_url: str | None
) -> KnowledgeBase | RemoteKnowledgeBase:
    """As `opened`. Raises BadRequest for a `model` or `base_url` where a server answers."""
    base = opened(settings)
    if (model or base_url) and not isinstance(base, KnowledgeBase):
        base.close()
        raise BadRequest("--model, --base-url: behind a server, its own model answers")
    return base


def local(settings: Settings, what: str = "this") -> KnowledgeBase:
    """The base, for `what` a server does not offer. Raises as `require_local`."""
    require_local(settings, what)
    return KnowledgeBase.open(settings=settings, create=False)


def require_local(settings: Settings, what: str = "this") -> None:
    """Raise BadRequest for a base behind a server, which does not offer `what`."""
    behind = behind_server(settings)
    if behind is not None:
        behind.close()
        raise BadRequest(
            f"{what} works only where the knowledge base lies, with no server that holds it: end "
            "`kbqa serve` there, and run it without --url"
        )


def address_file(settings: Settings) -> Path:
    """Where a server notes its address while it runs."""
    return settings.data_dir / ".server" / "address.json"


def _has_place(kb: str) -> bool:
    return is_url(kb) or "/" in kb or kb.startswith("~")


def _server_here(settings: Settings) -> str | None:
    """The address of the server of this data folder, if it holds the base at this moment."""
    file = address_file(settings)
    if not file.is_file() or not (kb_folder(settings.kb, settings) / "lock").is_file():
        return None
    with suppress(OSError, ValueError, KeyError):
        noted = json.loads(file.read_text("utf-8"))
        holder = json.loads((kb_folder(settings.kb, settings) / "holder.json").read_text("utf-8"))
        if holder["pid"] == noted["pid"]:
            os.kill(noted["pid"], 0)  # raises if it is gone: a killed process tidies nothing up
            return str(noted["url"])
    return None
