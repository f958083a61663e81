"""The knowledge bases of a server, by name. Each is opened once, by whom needs it first."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import BadRequest
from qa.knowledge_base import KnowledgeBase
from qa.opening import base_exists, delete_base
from qa.server.database import Database
from qa.server.problems import Conflict, NotFound
from qa.settings import Settings, is_url
from retrieval.edge_store import EdgeStore

NAME = r"^\w[\w.-]*$"
LONGEST_NAME, MOST_BYTES = 100, 200  # as UTF-8; file systems take 255, of which some are ours
_NAME = re.compile(NAME)


class Bases:
    """All bases of `settings.data_dir`, or, where `settings.kb` is a URL, those beside it on the
    same Qdrant server (it does not tell their names, so those made here are noted). A base that
    `settings.kb` names by its folder is among them, under the name of that folder.

    Usable from several threads. A base that could not be opened is tried again by the next one
    who needs it.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._open: dict[str, KnowledgeBase] = {}
        self._opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._closed = False
        self._remote = ""
        self._elsewhere: dict[str, str] = {}
        before, slash, name = settings.kb.rstrip("/").rpartition("/")
        if is_url(settings.kb):
            self._remote = before
            self._elsewhere = {name: settings.kb}
        elif slash:
            self._elsewhere = {name: settings.kb}

    def names(self) -> list[str]:
        """Of all bases, in order."""
        names = set(self._elsewhere)
        if self._remote:
            names |= {str(row["name"]) for row in self._database.read("SELECT name FROM bases")}
        elif self._settings.data_dir.is_dir():
            names |= {f.name for f in self._settings.data_dir.iterdir() if _is_base(f)}
        return sorted(names)

    def has(self, name: str) -> bool:
        """Whether there is that base: one that the settings name may not be made yet, or no more.

        Raises what `base_exists` raises.
        """
        made = name not in self._elsewhere or base_exists(self._settings)
        return made and name in self.names()

    def opened(self, name: str) -> KnowledgeBase | None:
        """A base that is open already."""
        return self._open.get(name)

    def all_open(self) -> list[tuple[str, KnowledgeBase]]:
        """Those in use."""
        return sorted(self._open.items())

    def open(self, name: str) -> KnowledgeBase:
        """A base. Raises NotFound, and what `KnowledgeBase.open` raises."""
        if name not in self.names():
            raise NotFound(f"there is no knowledge base '{name}'")
        return self._opened(name, create=False)

    def create(self, name: str) -> KnowledgeBase:
        """Make a base. Raises BadRequest for a name that is none, Conflict if there is one."""
        require_name(name)
        if self.has(name):
            raise Conflict(f"there is a knowledge base '{name}' already")
        base = self._opened(name, create=True)
        if self._remote:
            self._database.write("INSERT OR IGNORE INTO bases (name) VALUES (?)", name)
        return base

    @contextlib.contextmanager
    def staying(self, name: str, base: KnowledgeBase) -> Iterator[None]:
        """While it runs, `base` is the one of that name, and is not removed.

        Raises NotFound if it is not, by now.
        """
        with self._opening[name]:
            if self._open.get(name) is not base:
                raise NotFound(f"the knowledge base '{name}' was removed meanwhile")
            yield

    def delete(self, name: str) -> None:
        """Remove a base; those who ask it at this moment get Closed.

        Raises NotFound, and what `qa.opening.delete_base` raises.
        """
        if not self.has(name):
            raise NotFound(f"there is no knowledge base '{name}'")
        with self._opening[name]:
            base = self._open.pop(name, None)
            if base is not None:
                base.close()
            delete_base(self._settings.model_copy(update={"kb": self._target(name)}))
            self._database.write("DELETE FROM bases WHERE name = ?", name)

    def close(self) -> None:
        """Close all; none is opened from here on."""
        self._closed = True
        while self._open:
            _, base = self._open.popitem()
            base.close()

    def _opened(self, name: str, *, create: bool) -> KnowledgeBase:
        with self._opening[name]:
            if name not in self._open:
                if self._closed:
                    raise NotFound("the server is about to end")
                target = self._target(name)
                self._open[name] = KnowledgeBase.open(
                    target, settings=self._settings, create=create
                )
            return self._open[name]

    def _target(self, name: str) -> str:
        if name in self._elsewhere:
            return self._elsewhere[name]
        return f"{self._remote}/{name}" if self._remote else name


def require_name(name: str) -> None:
    """Raise BadRequest for what can be no name of a base."""
    if not _NAME.fullmatch(name):
        raise BadRequest(f"'{name}' is no name: letters, digits, - _ . only")
    if len(name) > LONGEST_NAME or len(name.encode()) > MOST_BYTES:
        raise BadRequest(f"'{name}' is longer than {LONGEST_NAME} letters or {MOST_BYTES} bytes")


def _is_base(folder: Path) -> bool:
    if not _NAME.match(folder.name):
        return False
    with contextlib.suppress(OSError):
        return EdgeStore.exists(folder)
    return False
