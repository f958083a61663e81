"""Keys of providers at rest: in the system's keyring, or in a file that only its owner may read.

The keyring is used where the package `keyring` is installed and finds one (pip install
'kbqa[keyring]'), the file otherwise; reading looks into both. A key is in no message, log or repr.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ingest.errors import BadRequest, NotConfigured

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "kbqa"
_NAMES = "kbqa:providers"  # a keyring cannot be listed: this entry names what is in it
_RECOMMENDED = 1  # keyring's own bound: below it are null, failing and plaintext ones
_SHOWN, _LONG = 4, 12  # characters of a key that are shown, of keys that have so many at least
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Stored:
    """A key and the place that it lies in."""

    provider: str
    key: str = field(repr=False)
    place: str


class KeyStore(Protocol):
    """Keys by the name of their provider. `place` is what a user calls it."""

    @property
    def place(self) -> str:
        """A file, or the keyring."""
        ...

    def get(self, provider: str) -> str | None:
        """The key; None if there is none."""
        ...

    def names(self) -> list[str]:
        """The providers whose keys are here."""
        ...

    def set(self, provider: str, key: str) -> None:
        """Keep a key."""
        ...

    def remove(self, provider: str) -> None:
        """Forget a key that is here."""
        ...


class KeyFile:
    """Keys in a JSON file with mode 0600. Each call reads or writes it whole.

    Every call raises NotConfigured for a file that others may read, or that is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """The path."""
        return str(self._path)

    def get(self, provider: str) -> str | None:
        """The key; None if there is none."""
        return self._keys().get(provider)

    def names(self) -> list[str]:
        """The providers whose keys are here."""
        return list(self._keys())

    def set(self, provider: str, key: str) -> None:
        """Keep a key."""
        self._write({**self._keys(), provider: key})

    def remove(self, provider: str) -> None:
        """Forget a key that is here."""
        keys = self._keys()
        del keys[provider]
        self._write(keys)

    def _keys(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        keys = _parsed(read_private(self._path, "it holds keys"))
        if keys is None:
            raise NotConfigured(f"{self._path} is damaged: remove it and set the keys again")
        return keys

    def _write(self, keys: Mapping[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(keys, file, indent=1)
        new.replace(self._path)


class SystemKeyring:
    """Keys in the keyring of the system, through the package `keyring`."""

    def __init__(self, backend: KeyringBackend) -> None:
        self._backend = backend

    @property
    def place(self) -> str:
        """Which keyring it is."""
        return f"keyring ({self._backend.name})"

    def get(self, provider: str) -> str | None:
        """The key; None if there is none."""
        return self._backend.get_password(SERVICE, provider)

    def names(self) -> list[str]:
        """The providers whose keys are here."""
        return (self._backend.get_password(SERVICE, _NAMES) or "").split()

    def set(self, provider: str, key: str) -> None:
        """Keep a key."""
        self._backend.set_password(SERVICE, provider, key)
        self._name([*self.names(), provider])

    def remove(self, provider: str) -> None:
        """Forget a key that is here."""
        self._backend.delete_password(SERVICE, provider)
        self._name([name for name in self.names() if name != provider])

    def _name(self, providers: list[str]) -> None:
        self._backend.set_password(SERVICE, _NAMES, " ".join(sorted({*providers})))


class StoredKeys:
    """All keys at rest: the keyring's, then those of the file at `path`. Opens the keyring late."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _stores(self) -> tuple[KeyStore, ...]:
        keyring, file = _keyring(), KeyFile(self._path)
        return (file,) if keyring is None else (keyring, file)

    def get(self, provider: str) -> str | None:
        """The key of a provider; None if there is none."""
        return next((found.key for found in self._found(provider)), None)

    def all(self) -> list[Stored]:
        """Every key, by provider; the one that counts first."""
        providers = sorted({name for store in self._stores for name in store.names()})
        return [found for provider in providers for found in self._found(provider)]

    def set(self, provider: str, key: str) -> str:
        """Keep the one key of a provider; where. Raises BadRequest for what cannot be a key."""
        key = key.strip()
        if not key:
            raise BadRequest(f"no key of {provider} was given: type it, or pipe it in")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise BadRequest(f"the key of {provider} holds what no key holds: copy it again")
        self.remove(provider)
        self._stores[0].set(provider, key)
        return self._stores[0].place

    def remove(self, provider: str) -> list[str]:
        """Forget the key of a provider; the places that it lay in."""
        places = []
        for store in self._stores:
            if store.get(provider) is not None:
                store.remove(provider)
                places.append(store.place)
        return places

    def _found(self, provider: str) -> Iterator[Stored]:
        for store in self._stores:
            if key := store.get(provider):
                yield Stored(provider, key, store.place)


def masked(key: str) -> str:
    """What may be shown of a key: its last four characters, if it is long enough for that."""
    return f"…{key[-_SHOWN:]}" if len(key) >= _LONG else "…"


def read_private(path: Path, reason: str) -> str:
    """The text of a file that holds secrets.

    Raises NotConfigured where others than its owner may read it; `reason` says why that matters.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name != "nt" and mode & _OTHERS:
                raise NotConfigured(
                    f"{path} can be read by others (mode {mode & 0o777:o}) and {reason}: "
                    f"run `chmod 600 {path}`, and change keys that others may have seen"
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise NotConfigured(f"{path} cannot be read: {why}") from exc


def _parsed(text: str) -> dict[str, str] | None:
    """The keys in a file's text; None when it is damaged. No error that would quote it."""
    try:
        keys = json.loads(text)
    except ValueError:
        return None
    sound = isinstance(keys, dict) and all(isinstance(key, str) for key in keys.values())
    return keys if sound else None


def _keyring() -> SystemKeyring | None:
    """The system's keyring; None where there is none that works."""
    try:
        import keyring
    except ImportError:
        return None
    backend = keyring.get_keyring()
    if backend.priority < _RECOMMENDED:
        return None
    opened = SystemKeyring(backend)
    try:
        opened.names()
    except Exception:  # noqa: BLE001 - locked, no session bus...: each backend has its own errors
        return None
    return opened
