"""Another embedder for a base that stands: the new version beside the old one, then a switch.

A version of a base is a whole copy of its points under a tag, which is the fingerprint of the
embedder. Building one only writes to the new version, document by document with the ledger row
last, so that a build that was killed goes on where it was. Which version counts is one small record
(a file or a point) that is written in one step. The version before stays for a way back.

Nothing is loaded or cut anew: the passages are those of the old version, cut for the old
embedder's window.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Protocol, Self

from retrieval.embedding import Embedder
from retrieval.points import ROWS, Base, chunk_of, write_base
from retrieval.store import Point, Store

BATCH_CHUNKS = 512  # embedded and written together, as in an ingest
BATCH_DOCUMENTS = 128
BATCH_CONTENTS = 16  # of up to half a million characters


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes vectors comparable: two embedders with one fingerprint give the same ones.

    `revision` is a hash or commit of the weights, "" where an endpoint does not tell; `prompts`
    what is put before questions and passages. Vectors always have length 1.
    """

    model: str
    revision: str
    dimension: int
    prompts: str = ""
    normalised: bool = True

    @classmethod
    def of(cls, embedder: Embedder) -> Self:
        """The fingerprint of an embedder; opens it if it is not open yet."""
        revision = str(getattr(embedder, "revision", ""))
        prompts = str(getattr(embedder, "prompts", ""))
        return cls(embedder.name, revision, embedder.dimension, prompts)

    @property
    def tag(self) -> str:
        """Twelve hex digits of a hash of it all; names a version."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Building:
    """How far a build is: documents done of `total`, chunks embedded."""

    total: int
    done: int = 0
    chunks: int = 0


class Versions(Store, Protocol):
    """A store that can keep versions of its base side by side."""

    @property
    def previous(self) -> str | None:
        """Tag of the version that counted before this one; None if there is none."""
        ...

    @property
    def tags(self) -> Sequence[str]:
        """All versions, finished or not."""
        ...

    @property
    def tag(self) -> str:
        """The version that this store reads and writes."""
        ...

    def beside(self, tag: str, dimension: int | None = None) -> Versions:
        """Another version; made for vectors of `dimension` if it is not there."""
        ...

    def switch(self, tag: str) -> None:
        """Let another version be the one that is opened from now on, in one step."""
        ...

    def drop(self, tag: str) -> None:
        """Remove a version, which must not be the one that counts."""
        ...


def build(
    old: Store,
    new: Store,
    embedder: Embedder,
    *,
    on_progress: Callable[[Building], None] | None = None,
) -> Building:
    """Bring `new` in line with `old`, embedded by `embedder`; only what differs is embedded.

    Returns what it did. Safe to be killed and run again.
    """
    fingerprint = Fingerprint.of(embedder)
    wanted = {point.id: point for point in old.scan({"kind": ROWS})}
    there = {point.id: point for point in new.scan({"kind": ROWS})}
    _remove(new, [point for id_, point in there.items() if id_ not in wanted])
    todo = [
        point
        for id_, point in wanted.items()
        if id_ not in there or there[id_].payload != point.payload
    ]
    state = Building(len(wanted), len(wanted) - len(todo))
    for rows in _batched(todo, BATCH_DOCUMENTS):
        written = 0
        for chunks in _batched(_of("chunk", old, rows), BATCH_CHUNKS):
            vectors = embedder.embed([chunk_of(point).embedded_text for point in chunks])
            pairs = zip(chunks, vectors, strict=True)
            new.write([replace(point, vector=vector) for point, vector in pairs])
            written += len(chunks)
        _finish(old, new, rows)
        state = Building(state.total, state.done + len(rows), state.chunks + written)
        if on_progress is not None:
            on_progress(state)
        new.optimize(more_to_come=True)
    write_base(new, Base(embedder.name, embedder.dimension, fingerprint=fingerprint.tag))
    new.optimize()
    return state


def tidy(store: Versions, *, keep: str) -> None:
    """Drop the versions that neither count nor are `keep`: room for a new one."""
    for tag in store.tags:
        if tag not in (store.tag, keep):
            store.drop(tag)


def _of(kind: str, old: Store, rows: Sequence[Point]) -> Iterator[Point]:
    """The points of that kind of the versions that the rows name."""
    named = [row.payload["document_id"] for row in rows if row.payload.get("document_id")]
    return old.scan({"kind": kind, "document_id": named})


def _batched(points: Iterable[Point], size: int) -> Iterator[list[Point]]:
    rest = iter(points)
    while some := list(islice(rest, size)):
        yield some


def _finish(old: Store, new: Store, rows: Sequence[Point]) -> None:
    """The texts, then the rows, then what the documents' earlier versions have left."""
    for contents in _batched(_of("content", old, rows), BATCH_CONTENTS):
        new.write(contents)
    new.write(list(rows))
    named = [row.payload["document_id"] for row in rows if row.payload.get("document_id")]
    uris = [row.payload["uri"] for row in rows]
    unless: dict[str, Any] | None = {"document_id": named} if named else None
    new.delete_where({"kind": ["chunk", "content"], "uri": uris}, unless=unless)


def _remove(new: Store, rows: Sequence[Point]) -> None:
    for some in _batched(rows, BATCH_DOCUMENTS):
        new.delete([row.id for row in some])
        uris = [row.payload["uri"] for row in some]
        new.delete_where({"kind": ["chunk", "content"], "uri": uris})
