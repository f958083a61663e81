"""A Qdrant server in small: its REST API over qdrant-client's local engine, on the loopback.

It proves what travels (paths, bodies, round trips), not what the real engine answers.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models

COLLECTION = r"/collections/(?P<collection>[^/]+)"


class QdrantOverHttp:
    """Listens on a free port from `with` to its end.

    `requests` is each (method, path), `bodies` what came with them.
    """

    def __init__(self, *, api_key: str | None = None, ranks: bool = True) -> None:
        """`ranks=False` is a server from before text queries."""
        self.api_key = api_key
        self.ranks = ranks
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.indexes: dict[str, dict[str, Any]] = {}
        self._engine = QdrantClient(":memory:")
        self._lock = threading.Lock()  # the engine is not made for threads
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.qdrant = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._engine.close()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The `result` of a request. Raises LookupError, ValueError as the engine does."""
        with self._lock:
            self.requests.append((method, path))
            self.bodies.append(body)
            for wanted, pattern, handle in ROUTES:
                match = re.fullmatch(pattern, path)
                if wanted == method and match:
                    return handle(self, body=body, **match.groupdict())
        raise LookupError(path)

    def _exists(self, collection: str, body: Any) -> Any:
        return {"exists": self._engine.collection_exists(collection)}

    def _info(self, collection: str, body: Any) -> Any:
        schema = {
            name: {"data_type": given["type"] if isinstance(given, dict) else given, "points": 0}
            for name, given in self.indexes.get(collection, {}).items()
        }
        return {**_plain(self._engine.get_collection(collection)), "payload_schema": schema}

    def _create(self, collection: str, body: Any) -> Any:
        vectors = models.CreateCollection(**body).vectors
        return self._engine.create_collection(collection, vectors)

    def _drop(self, collection: str, body: Any) -> Any:
        return self._engine.delete_collection(collection)

    def _index(self, collection: str, body: Any) -> Any:
        field, schema = body["field_name"], body["field_schema"]
        self.indexes.setdefault(collection, {})[field] = schema
        if isinstance(schema, dict) and schema["type"] == "text":
            params = models.TextIndexParams(**schema)
            return self._engine.create_payload_index(collection, field, params)
        return _DONE

    def _upsert(self, collection: str, body: Any) -> Any:
        return self._engine.upsert(collection, models.PointsList(**body).points)

    def _retrieve(self, collection: str, body: Any) -> Any:
        asked = models.PointRequest(**body)
        return self._engine.retrieve(
            collection,
            asked.ids,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )

    def _scroll(self, collection: str, body: Any) -> Any:
        asked = models.ScrollRequest(**body)
        points, offset = self._engine.scroll(
            collection,
            asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )
        return {"points": _plain(points), "next_page_offset": offset}

    def _delete(self, collection: str, body: Any) -> Any:
        selector: Any = TypeAdapter(models.PointsSelector).validate_python(body)
        return self._engine.delete(collection, selector)

    def _count(self, collection: str, body: Any) -> Any:
        asked = models.CountRequest(**body)
        assert asked.exact
        return self._engine.count(collection, asked.filter)

    def _query_batch(self, collection: str, body: Any) -> Any:
        return self._query(collection, models.QueryRequestBatch(**body).searches)

    def _query_one(self, collection: str, body: Any) -> Any:
        return self._query(collection, [models.QueryRequest(**body)])[0]

    def _query(self, collection: str, requests: list[models.QueryRequest]) -> Any:
        if not self.ranks and any(isinstance(one.query, models.TextQuery) for one in requests):
            raise ValueError("Format error in JSON body: unknown variant `text`")
        return self._engine.query_batch_points(collection, requests)

    def _version(self, body: Any) -> Any:
        return {"title": "qdrant", "version": "1.12.0"}


_DONE = {"operation_id": 0, "status": "completed"}
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/", QdrantOverHttp._version),
    ("GET", f"{COLLECTION}/exists", QdrantOverHttp._exists),
    ("GET", COLLECTION, QdrantOverHttp._info),
    ("PUT", COLLECTION, QdrantOverHttp._create),
    ("DELETE", COLLECTION, QdrantOverHttp._drop),
    ("PUT", f"{COLLECTION}/index", QdrantOverHttp._index),
    ("PUT", f"{COLLECTION}/points", QdrantOverHttp._upsert),
    ("POST", f"{COLLECTION}/points", QdrantOverHttp._retrieve),
    ("POST", f"{COLLECTION}/points/scroll", QdrantOverHttp._scroll),
    ("POST", f"{COLLECTION}/points/delete", QdrantOverHttp._delete),
    ("POST", f"{COLLECTION}/points/count", QdrantOverHttp._count),
    ("POST", f"{COLLECTION}/points/query", QdrantOverHttp._query_one),
    ("POST", f"{COLLECTION}/points/query/batch", QdrantOverHttp._query_batch),
]


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    qdrant: QdrantOverHttp


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_GET(self) -> None:
        self._exchange()

    def do_POST(self) -> None:
        self._exchange()

    def do_PUT(self) -> None:
        self._exchange()

    def do_DELETE(self) -> None:
        self._exchange()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are silent."""

    def _exchange(self) -> None:
        qdrant = self.server.qdrant
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size) or b"null")
        path = self.path.partition("?")[0]
        if qdrant.api_key is not None and self.headers.get("api-key") != qdrant.api_key:
            self._send(401, b"Must provide an API key or an Authorization bearer token")
            return
        try:
            reply = _plain(qdrant.answer(self.command, path, body))
        except LookupError:
            self._send(404, b"")
        except ValueError as exc:
            self._reply(400, {"status": {"error": str(exc)}, "time": 0})
        else:
            extra = reply if path == "/" else {"result": reply, "status": "ok"}
            self._reply(200, {**extra, "time": 0})

    def _reply(self, status: int, reply: Any) -> None:
        self._send(status, json.dumps(reply).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, list) else value
