"""A small real server of the OpenAI API on the loopback that misbehaves on demand.

    with ScriptedServer(lambda messages: "Paris [1]", script=[status(500), well]) as server:
        ask(server.base_url)
    assert server.requests[0].body["model"] == "m"

Each request takes the next behaviour of `script`; when it is used up, `then`. A behaviour is a
function that is given the `Exchange`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
TICK = 0.05  # seconds between the signs of life of a server that trickles

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. `headers` have lower-case names."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class ScriptedServer:
    """Listens on a free port of 127.0.0.1 from `with` to its end; `requests` is what came.

    `left` is set when a client went away in the middle of an `endless` answer.
    """

    def __init__(
        self,
        answer: Callable[[Messages], str] = lambda messages: "Paris [1]",
        *,
        script: Iterable[Behaviour] = (),
        then: Behaviour | None = None,
        dimension: int = 8,
    ) -> None:
        self.answer = answer
        self.dimension = dimension
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self.left = threading.Event()
        self._script = list(script)
        self._then = then or well
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.scripted = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        """The URL to configure."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def next(self, behaviour: Behaviour) -> None:
        """Add to what is left of the script."""
        with self._lock:
            self._script.append(behaviour)

    def next_behaviour(self, request: Request) -> Behaviour:
        """Note the request and say how to treat it."""
        with self._lock:
            self.requests.append(request)
            return self._script.pop(0) if self._script else self._then

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()  # joins the threads of the requests
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 256  # connections at once that are not accepted yet; 5 by default
    scripted: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._exchange({})

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        self._exchange(json.loads(self.rfile.read(size)))

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are silent."""

    def _exchange(self, body: Mapping[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body)
        behave = self.server.scripted.next_behaviour(request)
        behave(Exchange(self, request, self.server.scripted))
        self.close_connection = True


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, handler: _Handler, request: Request, server: ScriptedServer) -> None:
        self._handler = handler
        self.request = request
        self.server = server

    @property
    def streams(self) -> bool:
        return bool(self.request.body.get("stream"))

    def send(
        self,
        status: int,
        body: str,
        *,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/json",
    ) -> None:
        """A whole reply."""
        content = body.encode()
        self.start(status, {"Content-Length": str(len(content)), **(headers or {})}, media_type)
        self.write(content)

    def start(self, status: int, headers: Mapping[str, str], media_type: str) -> None:
        """Status line and headers."""
        self._handler.send_response(status)
        everything = {"Content-Type": media_type, "Connection": "close", **headers}
        for name, value in everything.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, content: bytes) -> None:
        self._handler.wfile.write(content)
        self._handler.wfile.flush()

    def start_stream(self) -> None:
        self.start(200, {"Transfer-Encoding": "chunked"}, "text/event-stream")

    def write_chunk(self, text: str) -> None:
        """A chunk of a stream; "" ends it."""
        content = text.encode()
        self.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def write_event(self, event: Mapping[str, Any] | str) -> None:
        text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        self.write_chunk(f"data: {text}\n\n")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the server at most; True when it came."""
        return self.server.stopping.wait(seconds)


Behaviour = Callable[[Exchange], None]


def well(exchange: Exchange) -> None:
    """What the API's description says."""
    path = exchange.request.path
    if path.endswith("/chat/completions"):
        answer = exchange.server.answer(exchange.request.body["messages"])
        _reply(exchange, {"content": answer}, usage=USAGE)
    elif path.endswith("/embeddings"):
        exchange.send(200, json.dumps(_embeddings(exchange)))
    elif path.endswith("/models"):
        exchange.send(200, json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}))
    else:
        status(404, "no such path")(exchange)


def status(code: int, message: str = "", **headers: str) -> Behaviour:
    """An error; `headers` as `retry_after="1"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": {"message": message or f"scripted {code}", "code": None}})
    return lambda exchange: exchange.send(code, body, headers=named)


def text(body: str, *, code: int = 200, media_type: str = "application/json") -> Behaviour:
    """Any body: malformed JSON, a web page."""
    return lambda exchange: exchange.send(code, body, media_type=media_type)


def after(seconds: float, behaviour: Behaviour = well) -> Behaviour:
    """A slow server."""

    def behave(exchange: Exchange) -> None:
        if not exchange.wait(seconds):
            behaviour(exchange)

    return behave


def hang(exchange: Exchange) -> None:
    """No answer at all."""
    exchange.wait()


def hang_in_stream(exchange: Exchange) -> None:
    """Headers, one piece, and no more."""
    exchange.start_stream()
    exchange.write_event(_event({"content": "Par"}))
    exchange.wait()


def trickle(exchange: Exchange) -> None:
    """Signs of life for ever, and no answer."""
    exchange.start_stream()
    while not exchange.wait(TICK):
        exchange.write_chunk(": still here\n\n")


def drip(piece: str, gone: threading.Event) -> Behaviour:
    """The same piece again and again; `gone` is set when the client has closed the connection."""

    def behave(exchange: Exchange) -> None:
        exchange.start_stream()
        try:
            while not exchange.wait(TICK):
                exchange.write_event(_event({"content": piece}))
        except OSError:
            gone.set()

    return behave


def cut_stream(exchange: Exchange) -> None:
    """The connection breaks within the body."""
    exchange.start_stream()
    exchange.write_event(_event({"content": "Par"}))


def stop_early(exchange: Exchange) -> None:
    """A body that ends properly, in the middle of the answer."""
    cut_stream(exchange)
    exchange.write_chunk("")


def stream_of(*events: Mapping[str, Any] | str) -> Behaviour:
    """Exactly these events."""

    def behave(exchange: Exchange) -> None:
        exchange.start_stream()
        for event in events:
            exchange.write_event(event)
        exchange.write_chunk("")

    return behave


def no_choices(exchange: Exchange) -> None:
    """A reply that holds no answer."""
    exchange.send(200, json.dumps({"object": "chat.completion", "choices": []}))


def no_usage(exchange: Exchange) -> None:
    """An answer of a server that does not count."""
    answer = exchange.server.answer(exchange.request.body["messages"])
    _reply(exchange, {"content": answer}, usage=None)


def saying(content: str, *, finish: str = "stop", reasoning: str = "") -> Behaviour:
    """This answer, with what the model thought in a field of its own."""
    message = {"content": content, **({"reasoning_content": reasoning} if reasoning else {})}
    return lambda exchange: _reply(exchange, message, usage=USAGE, finish=finish)


def endless(exchange: Exchange) -> None:
    """An answer that goes on until the client is gone; says so to `exchange.server.left`."""
    exchange.start_stream()
    with contextlib.suppress(OSError):
        while not exchange.wait(0.001):
            exchange.write_event(_event({"content": "and "}))
        return
    exchange.server.left.set()


def blind(exchange: Exchange) -> None:
    """The server of a model that takes text only."""
    messages = exchange.request.body["messages"]
    refuse = status(400, "this model does not support image input")
    (well if all(isinstance(m["content"], str) for m in messages) else refuse)(exchange)


def refusing(argument: str, message: str = "") -> Behaviour:
    """400 to every request that carries `argument`."""
    refuse = status(400, message or f"Unrecognized request argument: {argument}")
    return lambda exchange: (refuse if argument in exchange.request.body else well)(exchange)


def _reply(
    exchange: Exchange,
    message: Mapping[str, str],
    *,
    usage: Mapping[str, int] | None,
    finish: str = "stop",
) -> None:
    if not exchange.streams:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        reply: dict[str, Any] = {"id": "c", "object": "chat.completion", "model": "m", "created": 0}
        exchange.send(200, json.dumps({**reply, "choices": [choice], "usage": usage}))
        return
    events = [_event({name: piece}) for name, whole in message.items() for piece in _cut(whole)]
    events.append(_event({}, finish))
    if usage and exchange.request.body.get("stream_options", {}).get("include_usage"):
        events.append({**_event({}), "choices": [], "usage": usage})
    stream_of(*events, "[DONE]")(exchange)


def _event(delta: Mapping[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "m",
        "created": 0,
        "choices": [choice],
    }


def _cut(whole: str) -> list[str]:
    """Pieces of three characters: tags and marks are spread over several."""
    return [whole[start : start + 3] for start in range(0, len(whole), 3)]


def _embeddings(exchange: Exchange) -> dict[str, Any]:
    texts = exchange.request.body["input"]
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": vector(text, exchange.server.dimension),
        }
        for index, text in enumerate(texts)
    ]
    # the order of the reply is not that of the request
    return {"object": "list", "model": "m", "data": rows[::-1], "usage": USAGE}


def vector(text: str, dimension: int) -> list[float]:
    """A vector that depends on the text only; not of length 1."""
    digest = hashlib.shake_128(text.encode()).digest(dimension)
    return [byte - 127.5 for byte in digest]
