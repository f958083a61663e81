"""Conversations with a base: kept in one SQLite file, several at a time, from any thread.

>>> conversation = Conversations(path).start(base.location)
>>> conversation.ask(base, "How many days of leave do I have?").text
>>> conversation.ask(base, "And after ten years?").text  # knows what was said before
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import BadRequest, StorageError
from qa.citing.marks import without_marks
from qa.kept import Exchange, exchange_json, exchange_of, private_folder
from qa.turn import Answer, Message
from retrieval.filters import Filters
from retrieval.hits import Hit

if TYPE_CHECKING:
    from qa.client import RemoteKnowledgeBase
    from qa.knowledge_base import KnowledgeBase

REMEMBERED = 10  # exchanges that a further question is asked with; a prompt takes fewer
TITLE = 60  # characters of the first question
BUSY = 10.0  # seconds to wait for another process that writes
LAST = "last"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, base TEXT NOT NULL, title TEXT NOT NULL, changed REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS exchanges (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    kept TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS exchanges_of ON exchanges(conversation);
PRAGMA user_version = 1;
"""


_OF_BASE = (
    "SELECT id, title, (SELECT count(*) FROM exchanges WHERE conversation = id), changed"
    " FROM conversations WHERE base = ?"
)
_LAST_FIRST = "ORDER BY changed DESC, id DESC"


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a list: `title` is its first question, `changed` seconds since 1970."""

    id: str
    title: str
    exchanges: int
    changed: float


class Conversations:
    """The conversations in the file at `path`, which is its owner's alone.

    Each call opens the file for itself: there is nothing to close. Raises StorageError for a file
    that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, base: str) -> Conversation:
        """A new conversation with the base at `base`; it is kept from its first exchange on."""
        return Conversation(self, base, secrets.token_hex(8), [], new=True)

    def begin(self, base: str) -> str:
        """Id of a new conversation that is kept from now on, for `load` in other calls."""
        id_ = secrets.token_hex(8)
        with self._open() as file:
            file.execute("INSERT INTO conversations VALUES (?, ?, '', ?)", (id_, base, time.time()))
        return id_

    def load(self, id_: str, base: str) -> Conversation:
        """The conversation of an id, of the beginning of one, or the `last` one with `base`.

        Raises BadRequest if there is none, or several.
        """
        with self._open() as file:
            if id_ == LAST:
                found = file.execute(f"{_OF_BASE} {_LAST_FIRST} LIMIT 1", (base,)).fetchall()
            else:  # `~` comes after all digits
                found = file.execute(
                    f"{_OF_BASE} AND id BETWEEN ? AND ? || '~'", (base, id_, id_)
                ).fetchall()
            rows = file.execute(
                "SELECT kept FROM exchanges WHERE conversation = ? ORDER BY number",
                (found[0][0] if found else "",),
            ).fetchall()
        if len(found) != 1:
            several = f"{len(found)} conversations" if found else "no conversation"
            which = "" if id_ == LAST else f" '{id_}'"
            raise BadRequest(
                f"there is {several}{which} with {base}: `kbqa chat --list` lists them"
            )
        exchanges = [exchange_of(json.loads(kept)) for (kept,) in rows]
        return Conversation(self, base, found[0][0], exchanges)

    def list(self, base: str, *, after: str = "", limit: int = -1) -> list[Summary]:
        """The conversations with the base at `base`, the last one first: all, or `limit` of those
        that come `after` the one of an id. Raises BadRequest if there is none of that id."""
        with self._open() as file:
            where, values = _OF_BASE, [base]
            if after:
                known = file.execute(f"{_OF_BASE} AND id = ?", (base, after)).fetchone()
                if known is None:
                    raise BadRequest(f"there is no conversation '{after}' with {base}")
                where, values = f"{_OF_BASE} AND (changed, id) < (?, ?)", [base, known[3], after]
            rows = file.execute(f"{where} {_LAST_FIRST} LIMIT ?", (*values, limit)).fetchall()
        return [Summary(*row) for row in rows]

    def delete(self, id_: str, base: str) -> None:
        """Forget a conversation. Raises BadRequest if there is none of that id."""
        found = self.load(id_, base)
        with self._open() as file:
            file.execute("DELETE FROM conversations WHERE id = ?", (found.id,))

    def forget(self, base: str) -> None:
        """Forget all conversations with a base."""
        with self._open() as file:
            file.execute("DELETE FROM conversations WHERE base = ?", (base,))

    def forget_below(self, prefix: str) -> None:
        """Forget all conversations with bases that are called `prefix`/something."""
        start = f"{prefix}/"
        with self._open() as file:
            file.execute(
                "DELETE FROM conversations WHERE substr(base, 1, ?) = ?", (len(start), start)
            )

    def forget_of(self, caller: str) -> None:
        """Forget all conversations with bases that are called something/`caller`."""
        end = f"/{caller}"
        with self._open() as file:
            file.execute("DELETE FROM conversations WHERE substr(base, -?) = ?", (len(end), end))

    def append(
        self,
        conversation: str,
        base: str,
        exchange: Exchange,
        *,
        new: bool = False,
        instead: bool = False,
    ) -> None:
        """Add an exchange, or put it in the place of the last one, in one transaction.

        A conversation that is not `new` may have been forgotten meanwhile, and stays so.
        """
        title = " ".join(exchange.question.split())[:TITLE]
        kept = json.dumps(exchange_json(exchange), ensure_ascii=False)
        with self._open() as file:
            if new:
                file.execute("INSERT INTO conversations VALUES (?, ?, '', 0)", (conversation, base))
            found = file.execute(
                "UPDATE conversations SET changed = ?,"
                " title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?",
                (exchange.asked, title, conversation),
            )
            if not found.rowcount:
                return
            if instead:
                file.execute(
                    "DELETE FROM exchanges WHERE number ="
                    " (SELECT max(number) FROM exchanges WHERE conversation = ?)",
                    (conversation,),
                )
            file.execute(
                "INSERT INTO exchanges (conversation, kept) VALUES (?, ?)", (conversation, kept)
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The file in a transaction of its own. Raises StorageError for what SQLite raises."""
        try:
            private_folder(self._path.parent)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self._path, timeout=BUSY)) as file, file:
                file.execute("PRAGMA foreign_keys = ON")
                if file.execute("PRAGMA user_version").fetchone() == (0,):
                    file.executescript(_SCHEMA)
                yield file
        except (sqlite3.Error, OSError) as exc:
            raise StorageError(f"cannot use the conversations in {self._path}: {exc}") from exc


class Conversation:
    """Questions and answers in a row. Usable from several threads, one question at a time."""

    def __init__(
        self,
        kept: Conversations,
        base: str,
        id_: str,
        exchanges: list[Exchange],
        *,
        new: bool = False,
    ) -> None:
        """For `Conversations`, which is what to call."""
        self.id = id_
        self._kept = kept
        self._base = base
        self._exchanges = exchanges
        self._new = new
        self._last_is_kept = True  # or there is none
        self._asking = threading.Lock()

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What was said, in order."""
        return tuple(self._exchanges)

    def ask(
        self,
        base: KnowledgeBase | RemoteKnowledgeBase,
        question: str,
        on_token: Callable[[str], None] | None = None,
        *,
        filters: Filters | None = None,
        on_hits: Callable[[tuple[Hit, ...]], None] | None = None,
    ) -> Answer:
        """As `KnowledgeBase.ask`, with what was said before; the answer is kept, or a note in it
        says why it is not.

        What raises or is interrupted leaves the conversation as it was.
        """
        with self._asking:
            exchange = self._asked(base, question, self._exchanges, on_token, filters, on_hits)
            exchange, self._last_is_kept = self._keep(exchange)
            self._exchanges.append(exchange)
        return exchange.answer

    def ask_again(
        self,
        base: KnowledgeBase | RemoteKnowledgeBase,
        on_token: Callable[[str], None] | None = None,
        *,
        filters: Filters | None = None,
    ) -> Answer:
        """Ask the last question anew; its answer takes the place of the last one.

        Raises BadRequest when nothing has been asked.
        """
        with self._asking:
            if not self._exchanges:
                raise BadRequest("nothing has been asked in this conversation")
            *before, last = self._exchanges
            exchange = self._asked(base, last.question, before, on_token, filters)
            exchange, kept = self._keep(exchange, instead=self._last_is_kept)
            self._last_is_kept |= kept
            self._exchanges[-1] = exchange
        return exchange.answer

    def _keep(self, exchange: Exchange, *, instead: bool = False) -> tuple[Exchange, bool]:
        """Write an exchange down; whether that could be done, else the exchange says why not."""
        try:
            self._kept.append(self.id, self._base, exchange, new=self._new, instead=instead)
        except StorageError as exc:  # a model may have taken long, and money, for the answer
            answer = exchange.answer
            noted = replace(answer, notes=(*answer.notes, f"this answer is not kept: {exc}"))
            return replace(exchange, answer=noted), False
        self._new = False
        return exchange, True

    def _asked(
        self,
        base: KnowledgeBase | RemoteKnowledgeBase,
        question: str,
        before: Sequence[Exchange],
        on_token: Callable[[str], None] | None,
        filters: Filters | None,
        on_hits: Callable[[tuple[Hit, ...]], None] | None = None,
    ) -> Exchange:
        asked, question = time.time(), question.encode("utf-8", "replace").decode()
        answer = base.ask(
            question, on_token, history=history_of(before), filters=filters, on_hits=on_hits
        )
        return Exchange(question, answer, asked)


def history_of(exchanges: Sequence[Exchange]) -> tuple[Message, ...]:
    """What a further question is asked with; marks mean nothing to another prompt."""
    return tuple(
        message
        for exchange in exchanges[-REMEMBERED:]
        for message in (
            Message("user", exchange.question),
            Message("assistant", without_marks(exchange.answer.text)),
        )
    )
