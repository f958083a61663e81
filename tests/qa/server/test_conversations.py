"""Conversations over HTTP: they go on, are kept, and are those of one key with one base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.server.keys import Role
from tests.qa.server.serving import Served, events_of, serving, settings_for

pytestmark = pytest.mark.integration

PATH = "/v1/knowledge-bases/library/conversations"
QUESTION = "How many days of annual leave do employees have?"


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """A server that has keys."""
    with serving(settings_for(data_dir, cache_dir, serve_rate=100_000)) as running:
        running.service.bases.create("other")
        yield running


def test_a_conversation_goes_on_and_is_kept(served: Served) -> None:
    key = served.key(Role.READER)
    id_ = served.http.post(PATH, headers=key).json()["id"]
    assert served.http.get(f"{PATH}/{id_}", headers=key).json() == {"id": id_, "exchanges": []}
    first = served.http.post(f"{PATH}/{id_}/ask", json={"question": QUESTION}, headers=key).json()
    assert "25 days" in first["text"]
    further = served.http.post(
        f"{PATH}/{id_}/ask",
        json={"question": "And when does it expire?"},
        headers={**key, "Accept": "text/event-stream"},
    )
    assert {"hits", "citations", "done"} <= {event for event, _ in events_of(further)}
    kept = served.http.get(f"{PATH}/{id_}", headers=key).json()["exchanges"]
    assert [said["question"] for said in kept] == [QUESTION, "And when does it expire?"]
    assert kept[0]["text"] == first["text"]
    assert kept[0]["citations"] == first["citations"]
    (listed,) = served.http.get(PATH, headers=key).json()["conversations"]
    assert (listed["id"], listed["title"], listed["exchanges"]) == (id_, QUESTION, 2)
    assert served.http.delete(f"{PATH}/{id_}", headers=key).status_code == 204
    assert served.http.get(f"{PATH}/{id_}", headers=key).status_code == 404
    assert served.http.get(PATH, headers=key).json() == {"conversations": []}


def test_nobody_reads_another_keys_conversation(served: Served) -> None:
    mine, other = served.key(Role.READER), served.key(Role.ADMIN)
    id_ = served.http.post(PATH, headers=mine).json()["id"]
    asked = {"question": QUESTION}
    assert served.http.get(PATH, headers=other).json() == {"conversations": []}
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("POST", "/ask", asked),
    ):  # fmt: skip
        reply = served.http.request(method, f"{PATH}/{id_}{path}", json=body, headers=other)
        assert reply.status_code == 404
    elsewhere = PATH.replace("library", "other")
    assert served.http.get(f"{elsewhere}/{id_}", headers=mine).status_code == 404
    assert served.http.get(f"{PATH}/{id_}", headers=mine).status_code == 200


def test_a_question_that_fails_leaves_the_conversation_as_it_was(served: Served) -> None:
    key = served.key(Role.READER)
    id_ = served.http.post(PATH, headers=key).json()["id"]
    for body, status in (
        ({"question": ""}, 422),
        ({"question": "Who?", "filter": "colour:red"}, 400),
        ({"question": "Who?", "more": 1}, 422),
    ):
        reply = served.http.post(f"{PATH}/{id_}/ask", json=body, headers=key)
        assert reply.status_code == status, reply.text
    assert served.http.get(f"{PATH}/{id_}", headers=key).json()["exchanges"] == []
    assert served.http.get(f"{PATH}/not-an-id", headers=key).status_code == 422
