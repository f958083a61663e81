"""Replies of a server into the types of this package.

What lacks a part, or has it of another kind, raises KeyError, TypeError and the like: `clear_form`
tells that it is no reply of a kbqa server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from ingest.documents import Chunk, Failure, Record
from ingest.errors import Unreachable
from ingest.sync import SyncReport
from qa.kept import answer_of
from qa.turn import Answer
from retrieval.explaining import Dropped, id_of
from retrieval.fusion import Fused
from retrieval.hits import Hit, Leg


@contextmanager
def clear_form() -> Iterator[None]:
    """A reply that is not of the form that a kbqa server gives it is told as such."""
    try:
        yield
    except KeyError as exc:
        raise Unreachable(f"what answers is no kbqa server: its reply has no {exc}") from exc
    except (AttributeError, IndexError, TypeError, ValueError) as exc:
        raise Unreachable(
            "what answers is no kbqa server, or one of another version: its reply has another form"
        ) from exc


def answer_from(said: Mapping[str, Any]) -> Answer:
    """An answer with its hits."""
    return replace(answer_of(said), hits=tuple(map(hit_from, said["hits"])))


def hit_from(said: Mapping[str, Any]) -> Hit:
    """A hit; the passage has no neighbours, which are not told."""
    chunk = Chunk(
        document_id=said["uri"],
        uri=said["uri"],
        title=said["title"],
        start=said["start"],
        end=said["end"],
        text=said["text"],
        heading=tuple(said["heading"]),
        page=said["page"],
        position=said["start"],  # not told; this too sets the passages of a document apart
    )
    legs = {name: Leg(leg["rank"], leg["score"]) for name, leg in said["legs"].items()}
    metadata = said.get("metadata") or {}  # a server of an earlier version tells none
    return Hit(chunk, said["score"], legs, tuple(said["copies"]), metadata)


def candidate_from(hit: Hit, why: Mapping[str, Any]) -> Fused:
    """Why a hit stands where it does."""
    return Fused(
        id_of(hit.chunk),
        why["strength"],
        dict(hit.legs),
        why["dense"],
        why["lexical"],
        why["feedback"],
        why["rank"],
    )


def dropped_from(said: Mapping[str, Any]) -> Dropped:
    """A passage that was left out, and why."""
    chunk = Chunk(
        document_id=said["uri"],
        uri=said["uri"],
        title="",
        start=said["start"],
        end=said["end"],
        text="",
        heading=tuple(said["heading"]),
        page=said["page"],
        position=said["start"],
    )
    return Dropped(chunk, said["why"], said["of"])


def record_from(said: Mapping[str, Any]) -> Record:
    """A row of the ledger."""
    names = [field.name for field in fields(Record)]
    return Record(**{name: said[name] for name in names if name in said})


def report_of_job(uri: str, job: Mapping[str, Any]) -> SyncReport:
    """What became of a file that a job has read."""
    if job["report"] is not None:
        return report_from(job["report"])
    if job["state"] in ("queued", "running"):
        return failed_report(uri, "was sent; the server ended, and reads it when it starts again")
    return failed_report(uri, job["error"] or job["state"])


def failed_report(uri: str, reason: str, path: str = "") -> SyncReport:
    """What became of a file that could not be read."""
    return SyncReport(failed=1, failures=(Failure(uri, reason, path),))


def report_from(said: Mapping[str, Any]) -> SyncReport:
    """What an ingest did."""
    counts: dict[str, Any] = {
        name: value for name, value in said.items() if isinstance(value, int | float)
    }
    failures = tuple(Failure(item["uri"], item["reason"]) for item in said["failures"])
    skips = tuple(Failure(item["uri"], item["reason"], skipped=True) for item in said["skips"])
    return SyncReport(**counts, failures=failures, skips=skips)
