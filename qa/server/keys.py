"""API keys: made, listed, revoked, and told from guesses.

A key is 256 random bits, so that a plain SHA-256 of it is as good at rest as a slow hash: those
protect what people make up, which can be guessed; nobody tries 2^256 keys, however fast.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.errors import BadRequest
from qa.server.database import Database

PREFIX = "kbqa"
ID_BYTES, SECRET_BYTES = 6, 32
_NOBODY = bytes(hashlib.sha256().digest_size)  # compared with where there is no such key


class Role(StrEnum):
    """What a key may do: a reader asks, an editor keeps documents, an admin keeps bases."""

    READER = "reader"
    EDITOR = "editor"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. `bases` None: all of them. `created` in seconds since 1970."""

    id: str
    role: Role
    bases: frozenset[str] | None
    note: str
    created: float


class Keys:
    """The keys of one server. A change counts from the next request on, in any process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._needed = False

    def create(self, role: Role, bases: Sequence[str] = (), note: str = "") -> tuple[Key, str]:
        """A new key, and its text, which is shown this once and not kept. No `bases`: all."""
        key = Key(
            secrets.token_hex(ID_BYTES), role, frozenset(bases) or None, note, float(time.time())
        )
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._database.write(
            "INSERT INTO keys (id, digest, role, bases, note, created) VALUES (?, ?, ?, ?, ?, ?)",
            *(key.id, _digest(secret), role.value, json.dumps(sorted(bases)), note, key.created),
        )
        return key, f"{PREFIX}_{key.id}_{secret}"

    def list(self) -> list[Key]:
        """All keys, the oldest first."""
        return [_key(row) for row in self._database.read("SELECT * FROM keys ORDER BY created")]

    def revoke(self, id_: str) -> None:
        """Forget a key. Raises BadRequest if there is none of that id."""
        if not self._database.write("DELETE FROM keys WHERE id = ?", id_):
            raise BadRequest(f"there is no key '{id_}'; `kbqa access list` shows their ids")

    def forget_base(self, name: str) -> None:
        """Revoke the keys for this base alone, and take it from those for others too: another base
        may get its name.
        """
        for key in self.list():
            if key.bases == frozenset([name]):
                self._database.write("DELETE FROM keys WHERE id = ?", key.id)
            elif key.bases and name in key.bases:
                left = json.dumps(sorted(key.bases - {name}))
                self._database.write("UPDATE keys SET bases = ? WHERE id = ?", left, key.id)

    def needed(self) -> bool:
        """Whether every request needs a key: there is one, or was since this object was made. With
        the last one revoked nobody may do anything, not everybody all.
        """
        self._needed = self._needed or bool(self._database.read("SELECT 1 FROM keys LIMIT 1"))
        return self._needed

    def find(self, text: str) -> Key | None:
        """The key of this text; None for a wrong or revoked one, after the same time."""
        _, _, rest = text.partition("_")
        id_, _, secret = rest.partition("_")
        rows = self._database.read("SELECT * FROM keys WHERE id = ?", id_)
        expected = rows[0]["digest"] if rows else _NOBODY
        matches = hmac.compare_digest(_digest(secret), expected)
        return _key(rows[0]) if matches and rows else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key(row: sqlite3.Row) -> Key:
    bases = frozenset(json.loads(row["bases"])) or None
    return Key(row["id"], Role(row["role"]), bases, row["note"], row["created"])
