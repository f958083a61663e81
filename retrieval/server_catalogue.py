"""The catalogue of a Qdrant server: which bases there are, and where their versions lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qdrant_client import QdrantClient, models

from retrieval.server_collections import create
from retrieval.server_scope import Scope

CATALOGUE = "kbqa_catalogue"
SHARED_PREFIX, OWN_PREFIX = "kbqa_", "kbqa-"  # no name of a base makes one out of the other


@dataclass(frozen=True, slots=True)
class Entry:
    """A base in the catalogue: tag of a version -> its collection and scope (None: all of it)."""

    name: str
    current: str = ""
    previous: str | None = None
    versions: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def entry_of(client: QdrantClient, name: str) -> Entry | None:
    """What the catalogue says of a base; None if there is none, with or without catalogue."""
    if client.collection_exists(CATALOGUE):
        found = client.retrieve(CATALOGUE, [_catalogue_id(name)], with_payload=True)
        if found and found[0].payload:
            said = found[0].payload
            versions = {tag: (where[0], where[1]) for tag, where in said["versions"].items()}
            return Entry(name, said["current"], said["previous"], versions)
    if client.collection_exists(OWN_PREFIX + name):
        return Entry(name, versions={"": (OWN_PREFIX + name, None)})
    return None


def remember(client: QdrantClient, entry: Entry) -> Entry:
    """Write to the catalogue; the one write that decides what counts."""
    if not client.collection_exists(CATALOGUE):
        create(client, CATALOGUE, {})
    payload = {
        "name": entry.name,
        "current": entry.current,
        "previous": entry.previous,
        "versions": {tag: list(where) for tag, where in entry.versions.items()},
    }
    point = models.PointStruct(id=_catalogue_id(entry.name), vector={}, payload=payload)
    client.upsert(CATALOGUE, [point], wait=True)
    return entry


def forget(client: QdrantClient, name: str) -> None:
    """Take a base out of the catalogue, where there is one."""
    if client.collection_exists(CATALOGUE):
        client.delete(CATALOGUE, [_catalogue_id(name)], wait=True)


def _catalogue_id(name: str) -> int:
    return Scope(f"catalogue/{name}").id(0)
