"""Where a knowledge base lies and what it was built with: from a name, folder or URL to a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from ingest.errors import BadRequest
from qa.models import PRESETS
from qa.settings import ENV_PREFIX, Settings, environ, is_url, kb_folder
from retrieval.edge_store import EdgeStore
from retrieval.embedding import DEFAULT_EMBEDDER, Embedder, LazyEmbedder, open_embedder
from retrieval.points import FORMAT, Base, read_base, write_base
from retrieval.store import Store

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


@dataclass(frozen=True, slots=True)
class Opened:
    """A store with what it says of itself, and the embedder that goes with it.

    `lent`: the embedder is the caller's, who will close it.
    """

    store: Store
    base: Base
    embedder: Embedder
    location: str
    lent: bool = False


class _Place(Protocol):
    location: str

    def exists(self) -> bool: ...

    def open(self, dimension: int | None) -> Store: ...

    def close(self) -> None:
        """Let go of a place that is not opened."""
        ...


def open_base(
    target: str | os.PathLike[str],
    wanted: str | Embedder | None,
    settings: Settings,
    *,
    create: bool,
) -> Opened:
    """Open the base at `target`, or make it for the embedder `wanted` (or the default one).

    Raises BadRequest if there is none and `create` is false, or if it was built with another
    embedder; and what the store raises.
    """
    place = _place(target, settings)
    exists = place.exists()
    if not exists and not create:
        place.close()
        raise BadRequest(
            f"there is no knowledge base at {place.location}; make it with `kbqa ingest FOLDER`"
        )
    embedder = _embedder(wanted, settings) if wanted else None
    if not exists:
        embedder = embedder or _embedder(DEFAULT_EMBEDDER, settings)
    store = place.open(embedder.dimension if embedder and not exists else None)
    try:
        base = read_base(store)
        if base is None:
            embedder = embedder or _embedder(DEFAULT_EMBEDDER, settings)
            base = Base(embedder.name, embedder.dimension)
            write_base(store, base)
        _check(base, embedder, place.location)
        opened = embedder or _embedder(base.embedder, settings)
        lent = wanted is not None and not isinstance(wanted, str)
        return Opened(store, base, opened, place.location, lent)
    except BaseException:
        store.close()
        raise


def base_exists(settings: Settings) -> bool:
    """Whether there is a base where the setting `kb` says."""
    place = _place(settings.kb, settings)
    try:
        return place.exists()
    finally:
        place.close()


def _check(base: Base, embedder: Embedder | None, location: str) -> None:
    if base.format > FORMAT:
        raise BadRequest(
            f"{location} was written by a newer kbqa (format {base.format}, this one reads "
            f"{FORMAT}): upgrade kbqa"
        )
    if embedder is not None and embedder.name != base.embedder:
        raise BadRequest(
            f"{location} was built with the embedder '{base.embedder}' ({base.dimension} "
            f"dimensions), not '{embedder.name}': leave --embedder out, or ingest into another "
            "base with --kb NAME"
        )


def _embedder(wanted: str | Embedder, settings: Settings) -> Embedder:
    if not isinstance(wanted, str):
        return wanted
    return LazyEmbedder(wanted, partial(_open_embedder, wanted, settings))


def _open_embedder(spec: str, settings: Settings) -> Embedder:
    provider, _, model = spec.partition(":")
    base_url = settings.embedder_base_url
    key = settings.embedder_api_key.get_secret_value() if settings.embedder_api_key else None
    variable = f"{ENV_PREFIX}EMBEDDER_API_KEY"
    preset = PRESETS.get(provider)
    if preset is not None and model:
        base_url = base_url or preset.base_url
        if preset.key_variable and not key:
            variable, key = preset.key_variable, environ().get(preset.key_variable)
        spec = f"openai:{model}"
    return open_embedder(
        spec,
        cache_dir=settings.cache_dir,
        base_url=base_url,
        api_key=key,
        key_variable=variable,
        timeout=settings.timeout,
    )


def _place(target: str | os.PathLike[str], settings: Settings) -> _Place:
    if isinstance(target, str) and is_url(target):
        return _Server(target, settings)
    return _Folder(kb_folder(target, settings), settings)


class _Folder:
    """An embedded base."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.location = str(folder)
        self._folder = folder
        self._settings = settings

    def exists(self) -> bool:
        if self._folder.is_file():
            raise BadRequest(f"{self._folder} is a file; a knowledge base is a folder")
        return EdgeStore.exists(self._folder)

    def open(self, dimension: int | None) -> Store:
        return EdgeStore(
            self._folder, dimension=dimension, lock_timeout=self._settings.lock_timeout
        )

    def close(self) -> None:
        """Nothing is held before it is open."""


class _Server:
    """A base on a Qdrant server: the last part of the URL's path is its name."""

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        prefix, _, name = parts.path.strip("/").rpartition("/")
        self._url = parts._replace(path=f"/{prefix}" if prefix else "", query="", fragment="")
        self._name = name or "default"
        self.location = f"{self._url.geturl()}/{self._name}"
        self._settings = settings

    def exists(self) -> bool:
        from retrieval.server_store import ServerStore

        return ServerStore.exists(self._client, self._name)

    def open(self, dimension: int | None) -> Store:
        from retrieval.server_store import ServerStore

        return ServerStore(self._client, self._name, dimension=dimension)

    def close(self) -> None:
        self._client.close()

    @cached_property
    def _client(self) -> QdrantClient:
        from retrieval.server_store import connect

        key = self._settings.qdrant_api_key
        return connect(
            self._url.geturl(),
            api_key=key.get_secret_value() if key else None,
            grpc=self._settings.qdrant_grpc,
            timeout=self._settings.timeout,
        )
