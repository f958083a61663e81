"""The `openai` SDK as kbqa uses it: told everything, guided by no environment variable, and with
an end to every request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import openai

from retrieval.openai_errors import Endpoint, check, retry_after

CONNECT = 10.0  # seconds until a server must have accepted the connection
PATIENCE = 5  # a reply that keeps coming may last this many time-outs


def open_client(endpoint: Endpoint, *, retries: int = 2) -> openai.OpenAI:
    """A client for `endpoint`: close it after use.

    Connection errors, 408, 409, 429 and 5xx are tried again `retries` times with back-off; a
    time-out is not. Proxies and certificates of the environment are not used, redirects not
    followed. Raises BadRequest for an unusable base URL, NotConfigured for an unusable key.
    """
    check(endpoint)
    timeout = httpx2.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout))
    client = openai.OpenAI(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        # None would mean: look into the environment
        admin_api_key="",
        webhook_secret="",
        organization="",
        project="",
        timeout=timeout,
        max_retries=retries,
        http_client=httpx2.Client(
            transport=_Transport(endpoint.timeout), timeout=timeout, trust_env=False
        ),
    )
    client.organization = client.project = None  # "" would be sent as an empty header
    client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS, for which there is no argument
    return client


class _Transport(httpx2.BaseTransport):
    """HTTP whose requests end, and are not repeated once they took too long.

    The SDK repeats a request after httpx2's time-outs, so that a server that hangs would cost
    three of them; it does not repeat one that raises its own error.
    """

    def __init__(self, timeout: float) -> None:
        self._http = httpx2.HTTPTransport(trust_env=False)
        self._timeout = timeout

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        ends = time.monotonic() + self._timeout * PATIENCE
        try:
            response = self._http.handle_request(request)
        except httpx2.TimeoutException as exc:
            raise openai.APITimeoutError(request=request) from exc
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _BoundedStream(response.stream, request, ends)
        if (retry_after(response.headers) or 0) > self._timeout:
            response.headers["x-should-retry"] = "false"  # the SDK would sleep up to two minutes
        return response

    def close(self) -> None:
        self._http.close()


class _BoundedStream(httpx2.SyncByteStream):
    """A body that ends at `ends` (`time.monotonic`), even if the server sends a byte at a time."""

    def __init__(self, stream: httpx2.SyncByteStream, request: httpx2.Request, ends: float) -> None:
        self._stream = stream
        self._request = request
        self._ends = ends

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._stream:
                if time.monotonic() > self._ends:
                    raise openai.APITimeoutError(request=self._request)
                yield part
        except httpx2.TimeoutException as exc:
            raise openai.APITimeoutError(request=self._request) from exc

    def close(self) -> None:
        self._stream.close()
