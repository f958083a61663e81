"""Collections on a Qdrant server: made with our indexes, and known to be ours."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped, unused-ignore]
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from ingest.errors import BadRequest, StorageError
from retrieval.server_client import is_local, url_of
from retrieval.server_errors import grpc_code
from retrieval.server_scope import SCOPE_FIELD, Scope
from retrieval.store import (
    BM25_B,
    BM25_K,
    DATE_FIELDS,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    PREFIX_FIELDS,
    TERMS,
    VECTOR,
)

# No graph over all bases, one within each: a search must not wade through others' points.
HNSW = models.HnswConfigDiff(m=0, payload_m=16)


def require_collection(
    client: QdrantClient, name: str, scope: Scope, dimension: int | None, *, base: str
) -> None:
    """See that the collection `name` is there, is ours, and has its indexes.

    It is made for vectors of `dimension`; StorageError if that is None. `base` is for messages.
    """
    created = False
    if not client.collection_exists(name):
        if dimension is None:
            raise StorageError(
                f"the collection {name} at {url_of(client)} is gone, and with it the "
                f"knowledge base {base}: restore it, or ingest into another name"
            )
        vectors = models.VectorParams(size=dimension, distance=models.Distance.DOT)
        created = create(client, name, {VECTOR: vectors})
    info = client.get_collection(name)
    found = info.config.params.vectors
    if not isinstance(found, dict) or VECTOR not in found:
        raise BadRequest(
            f"the collection {name} at {url_of(client)} was not made by kbqa; choose another name"
        )
    for field, schema in _INDEXES.items():
        if is_local(client) and field != TERMS:
            continue  # that engine has no such indexes, and warns
        if field not in info.payload_schema:
            client.create_payload_index(name, field, schema, wait=True)
    if created:
        _require_text_index(client, name, scope)


def create(client: QdrantClient, collection: str, vectors: dict[str, models.VectorParams]) -> bool:
    """Make a collection; False if another process was faster."""
    try:
        client.create_collection(
            collection,
            vectors,
            hnsw_config=HNSW if vectors else None,
            # managed servers refuse filters on fields without an index, such as metadata.*
            strict_mode_config=models.StrictModeConfig(enabled=False),
        )
    except (UnexpectedResponse, grpc.RpcError, ValueError):
        if not client.collection_exists(collection):
            raise
        return False
    return True


def text_query(terms: str) -> models.TextQuery:
    """The BM25 query for terms between blanks."""
    scoring = models.Bm25Scoring(bm25=models.Bm25Params(k=BM25_K, b=BM25_B))
    return models.TextQuery(text=models.TextQueryInput(query=terms, scoring=scoring))


def _require_text_index(client: QdrantClient, collection: str, scope: Scope) -> None:
    """Refuse a server that is too old to rank by BM25, and leave nothing behind there."""
    try:
        client.query_points(
            collection,
            query=text_query("probe"),
            using=TERMS,
            query_filter=scope.filter(),
            limit=1,
        )
    except (UnexpectedResponse, grpc.RpcError) as exc:
        if isinstance(exc, UnexpectedResponse) and exc.status_code not in (400, 422):
            raise
        if isinstance(exc, grpc.RpcError) and grpc_code(exc) != "INVALID_ARGUMENT":
            raise
        version = client.info().version
        client.delete_collection(collection)
        raise BadRequest(
            f"Qdrant {version} at {url_of(client)} cannot rank by BM25: kbqa needs Qdrant 1.20 or "
            "newer"
        ) from exc


def _keyword(*, tenant: bool = False, prefix: bool = False) -> models.KeywordIndexParams:
    return models.KeywordIndexParams(
        type=models.KeywordIndexType.KEYWORD,
        is_tenant=tenant or None,
        prefix=prefix or None,
        enable_hnsw=tenant,  # a graph per base, not one per media type over all bases
    )


_INDEXES: dict[str, Any] = {
    SCOPE_FIELD: _keyword(tenant=True),
    TERMS: models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.WORD,
        lowercase=True,
        scoring=models.TextScoringParams(type=models.TextScoringType.BM25),
    ),
    **{name: _keyword(prefix=name in PREFIX_FIELDS) for name in KEYWORD_FIELDS},
    **dict.fromkeys(DATE_FIELDS, models.PayloadSchemaType.DATETIME),
    **dict.fromkeys(INTEGER_FIELDS, models.PayloadSchemaType.INTEGER),
}
