"""The exceptions of qdrant_client as ours, in one line that names the server."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import grpc  # type: ignore[import-untyped, unused-ignore]
import httpx
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

KEY_VARIABLE = "KBQA_QDRANT_API_KEY"


@contextlib.contextmanager
def mapped(url: str) -> Iterator[None]:
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
        raise _of_grpc(grpc_code(exc), _details(exc), url) from exc
    except (ApiException, QdrantException, RuntimeError) as exc:
        raise StorageError(f"Qdrant at {url}: {_line(str(exc))}") from exc
    except (json.JSONDecodeError, AssertionError) as exc:  # the client lets them through
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


def grpc_code(exc: grpc.RpcError) -> str:
    """The name of the status that a call ended with: UNAVAILABLE, for example."""
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
