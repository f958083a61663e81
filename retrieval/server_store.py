"""`Store` on a Qdrant server or cluster: one collection per knowledge base, named `kbqa-NAME`.

The only file that knows qdrant_client's API; importing it costs .9 s, so nothing imports this file
unless a base lies on a server. Payload, vectors and indexes are those of `retrieval.edge_store`:
the terms are analysed by us, and the engine's Word tokenizer only cuts them at blanks.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped, unused-ignore]
import httpx
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    RateLimited,
    StorageError,
    TimedOut,
    Unreachable,
)
from retrieval.batching import batches
from retrieval.embedding import Vectors
from retrieval.store import BM25_B, BM25_K, KEYWORD_FIELDS, TERMS, VECTOR, Point, Scored, Where

PORT = 6333  # of the HTTP API, where the URL names none; gRPC listens on the next one
COLLECTION_PREFIX = "kbqa-"
SCAN_PAGE = 1000
COUNT_THREADS = 8  # a question has some 10 terms, each a request of its own
KEY_VARIABLE = "KBQA_QDRANT_API_KEY"
_NAME = re.compile(r"[\w.-]{1,200}\Z", re.ASCII)  # the server allows 255 characters


def connect(url: str, *, api_key: str | None, grpc: bool, timeout: float) -> QdrantClient:
    """A client for the server at `url`; nothing is sent yet.

    `timeout` holds for each request, in seconds, rounded up. With `grpc`, requests go to the port
    after that of the URL. Raises BadRequest for what is no URL, NotAuthorised for what is no key.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError as exc:
        raise BadRequest(f"'{url}' is no URL of a Qdrant server: {exc}") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"'{url}' is no URL of a Qdrant server: use http://HOST:{PORT}/NAME")
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise NotAuthorised(f"{KEY_VARIABLE} holds characters that no API key has")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return QdrantClient(
        url=f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}",
        grpc_port=port + 1,
        prefer_grpc=grpc,
        timeout=math.ceil(timeout),
        # not `api_key=`, which warns on stderr where the connection is not https, as on localhost
        headers={"api-key": api_key} if api_key else None,
        check_compatibility=False,  # asks from a thread and warns on stderr
    )


class ServerStore:
    """A knowledge base on a server. Any number of processes and threads; closes its client."""

    def __init__(self, client: QdrantClient, name: str, *, dimension: int | None = None) -> None:
        """Open the base `name`, or create it for vectors of `dimension`.

        Indexes that are missing, because someone was killed while creating the base, are made.
        Raises BadRequest for what is no name or no base of kbqa, StorageError if there is none and
        `dimension` is None.
        """
        self._client = client
        self._collection = _collection(name)
        self._url = _url(client)
        self._local = _is_local(client)
        self._pool = ThreadPoolExecutor(COUNT_THREADS, "kbqa-count")  # threads start when used
        try:
            with _mapped(self._url):
                self._open(dimension)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def exists(client: QdrantClient, name: str) -> bool:
        """Whether there is a base `name` on the server."""
        collection = _collection(name)
        with _mapped(_url(client)):
            return client.collection_exists(collection)

    def write(self, points: Sequence[Point]) -> None:
        """Insert points or replace those of the same id."""
        for batch in batches(points):
            with _mapped(self._url):
                structs = [_to_engine(point) for point in batch]
                self._client.upsert(self._collection, structs, wait=True)

    def read(
        self, ids: Sequence[int], *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> dict[int, Point]:
        """The points that exist among `ids`, with the named payload fields or all of them."""
        found: dict[int, Point] = {}
        payload = True if fields is None else list(fields)
        for first in range(0, len(ids), SCAN_PAGE):
            page = list(ids[first : first + SCAN_PAGE])
            with _mapped(self._url):
                records = self._client.retrieve(
                    self._collection, page, with_payload=payload, with_vectors=vectors
                )
            found.update((point.id, point) for point in map(_from_engine, records))
        return found

    def scan(
        self, where: Where, *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """Every point that matches."""
        condition = _filter(where)
        payload = True if fields is None else list(fields)
        offset = None
        while True:
            with _mapped(self._url):
                records, offset = self._client.scroll(
                    self._collection,
                    condition,
                    limit=SCAN_PAGE,
                    offset=offset,
                    with_payload=payload,
                    with_vectors=vectors,
                )
            yield from map(_from_engine, records)
            if offset is None:
                return

    def delete(self, ids: Sequence[int]) -> None:
        """Remove points by id; ids that do not exist are ignored."""
        if ids:
            self._delete(models.PointIdsList(points=list(ids)))

    def delete_where(self, where: Where, *, unless: Where | None = None) -> None:
        """Remove the points that match `where` and do not match `unless`."""
        self._delete(models.FilterSelector(filter=_filter(where, unless)))

    def search(
        self, vector: Vectors | None, terms: str, *, limit: int, where: Where | None = None
    ) -> tuple[list[Scored], list[Scored]]:
        """Both legs as one request: (cosine similarity, BM25), each best first, ties by id."""
        if limit < 1:
            return [], []
        queries: list[tuple[Any, str]] = []
        if vector is not None:
            queries.append((models.NearestQuery(nearest=vector.tolist()), VECTOR))
        if terms:
            queries.append((_text_query(terms), TERMS))
        if not queries:
            return [], []
        condition = _filter(where) if where else None
        requests = [
            models.QueryRequest(
                query=query, using=using, filter=condition, limit=limit, with_payload=False
            )
            for query, using in queries
        ]
        with _mapped(self._url):
            found = self._client.query_batch_points(self._collection, requests)
        legs = [_ranked(response.points) for response in found]
        dense = legs.pop(0) if vector is not None else []
        return dense, legs.pop(0) if legs else []

    def count(self, where: Where) -> int:
        """Number of points that match, exact."""
        return self._count(_filter(where))

    def term_counts(self, terms: Sequence[str]) -> list[int]:
        """In how many points each term occurs, exact."""
        filters = [
            models.Filter(
                must=[models.FieldCondition(key=TERMS, match=models.MatchText(text=term))]
            )
            for term in terms
        ]
        if self._local or len(filters) < 2:
            return list(map(self._count, filters))
        return list(self._pool.map(self._count, filters))

    def optimize(self, *, more_to_come: bool = False) -> None:
        """Nothing: a server indexes in the background by itself."""

    def close(self) -> None:
        """Close the connection. Closing twice does no harm."""
        self._pool.shutdown()
        self._client.close()

    def _open(self, dimension: int | None) -> None:
        created = False
        if not self._client.collection_exists(self._collection):
            if dimension is None:
                raise StorageError(f"there is no collection {self._collection} at {self._url}")
            created = self._create(dimension)
        info = self._client.get_collection(self._collection)
        vectors = info.config.params.vectors
        if not isinstance(vectors, dict) or VECTOR not in vectors:
            raise BadRequest(
                f"the collection {self._collection} at {self._url} was not made by kbqa; choose "
                "another name"
            )
        for field, schema in _INDEXES.items():
            if self._local and field != TERMS:
                continue  # that engine has no such indexes, and warns
            if field not in info.payload_schema:
                self._client.create_payload_index(self._collection, field, schema, wait=True)
        if created:
            self._require_text_index()

    def _create(self, dimension: int) -> bool:
        """Make the collection; False if another process was faster."""
        try:
            self._client.create_collection(
                self._collection,
                {VECTOR: models.VectorParams(size=dimension, distance=models.Distance.DOT)},
                # managed servers refuse filters on fields without an index, such as metadata.*
                strict_mode_config=models.StrictModeConfig(enabled=False),
            )
        except (UnexpectedResponse, grpc.RpcError):
            if not self._client.collection_exists(self._collection):
                raise
            return False
        return True

    def _require_text_index(self) -> None:
        """Refuse a server that is too old to rank by BM25, and leave nothing behind there."""
        try:
            self._client.query_points(
                self._collection, query=_text_query("probe"), using=TERMS, limit=1
            )
        except (UnexpectedResponse, grpc.RpcError) as exc:
            if isinstance(exc, UnexpectedResponse) and exc.status_code not in (400, 422):
                raise
            if isinstance(exc, grpc.RpcError) and _code(exc) != "INVALID_ARGUMENT":
                raise
            version = self._client.info().version
            self._client.delete_collection(self._collection)
            raise BadRequest(
                f"Qdrant {version} at {self._url} cannot rank by BM25: kbqa needs Qdrant 1.20 or "
                "newer"
            ) from exc

    def _count(self, condition: models.Filter) -> int:
        with _mapped(self._url):
            return self._client.count(self._collection, condition, exact=True).count

    def _delete(self, selector: models.PointIdsList | models.FilterSelector) -> None:
        with _mapped(self._url):
            self._client.delete(self._collection, selector, wait=True)


_INDEXES: dict[str, models.TextIndexParams | models.PayloadSchemaType] = {
    TERMS: models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.WORD,
        lowercase=True,
        scoring=models.TextScoringParams(type=models.TextScoringType.BM25),
    ),
    **dict.fromkeys(KEYWORD_FIELDS, models.PayloadSchemaType.KEYWORD),
}


def _collection(name: str) -> str:
    if not _NAME.match(name):
        raise BadRequest(
            f"'{name}' is no name for a knowledge base on a server: letters, digits, - _ . only"
        )
    return COLLECTION_PREFIX + name


def _url(client: QdrantClient) -> str:
    options = client.init_options
    return str(options["url"] or options["path"] or options["location"])


def _is_local(client: QdrantClient) -> bool:
    options = client.init_options
    return options["path"] is not None or options["location"] == ":memory:"


def _text_query(terms: str) -> models.TextQuery:
    scoring = models.Bm25Scoring(bm25=models.Bm25Params(k=BM25_K, b=BM25_B))
    return models.TextQuery(text=models.TextQueryInput(query=terms, scoring=scoring))


def _ranked(points: Sequence[models.ScoredPoint]) -> list[Scored]:
    scored = [Scored(int(point.id), point.score) for point in points]
    return sorted(scored, key=lambda item: (-item.score, item.id))


def _to_engine(point: Point) -> models.PointStruct:
    vector: Any = {} if point.vector is None else {VECTOR: point.vector.tolist()}
    return models.PointStruct(id=point.id, vector=vector, payload=dict(point.payload))


def _from_engine(record: models.Record) -> Point:
    vector = record.vector.get(VECTOR) if isinstance(record.vector, dict) else None
    array = None if vector is None else np.asarray(vector, np.float32)
    return Point(int(record.id), record.payload or {}, array)


def _filter(where: Where, unless: Where | None = None) -> models.Filter:
    must: list[Any] = [_condition(field, value) for field, value in where.items()]
    if not unless:
        return models.Filter(must=must)
    exception = models.Filter(must=[_condition(*item) for item in unless.items()])
    return models.Filter(must=must, must_not=[exception])


def _condition(field: str, value: Any) -> models.FieldCondition | models.Filter:
    if isinstance(value, list | tuple | set | frozenset):
        if all(isinstance(item, str) for item in value):
            return models.FieldCondition(key=field, match=models.MatchAny(any=list(value)))
        return models.Filter(should=[_condition(field, item) for item in value])
    if isinstance(value, float):
        return models.FieldCondition(key=field, range=models.Range(gte=value, lte=value))
    if not isinstance(value, str | int) or (isinstance(value, int) and abs(value) >= 2**63):
        raise BadRequest(
            f"cannot filter {field} by {value!r}: use a text, a number, a bool or a list of them"
        )
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


@contextlib.contextmanager
def _mapped(url: str) -> Iterator[None]:
    """Turn the client's exceptions into ours, in one line that names the server."""
    try:
        yield
    except ResponseHandlingException as exc:
        raise _of_transport(exc.source, url) from exc
    except UnexpectedResponse as exc:
        raise _of_status(exc.status_code or 0, exc.content, url) from exc
    except ResourceExhaustedResponse as exc:
        raise RateLimited(
            f"Qdrant at {url} asks to slow down: wait {exc.retry_after_s} s and run it again"
        ) from exc
    except grpc.RpcError as exc:
        raise _of_grpc(_code(exc), _details(exc), url) from exc
    except (ApiException, QdrantException, RuntimeError) as exc:
        raise StorageError(f"Qdrant at {url}: {_line(str(exc))}") from exc
    except json.JSONDecodeError as exc:  # the client lets it through
        raise _no_qdrant(url) from exc
    except (ValueError, TypeError) as exc:  # before anything is sent
        raise BadRequest(f"this cannot be stored at {url}: {_line(str(exc))}") from exc


def _of_transport(source: BaseException, url: str) -> KbqaError:
    if isinstance(source, httpx.TimeoutException):
        return _timed_out(url)
    if isinstance(source, httpx.TransportError):
        if "ssl" in str(source).lower():
            return Unreachable(
                f"{url}: no secure connection ({_line(str(source))}); is it https, and is its "
                "certificate valid?"
            )
        return _unreachable(url, str(source))
    return _no_qdrant(url)  # the reply was not what Qdrant's would be


def _of_status(status: int, content: bytes, url: str) -> KbqaError:
    if status in (401, 403):
        return _refused(url)
    if status == 408:
        return _timed_out(url)
    if status in (502, 503, 504):
        return _unreachable(url, f"status {status}")
    message = _message(content)
    if message is None and status < 500:
        return _no_qdrant(url, f"status {status}")
    return StorageError(f"Qdrant at {url} answered with status {status}: {_line(message or '')}")


def _of_grpc(code: str, details: str, url: str) -> KbqaError:
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return _refused(url)
    if code == "DEADLINE_EXCEEDED":
        return _timed_out(url)
    if code == "UNAVAILABLE":
        return _unreachable(url, f"by gRPC, {details}")
    if code == "UNIMPLEMENTED" or "http2 header with status" in details:
        return _no_qdrant(url, f"gRPC {code}")
    return StorageError(f"Qdrant at {url} answered with {code}: {_line(details)}")


def _code(exc: grpc.RpcError) -> str:
    code = getattr(exc, "code", None)
    return str(code().name) if callable(code) else "UNKNOWN"


def _details(exc: grpc.RpcError) -> str:
    details = getattr(exc, "details", None)
    return str(details() if callable(details) else exc)


def _refused(url: str) -> NotAuthorised:
    return NotAuthorised(f"Qdrant at {url} refused the API key: set {KEY_VARIABLE} to its key")


def _timed_out(url: str) -> TimedOut:
    return TimedOut(f"Qdrant at {url} did not answer in time; is it busy, or is timeout too short?")


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(
        f"cannot reach Qdrant at {url} ({_line(why)}); start it with "
        "`docker compose up -d qdrant`, or correct the URL"
    )


def _no_qdrant(url: str, why: str = "") -> BadRequest:
    reason = f" ({why})" if why else ""
    return BadRequest(f"what answers at {url} is no Qdrant server{reason}; correct the URL")


def _message(content: bytes) -> str | None:
    """What Qdrant says of an error; None if the reply is not Qdrant's."""
    try:
        reply = json.loads(content)
        return str(reply["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:200] or "no reason given"
