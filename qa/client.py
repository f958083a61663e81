"""A knowledge base behind `kbqa serve`, with the methods of one that is here.

>>> with RemoteKnowledgeBase("http://127.0.0.1:8765", "handbook") as kb:
...     print(kb.ask("How many days of leave do I have?").text)

`AsyncRemoteKnowledgeBase` has the same methods, to be awaited. Both drive the flows of
`qa.client_calls`.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, ParamSpec, Self, TypeVar, overload

import anyio
import httpx2

from ingest.errors import (
    BadRequest,
    KbqaError,
    LoadError,
    Locked,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    StorageError,
    TimedOut,
    Unreachable,
)
from qa import client_calls, client_sending
from qa.client_calls import Call, Flow, OnEvent, Wait
from qa.client_replies import clear_form
from qa.prompting import Prompts

P = ParamSpec("P")
T = TypeVar("T")

PIECE = 1024 * 1024  # bytes of a file that are read at a time
EVENTS = "text/event-stream"
BASES = "/v1/knowledge-bases"
_TYPE = "urn:kbqa:problem:"
ERRORS: Mapping[str, type[KbqaError]] = {  # of what is not here: BadRequest for 4xx, Unreachable
    "not-authenticated": NotAuthorised,
    "forbidden": NotAuthorised,
    "too-many-requests": RateLimited,
    "upstream-refused": NotAuthorised,
    "upstream-busy": RateLimited,
    "upstream-slow": TimedOut,
    "too-slow": TimedOut,
    "not-configured": NotConfigured,
    "locked": Locked,
    "storage": StorageError,
}


class _Method(Generic[P, T]):
    """A flow as a method: called at once in the one client, to be awaited in the other."""

    def __init__(self, flow: Callable[P, Flow[T]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: RemoteKnowledgeBase, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(
        self, client: AsyncRemoteKnowledgeBase, owner: type
    ) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self
        return lambda *args, **options: client._run(self._flow(*args, **options))


class _Methods:
    """Those of a knowledge base, and what a server keeps besides."""

    search = _Method(client_calls.search)
    explain = _Method(client_calls.explain)
    ask = _Method(client_calls.ask)
    documents = _Method(client_calls.documents)
    document = _Method(client_calls.document)
    file_state = _Method(client_calls.file_state)
    status = _Method(client_calls.status)
    diagnose = _Method(client_calls.diagnose)
    remove = _Method(client_calls.remove)
    delete = _Method(client_calls.delete)
    export = _Method(client_calls.export)
    ingest = _Method(client_sending.ingest)
    retry = _Method(client_sending.retry)
    begin_conversation = _Method(client_calls.begin_conversation)
    ask_further = _Method(client_calls.ask_further)
    conversations = _Method(client_calls.conversations)
    conversation = _Method(client_calls.conversation)
    forget_conversation = _Method(client_calls.forget_conversation)
    give_feedback = _Method(client_calls.give_feedback)
    feedback_questions = _Method(client_calls.feedback_questions)


class RemoteKnowledgeBase(_Methods):
    """The base `name` of the server at `url`. Usable from several threads; a context manager.

    Errors are those that a base raises here, NotAuthorised for a wrong key, Unreachable where
    nothing answers.
    """

    def __init__(
        self, url: str, name: str, *, key: str = "", timeout: float = 300.0, location: str = ""
    ) -> None:
        """`location`: where the base lies, if that is known; else its address on the server."""
        self._url = url
        with _clear_errors_of(url):
            self._http = httpx2.Client(**_options(url, key, timeout))
        self._path = f"{BASES}/{name}"
        self.location = location or f"{url.rstrip('/')}{self._path}"

    @property
    def prompts(self) -> Prompts:
        """Templates of what is judged here: kbqa's own, those of the base are the server's."""
        return Prompts()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        said: Any = None
        try:
            while True:
                said = self._done(_next(flow, said))
        except StopIteration as done:
            outcome: T = done.value
            return outcome

    def _done(self, call: Call | Wait) -> Any:
        """The reply; of a request that failed its error."""
        if isinstance(call, Wait):
            time.sleep(call.seconds)
            return None
        try:
            with _clear_errors_of(self._url):
                return self._sent(call)
        except KbqaError as exc:
            return exc

    def _sent(self, call: Call) -> Any:
        content = _pieces(call.file) if call.file else None
        with self._http.stream(**_request(self._path, call), content=content) as response:
            if response.is_success and call.into:
                with _written(call.into) as file:
                    for piece in response.iter_bytes(PIECE):
                        file.write(piece)
                return None
            if not response.is_success or call.on_event is None:
                response.read()
                return _outcome(response)
            events = _Events(response.url, call.on_event)
            for piece in response.iter_bytes():
                events.take(piece)
            return events.last()


class AsyncRemoteKnowledgeBase(_Methods):
    """As `RemoteKnowledgeBase`, for `async with` and `await`."""

    def __init__(self, url: str, name: str, *, key: str = "", timeout: float = 300.0) -> None:
        self._url = url
        with _clear_errors_of(url):
            self._http = httpx2.AsyncClient(**_options(url, key, timeout))
        self._path = f"{BASES}/{name}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        said: Any = None
        try:
            while True:
                said = await self._done(_next(flow, said))
        except StopIteration as done:
            outcome: T = done.value
            return outcome

    async def _done(self, call: Call | Wait) -> Any:
        """The reply; of a request that failed its error."""
        if isinstance(call, Wait):
            await anyio.sleep(call.seconds)
            return None
        try:
            with _clear_errors_of(self._url):
                return await self._sent(call)
        except KbqaError as exc:
            return exc

    async def _sent(self, call: Call) -> Any:
        content = _apieces(call.file) if call.file else None
        async with self._http.stream(**_request(self._path, call), content=content) as response:
            if response.is_success and call.into:
                with _written(call.into) as file:
                    async for piece in response.aiter_bytes(PIECE):
                        file.write(piece)
                return None
            if not response.is_success or call.on_event is None:
                await response.aread()
                return _outcome(response)
            events = _Events(response.url, call.on_event)
            async for piece in response.aiter_bytes():
                events.take(piece)
            return events.last()


# --- what both say and understand ---


def _next(flow: Flow[Any], said: Any) -> Call | Wait:
    """What a flow does upon a reply, or upon the error of its request."""
    if isinstance(said, KbqaError):
        return flow.throw(said)
    with clear_form():
        return flow.send(said)


class _Events:
    """The bytes of a stream into events. Raises what the event `error` tells, and Unreachable for
    what is no stream of ours."""

    def __init__(self, url: httpx2.URL, on_event: OnEvent) -> None:
        self._url, self._on_event = url, on_event
        self._name = ""
        self._rest = b""  # of the last piece: a line that is not at its end
        self._last: Any = None

    def take(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take_line(line.rstrip(b"\r"))

    def last(self) -> Any:
        """What the last event told."""
        if self._last is None:
            raise Unreachable(f"{self._url} is no kbqa server: its reply has no events")
        return self._last

    def _take_line(self, line: bytes) -> None:
        field, _, value = line.partition(b": ")
        if field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"data":
            self._last = _parsed(value, self._url)
            if self._name == "error":
                raise _error(self._last, None)
            self._on_event(self._name, self._last)


def _options(url: str, key: str, timeout: float) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout, connect=10.0),
    }


def _request(path: str, call: Call) -> dict[str, Any]:
    url = f"{path}{call.path}"
    request: dict[str, Any] = {"method": call.method, "url": url, "params": call.params}
    if call.body is not None:
        request["json"] = call.body
    if call.on_event is not None:
        request["headers"] = {"Accept": EVENTS}
    return request


def _pieces(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while piece := opened.read(PIECE):
                yield piece
    except OSError as exc:
        raise LoadError(str(file), f"cannot be read: {exc.strerror or exc}") from exc


async def _apieces(file: Path) -> AsyncIterator[bytes]:
    for piece in _pieces(file):
        yield piece


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file to write. Raises StorageError where that fails."""
    try:
        with path.open("wb") as file:
            yield file
    except OSError as exc:
        raise StorageError(f"cannot write in {path.parent}: {exc.strerror or exc}") from exc


def _outcome(response: httpx2.Response) -> Any:
    said = _parsed(response.content, response.url) if response.content else None
    if not response.is_success:
        raise _error(said, response.headers.get("retry-after"))
    return said


def _parsed(reply: bytes, url: httpx2.URL) -> Any:
    try:
        return json.loads(reply)
    except (ValueError, RecursionError) as exc:
        raise Unreachable(f"{url} is no kbqa server: its reply is no JSON") from exc


def _error(problem: Any, retry_after: str | None) -> KbqaError:
    if not isinstance(problem, Mapping) or not str(problem.get("type")).startswith(_TYPE):
        return Unreachable("what answers is no kbqa server")
    name = problem["type"].removeprefix(_TYPE)
    kind = ERRORS.get(name)
    detail, status = str(problem.get("detail")), problem.get("status")
    status = status if isinstance(status, int) else 500
    if name == "not-authenticated":
        detail += "; the key is the setting server_key (KBQA_SERVER_KEY), in Python `key=`"
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    if kind is None:
        kind = BadRequest if status < 500 else Unreachable
    if kind is RateLimited:
        return RateLimited(detail, retry_after=wait)
    if kind is Unreachable:
        return Unreachable(detail, transient=status == 503, retry_after=wait)
    return kind(detail)


@contextmanager
def _clear_errors_of(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.TimeoutException as exc:
        raise TimedOut(f"{url} took too long to answer") from exc
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as exc:
        raise BadRequest(f"'{url}' is no address of a server: {exc}") from exc
    except httpx2.HTTPError as exc:
        message = f"{url} does not answer ({exc}): is `kbqa serve` running?"
        raise Unreachable(message, transient=True) from exc
