"""Files that hold others, for tests of what becomes of them: a stand-in for the archives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.loaders import load_bytes
from ingest.pipeline import prepare
from ingest.sync import Item
from tests.ingest.ledger import split_by_words

BOX = ".box.json"
Split = Callable[[Document], list[Chunk]]


def pack(path: Path, files: Mapping[str, str], *, own: str = "") -> None:
    """A box of `files` (path in it -> text); with `own` it is a document as well, like a mail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"files": dict(files), "own": own}), "utf-8")


def unpacking(entries: Iterable[FileEntry], split: Split = split_by_words) -> Iterator[Item]:
    """As `prepare`, but boxes yield what is in them. A member without text fails."""
    for boxes, run in groupby(entries, lambda entry: entry.path.endswith(BOX)):
        if boxes:
            for entry in run:
                yield from _unpacked(entry, split)
        else:
            yield from prepare(list(run), split)


def _unpacked(entry: FileEntry, split: Split) -> Iterator[Item]:
    data = Path(entry.path).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        box = json.loads(data)
    except ValueError:
        yield Failure(entry.uri, "is damaged", entry.path, entry=entry)
        yield Finished(entry, "application/x-box", sha256)
        return
    members = []
    for path, text in box["files"].items():
        uri = f"{entry.uri}!/{path}"
        members.append(uri)
        if text:
            document = load_bytes(text.encode(), uri=uri)
            yield Prepared(document, split(document), entry, entry.uri)
        else:
            yield Failure(uri, "is empty", entry.path, entry=entry, container=entry.uri)
    if box["own"]:
        document = load_bytes(box["own"].encode(), uri=entry.uri, media_type="text/plain")
        yield Prepared(document, split(document), entry)
    yield Finished(entry, "application/x-box", sha256, tuple(members), own=bool(box["own"]))
