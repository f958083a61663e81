"""The points of a base in one file, and back: for any store, of any version of an engine.

Inside a ZIP file, next to what the caller puts there:

    points.jsonl   a line for each point: {"id", "payload", "vector": whether it has one}
    vectors.f32    the vectors of those that have one, in their order, little-endian float32
"""  # fmt: skip

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ingest.errors import BadRequest
from retrieval.points import ROWS
from retrieval.store import Point, Store

POINTS, VECTORS = "points.jsonl", "vectors.f32"
KINDS = ("base", *ROWS, "content", "chunk", "adapter")
BATCH = 256  # points read and written together
LONGEST_LINE = 64_000_000  # bytes; half a million characters of a text at most, escaped


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a file holds."""

    points: int = 0
    chunks: int = 0


class Written(io.RawIOBase):
    """Passes on what is written, and sums it up."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """All of it."""
        self._target.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    @property
    def said(self) -> dict[str, Any]:
        """Size and sum of what has been written."""
        return {"size": self.size, "sha256": self._digest.hexdigest()}


def write_points(store: Store, archive: zipfile.ZipFile, spool: IO[bytes]) -> dict[str, Any]:
    """Put all points into the archive; returns what is to be checked when they are read.

    `spool` is an empty temporary file: the vectors wait there, since a ZIP file is written one
    member after the other.
    """
    points = chunks = 0
    vectors = Written(spool)
    with archive.open(POINTS, "w", force_zip64=True) as member:
        lines = Written(member)
        for point in store.scan({"kind": list(KINDS)}, vectors=True):
            has = point.vector is not None
            said = {"id": point.id, "payload": dict(point.payload), "vector": has}
            lines.write(json.dumps(said, separators=(",", ":")).encode("ascii") + b"\n")
            if point.vector is not None:
                vectors.write(np.asarray(point.vector, "<f4").tobytes())
            points += 1
            chunks += has
    spool.seek(0)
    stored = zipfile.ZipInfo(VECTORS)
    with archive.open(stored, "w", force_zip64=True) as member:
        while block := spool.read(1 << 20):
            member.write(block)
    return {
        "points": points,
        "chunks": chunks,
        "files": {POINTS: lines.said, VECTORS: vectors.said},
    }


def check_files(archive: zipfile.ZipFile, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BadRequest unless each file is there as it was written."""
    for name, said in files.items():
        digest, size = hashlib.sha256(), 0
        with archive.open(name) as member:
            while block := member.read(1 << 20):
                digest.update(block)
                size += len(block)
                if size > said["size"]:
                    raise BadRequest(f"{name} is longer than it should be")
        if (size, digest.hexdigest()) != (said["size"], said["sha256"]):
            raise BadRequest(f"{name} is not what was written")


def read_points(archive: zipfile.ZipFile, dimension: int, store: Store) -> Amount:
    """Write all points of the archive to an empty store. Raises BadRequest for what is none."""
    amount = Amount()
    batch: list[Point] = []
    for point in _points(archive, dimension):
        batch.append(point)
        amount = Amount(amount.points + 1, amount.chunks + (point.vector is not None))
        if len(batch) == BATCH:
            store.write(batch)
            batch = []
            store.optimize(more_to_come=True)
    store.write(batch)
    store.optimize()
    return amount


def _points(archive: zipfile.ZipFile, dimension: int) -> Iterator[Point]:
    with archive.open(POINTS) as lines, archive.open(VECTORS) as vectors:
        number = 0
        while line := lines.readline(LONGEST_LINE):
            number += 1
            try:
                yield _point(json.loads(line), dimension, vectors)
            except (ValueError, KeyError, TypeError) as exc:
                raise BadRequest(f"{POINTS} line {number}: {exc}") from exc
        if vectors.read(1):
            raise BadRequest(f"{VECTORS} holds more than {POINTS} asks for")


def _point(said: Any, dimension: int, vectors: IO[bytes]) -> Point:
    id_, payload = said["id"], said["payload"]
    if not isinstance(id_, int) or not 0 <= id_ < 2**63:
        raise ValueError("the id is no whole number of 63 bits")
    if not isinstance(payload, dict) or payload["kind"] not in KINDS:
        raise ValueError("the payload is not that of a base")
    if not said["vector"]:
        return Point(id_, payload)
    vector = np.frombuffer(vectors.read(4 * dimension), "<f4")
    if len(vector) != dimension or not np.isfinite(vector).all():
        raise ValueError("its vector is missing or damaged")
    return Point(id_, payload, vector.astype(np.float32))
