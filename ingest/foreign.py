"""Documents of other libraries (LlamaIndex, LangChain) as ours, known by what they have.

No other library is imported: a reader that made such documents has done that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ingest.documents import Document, Value
from ingest.errors import BadRequest

PLACES = ("uri", "file_path", "url", "source", "link", "path", "file_name", "filename")
PAGES = ("page_label", "page_number", "page")
# what changes without the document having changed
_FLEETING = frozenset({"last_accessed_date", "accessed_at", "fetched_at", "score"})
_RANDOM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.I)  # a UUID


def adopted(documents: Iterable[Any], prefix: str = "") -> Iterator[Document]:
    """Ours as they are, foreign ones converted. With a prefix the uris become `prefix/uri`.

    A foreign document's uri is where its metadata says it lies, with `#page=3` for a page of it;
    else its id, unless that is random; else a hash of its text. A uri that comes again gets `#2`.
    Raises BadRequest for what is no document.
    """
    uses = Counter[str]()
    for document in documents:
        if isinstance(document, Document):
            yield document
            continue
        text, metadata, id_ = _parts(document)
        uri = _uri(text, metadata, id_)
        uri = f"{prefix}/{uri.lstrip('/')}" if prefix else uri
        uses[uri] += 1
        if uses[uri] > 1:
            uri = f"{uri}#{uses[uri]}"
        media_type = str(metadata.get("file_type") or metadata.get("media_type") or "")
        yield Document.from_text(
            text,
            uri=uri,
            title=str(metadata.get("title") or ""),
            media_type=media_type if media_type.startswith("text/") else "text/plain",
            metadata=_values(metadata),
        )


def _parts(document: Any) -> tuple[str, Mapping[str, Any], str]:
    """(text, metadata, id) of a foreign document."""
    text = getattr(document, "page_content", None)  # LangChain
    if text is None:
        text = getattr(document, "text", None)  # LlamaIndex
    metadata = getattr(document, "metadata", None)
    if not isinstance(text, str) or not isinstance(metadata, Mapping):
        raise BadRequest(
            f"{type(document).__name__} is no document: give kbqa's own, LlamaIndex's or "
            "LangChain's"
        )
    id_ = next(
        (value for name in ("id_", "doc_id", "id") if (value := getattr(document, name, None))), ""
    )
    return text, metadata, str(id_)


def _uri(text: str, metadata: Mapping[str, Any], id_: str) -> str:
    place = next((str(metadata[name]) for name in PLACES if metadata.get(name)), "")
    if not place and id_ and not _RANDOM.match(id_):
        place = id_
    if not place:
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    page = next((metadata[name] for name in PAGES if metadata.get(name) not in (None, "")), None)
    return place if page is None else f"{place}#page={page}"


def _values(metadata: Mapping[str, Any]) -> dict[str, Value]:
    """What can be kept and filtered by; nested values as JSON."""
    kept: dict[str, Value] = {}
    for name, value in metadata.items():
        if value is None or name in _FLEETING:
            continue
        if isinstance(value, str | int | float | bool):
            kept[str(name)] = value
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            kept[str(name)] = list(value)
        else:
            kept[str(name)] = json.dumps(value, ensure_ascii=False, default=str)
    return kept
