"""The connection to a Qdrant server."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from qdrant_client import QdrantClient

from ingest.errors import BadRequest, NotAuthorised
from retrieval.server_errors import KEY_VARIABLE

PORT = 6333  # of the HTTP API, where the URL names none; gRPC listens on the next one


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


def url_of(client: QdrantClient) -> str:
    """Where a client talks to, for messages."""
    options = client.init_options
    return str(options["url"] or options["path"] or options["location"])


def is_local(client: QdrantClient) -> bool:
    """Whether it is qdrant-client's own engine in Python, which has no payload indexes."""
    options = client.init_options
    return options["path"] is not None or options["location"] == ":memory:"
