"""Where a knowledge base lies and what it was built with: from a name, folder or URL to a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from ingest.errors import BadRequest, NotConfigured, StorageError
from qa.keys import StoredKeys
from qa.presets import PRESETS
from qa.settings import ENV_PREFIX, Settings, environ, is_url, kb_folder, keys_file
from retrieval.adapter import Adapter, parted, read_adapter, write_adapter
from retrieval.edge_folders import delete, restore
from retrieval.edge_store import EdgeStore
from retrieval.embedding import DEFAULT_EMBEDDER, Embedder, LazyEmbedder, open_embedder
from retrieval.points import FORMAT, Base, read_base, write_base
from retrieval.reembedding import Building, Fingerprint, Versions, build, tidy
from retrieval.reranking import Reranker, open_reranker
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

    def delete(self) -> None: ...

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
            tag = Fingerprint.of(embedder).tag
            base = Base(embedder.name, embedder.dimension, fingerprint=tag)
            write_base(store, base)
        _check(base, embedder, place.location)
        lent = embedder if embedder and _serves(embedder, base) else None
        opened = _verified(lent, base, store, settings, place.location)
        is_callers = lent is not None and not isinstance(wanted, str)
        return Opened(store, base, opened, place.location, is_callers)
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


def delete_base(settings: Settings) -> str:
    """Remove the base where the setting `kb` says, with all its versions; returns where it was.

    Raises BadRequest if there is none, or its folder holds other things too; Locked while another
    process has it open; StorageError, Unreachable.
    """
    place = _place(settings.kb, settings)
    try:
        if not place.exists():
            raise BadRequest(f"there is no knowledge base at {place.location}")
        place.delete()
    finally:
        place.close()
    return place.location


def _check(base: Base, embedder: Embedder | None, location: str) -> None:
    if base.format > FORMAT:
        raise BadRequest(
            f"{location} was written by a newer kbqa (format {base.format}, this one reads "
            f"{FORMAT}): upgrade kbqa"
        )
    if embedder is not None and embedder.name not in (base.embedder, parted(base.embedder)[0]):
        raise BadRequest(
            f"{location} was built with the embedder '{base.embedder}' ({base.dimension} "
            f"dimensions), not '{embedder.name}': leave --embedder out, run `kbqa reembed "
            f"--embedder {embedder.name}`, or ingest into another base with --kb NAME"
        )


def reembed(
    opened: Opened,
    wanted: str | Embedder | Adapter,
    settings: Settings,
    on_progress: Callable[[Building], None] | None = None,
) -> Opened:
    """The base with its passages embedded by another embedder, which counts from here on.

    An adapter is kept in the base. `opened` stays open, for those who still read from it, and must
    be closed after what is returned. Raises BadRequest if the base has that embedder already.
    """
    old, embedder = _versions(opened), _embedder(wanted, settings)
    fingerprint = Fingerprint.of(embedder)
    known = opened.base.fingerprint
    if known == fingerprint.tag or (not known and embedder.name == opened.base.embedder):
        raise BadRequest(f"{opened.location} has the embedder '{embedder.name}' already")
    tidy(old, keep=fingerprint.tag)
    new = old.beside(fingerprint.tag, fingerprint.dimension)
    try:
        if isinstance(wanted, Adapter):
            write_adapter(new, wanted)
        build(old, new, embedder, on_progress=on_progress)
        old.switch(new.tag)
    except BaseException:
        new.close()
        raise
    base = Base(embedder.name, embedder.dimension, fingerprint=fingerprint.tag)
    lent = not isinstance(wanted, str | Adapter)
    return Opened(new, base, embedder, opened.location, lent)


def rollback(opened: Opened, settings: Settings, lent: Iterable[Embedder] = ()) -> Opened:
    """The version from before the last `reembed`, which counts from here on, with its embedder of
    those of the caller that were `lent`, if it is one.

    What was ingested since then is not in it, and comes with the next ingest. Raises BadRequest if
    there is none, and what opening its embedder does: then nothing has changed.
    """
    store = _versions(opened)
    if store.previous is None:
        model, tag = parted(opened.base.embedder)
        cure = f"; `kbqa reembed --embedder {model}` makes it anew" if tag else ""
        raise BadRequest(f"{opened.location} has no earlier version to go back to{cure}")
    earlier = store.beside(store.previous)
    try:
        base = read_base(earlier)
        if base is None:
            raise StorageError(f"the earlier version of {opened.location} was never finished")
        own = next((one for one in lent if one.name == base.embedder), None)
        embedder = _verified(own, base, earlier, settings, opened.location)
        embedder.embed_query("?")
        store.switch(earlier.tag)
    except BaseException:
        earlier.close()
        raise
    return Opened(earlier, base, embedder, opened.location, own is not None)


def discard(opened: Opened) -> bool:
    """Remove all versions but the one that counts; whether there were any."""
    store = _versions(opened)
    found = len(store.tags) > 1
    tidy(store, keep=store.tag)
    return found


def _versions(opened: Opened) -> Versions:
    assert isinstance(opened.store, EdgeStore) or hasattr(opened.store, "beside")
    return cast("Versions", opened.store)


def _serves(embedder: Embedder, base: Base) -> bool:
    """Whether an embedder is not one from before the base was tuned; others tell by their print."""
    return embedder.name == base.embedder or not isinstance(embedder, LazyEmbedder)


def _verified(
    lent: Embedder | None, base: Base, store: Store, settings: Settings, location: str
) -> Embedder:
    """The embedder of a base, `lent` if there is one, which tells at its first use if the model
    behind it has changed."""
    if lent is not None and not isinstance(lent, LazyEmbedder):
        _require_fingerprint(lent, base, location)
        return lent

    def open_() -> Embedder:
        embedder: Embedder | None = lent
        if embedder is None:
            adapter = _adapter_of(base, store, location)
            embedder = _open_embedder(base.embedder, settings, adapter)
        _require_fingerprint(embedder, base, location)
        return embedder

    return LazyEmbedder(base.embedder, open_)


def _adapter_of(base: Base, store: Store, location: str) -> Adapter | None:
    """What the base has taught its embedder; None if it has not."""
    model, tag = parted(base.embedder)
    if not tag:
        return None
    adapter = read_adapter(store, tag)
    if adapter is None:
        raise BadRequest(
            f"{location} has lost the adapter {tag} of its embedder: `kbqa tune --rollback`, or "
            f"`kbqa reembed --embedder {model}`"
        )
    return adapter


def _require_fingerprint(embedder: Embedder, base: Base, location: str) -> None:
    if base.fingerprint and Fingerprint.of(embedder).tag != base.fingerprint:
        raise BadRequest(
            f"the model behind '{base.embedder}' is not the one that {location} was built with "
            "(other weights or prompts): put the old one back, or run `kbqa reembed --embedder "
            f"{parted(base.embedder)[0]}`"
        )


def _embedder(wanted: str | Embedder | Adapter, settings: Settings) -> Embedder:
    if isinstance(wanted, Adapter):
        return LazyEmbedder(wanted.spec, partial(_open_embedder, wanted.spec, settings, wanted))
    if not isinstance(wanted, str):
        return wanted
    return LazyEmbedder(wanted, partial(_open_embedder, wanted, settings))


def _open_embedder(spec: str, settings: Settings, adapter: Adapter | None = None) -> Embedder:
    provider, _, model = spec.partition(":")
    base_url = settings.embedder_base_url
    key = settings.embedder_api_key.get_secret_value() if settings.embedder_api_key else None
    variable = f"{ENV_PREFIX}EMBEDDER_API_KEY"
    preset = PRESETS.get(provider)
    if preset is not None and model:
        base_url = base_url or preset.base_url
        if preset.key_variable and not key:
            variable = preset.key_variable
            key = environ().get(variable)
            if not (key or settings.embedder_base_url):
                key = StoredKeys(keys_file()).get(provider)
        if preset.key_variable and not (key or settings.embedder_base_url):
            raise NotConfigured(
                f"the embedder '{spec}' needs a key: set {preset.key_variable}, run `kbqa keys set "
                f"{provider}`, or name an endpoint of your own with embedder_base_url"
            )
        spec = f"openai:{model}"
    return open_embedder(
        spec,
        cache_dir=settings.cache_dir,
        base_url=base_url,
        api_key=key,
        key_variable=variable,
        timeout=settings.timeout,
        adapter=adapter,
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
        restore(self._folder)
        return EdgeStore.exists(self._folder)

    def open(self, dimension: int | None) -> Store:
        return EdgeStore(
            self._folder, dimension=dimension, lock_timeout=self._settings.lock_timeout
        )

    def delete(self) -> None:
        delete(self._folder, lock_timeout=self._settings.lock_timeout)

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

    def delete(self) -> None:
        from retrieval.server_store import ServerStore

        ServerStore.delete_base(self._client, self._name)

    def close(self) -> None:
        self._client.close()

    @cached_property
    def _client(self) -> QdrantClient:
        from retrieval.server_client import connect

        key = self._settings.qdrant_api_key
        return connect(
            self._url.geturl(),
            api_key=key.get_secret_value() if key else None,
            grpc=self._settings.qdrant_grpc,
            timeout=self._settings.timeout,
        )


def reranker_of(settings: Settings) -> Reranker | None:
    """The reranker; None for none."""
    if not settings.reranker:
        return None
    key = settings.reranker_api_key
    return open_reranker(
        settings.reranker,
        url=settings.reranker_url,
        api_key=key.get_secret_value() if key else "",
        timeout=settings.timeout,
    )
