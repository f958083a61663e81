"""What the server does when clients leave and services fail."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import pytest

from ingest.errors import StorageError
from qa.server.ids import id_of
from tests.qa.server.serving import Served, events_of, serving, settings_for
from tests.scripted_server import Behaviour, Exchange, ScriptedServer, status, well

pytestmark = pytest.mark.integration

ASK = "/v1/knowledge-bases/library/ask"
QUESTION = {"question": "How many days of annual leave do I have?"}
STREAM = {"Accept": "text/event-stream"}
CHAT = {
    "model": "library",
    "messages": [{"role": "user", "content": QUESTION["question"]}],
}


class Endless:
    """A model that goes on until its reader hangs up; `stopped` tells that it did."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        exchange.start_stream()
        try:
            while not exchange.wait(0.01):
                delta = {"choices": [{"index": 0, "delta": {"content": "and so on "}}]}
                exchange.write_event(delta)
        except OSError:
            self.stopped.set()


class Switched:
    """A model server whose behaviour a test changes."""

    def __init__(self) -> None:
        self.behave: Behaviour = well

    def __call__(self, exchange: Exchange) -> None:
        self.behave(exchange)


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[Switched, ScriptedServer]]:
    switched = Switched()
    with ScriptedServer(lambda messages: "You have 25 days. [1]", then=switched) as server:
        yield switched, server


@pytest.fixture(scope="module")
def served(
    data_dir: Path, cache_dir: Path, model: tuple[Switched, ScriptedServer]
) -> Iterator[Served]:
    """A server whose answers a scripted model writes."""
    settings = settings_for(
        data_dir,
        cache_dir,
        model=["openai:m"],
        base_url=model[1].base_url,
        api_key="k",
        model_attempts=1,
        serve_concurrency=200,
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def switched(model: tuple[Switched, ScriptedServer]) -> Iterator[Switched]:
    yield model[0]
    model[0].behave = well


def test_a_client_that_leaves_a_stream_stops_the_model(served: Served, switched: Switched) -> None:
    for path, form in ((ASK, QUESTION), ("/v1/chat/completions", {**CHAT, "stream": True})):
        switched.behave = endless = Endless()
        with served.http.stream("POST", path, json=form, headers=STREAM) as reply:
            for line in reply.iter_lines():
                if "and so on" in line:
                    break
        assert endless.stopped.wait(20)


def test_a_client_that_leaves_a_whole_answer_stops_the_model(
    served: Served, switched: Switched
) -> None:
    switched.behave = endless = Endless()
    with pytest.raises(httpx2.ReadTimeout):
        served.http.post(ASK, json=QUESTION, timeout=1)
    assert endless.stopped.wait(20)


@pytest.mark.parametrize(
    ("code", "status_", "slug"),
    [
        (500, 503, "upstream-unreachable"),
        (429, 503, "upstream-busy"),
        (401, 502, "upstream-refused"),
    ],
)
def test_a_model_that_fails_is_told_and_asked_again_next_time(
    served: Served, switched: Switched, code: int, status_: int, slug: str
) -> None:
    switched.behave = status(code, "the secret reason")
    whole = served.http.post(ASK, json=QUESTION)
    assert (whole.status_code, whole.json()["type"]) == (status_, f"urn:kbqa:problem:{slug}")
    assert ("retry-after" in whole.headers) is (status_ == 503)
    streamed = events_of(served.http.post(ASK, json=QUESTION, headers=STREAM))
    assert [name for name, _ in streamed] == ["hits", "error"]
    assert "secret" not in whole.text + str(streamed)
    switched.behave = well
    assert "25 days" in served.http.post(ASK, json=QUESTION).json()["text"]


def test_a_hundred_streams_at_once_and_none_is_lost(served: Served) -> None:
    async def one(http: httpx2.AsyncClient) -> list[tuple[str, str]]:
        return events_of(await http.post(ASK, json=QUESTION, headers=STREAM))

    async def all_() -> Sequence[list[tuple[str, str]]]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=served.url, timeout=60, limits=limits) as http:
            return await asyncio.gather(*(one(http) for _ in range(100)))

    for events in asyncio.run(all_()):
        assert events[0][0] == "hits"
        assert events[-1][0] == "done", events[-1]


def test_a_full_disk_is_a_503_until_there_is_room(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, *arguments: object) -> None:
        raise OSError(28, "No space left on device")

    url = "/v1/knowledge-bases/library/documents"
    with monkeypatch.context() as broken:
        broken.setattr("qa.server.uploads.os.fsync", full)
        refused = served.http.post(url, params={"uri": "new.txt"}, content=b"x")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert "space" not in refused.text
    assert not (served.service.uploads.root("library") / "new.txt").exists()
    taken = served.http.post(url, params={"uri": "new.txt"}, content=b"The bus leaves at noon.")
    assert taken.status_code == 202


def test_a_store_that_is_down_is_a_503_until_it_is_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*arguments: object, **options: object) -> None:
        raise StorageError("Qdrant at http://qdrant.internal:6333 answered with status 500")

    search = "/v1/knowledge-bases/library/search"
    base = served.service.bases.open("library")
    with monkeypatch.context() as broken:
        broken.setattr(base._opened.store, "search", down)
        refused = served.http.post(search, json={"query": "leave"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert "qdrant" not in refused.text
        assert served.http.get("/health/ready").status_code == 503
        assert served.http.get("/health/live").status_code == 200
    assert served.http.post(search, json={"query": "leave"}).status_code == 200
    assert served.http.get("/health/ready").status_code == 200


def test_a_bomb_that_is_uploaded_costs_nobody_else_anything(served: Served) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.txt", bytes(200 * 2**20))
    url = "/v1/knowledge-bases/library"
    sent = served.http.post(
        f"{url}/documents", params={"uri": "bomb.zip"}, content=packed.getvalue()
    )
    assert sent.status_code == 202
    assert served.http.post(f"{url}/search", json={"query": "leave"}).status_code == 200
    events = served.http.get(f"{url}/ingest-jobs/{sent.json()['job']['id']}/events")
    assert '"state": "done"' in events_of(events)[-1][1]
    row = served.http.get(f"{url}/documents/{id_of('bomb.zip')}").json()
    assert row["state"] in ("failed", "container")
    assert row["chunks"] == 0
