from __future__ import annotations

import json

import pytest

from qa.server.streaming import sse
from tests.qa.server.serving import Served

TEXT = "one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven 年假"


@pytest.mark.parametrize("event", ["token", ""])
def test_no_client_can_take_a_letter_for_the_end_of_a_line(event: str) -> None:
    sent = sse(event, {"text": TEXT}).decode("ascii")
    *name, line = sent.splitlines()[:-1]
    assert name == ([f"event: {event}"] if event else [])
    assert json.loads(line.removeprefix("data: ")) == {"text": TEXT}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/knowledge-bases/library/ask", {"question": "水泵多久加一次润滑油？"}),
        (
            "/v1/chat/completions",
            {
                "model": "library",
                "messages": [{"role": "user", "content": "水泵多久加一次润滑油？"}],
                "stream": True,
            },
        ),
    ],
)
def test_streams_are_ascii(served: Served, path: str, form: dict[str, object]) -> None:
    reply = served.http.post(path, json=form, headers={"Accept": "text/event-stream"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.content.isascii()
    assert json.dumps("五百小时")[1:-1] in reply.text
