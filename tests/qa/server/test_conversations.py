"""Conversations over HTTP: they go on, are kept, and are those of one key with one base."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qa.server.keys import Role
from tests.qa.server.serving import Served, events_of, serving, settings_for

pytestmark = pytest.mark.integration

PATH = "/v1/knowledge-bases/library/conversations"
NONE: dict[str, object] = {"conversations": [], "next": None}
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
    assert served.http.get(PATH, headers=key).json() == NONE


def test_nobody_reads_another_keys_conversation(served: Served) -> None:
    mine, other = served.key(Role.READER), served.key(Role.ADMIN)
    id_ = served.http.post(PATH, headers=mine).json()["id"]
    asked = {"question": QUESTION}
    assert served.http.get(PATH, headers=other).json() == NONE
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


def test_conversations_are_listed_page_by_page(served: Served) -> None:
    key = served.key(Role.READER)
    begun = [served.http.post(PATH, headers=key).json()["id"] for _ in range(5)]
    listed: list[str] = []
    after: str | None = ""
    while after is not None:
        url = f"{PATH}?limit=2&after={after}"
        page = served.http.get(url, headers=key).json()
        assert len(page["conversations"]) <= 2
        listed += [one["id"] for one in page["conversations"]]
        after = page["next"]
    assert listed == begun[::-1]
    gone = served.http.get(PATH, params={"after": begun[0]}, headers=served.key(Role.READER))
    assert gone.status_code == 404
    assert served.http.get(PATH, params={"limit": 0}, headers=key).status_code == 422


def test_questions_at_once_in_one_conversation_are_all_kept(served: Served) -> None:
    key = served.key(Role.READER)
    id_ = served.http.post(PATH, headers=key).json()["id"]

    def ask(number: int) -> int:
        question = {"question": f"{QUESTION} ({number})"}
        return served.http.post(f"{PATH}/{id_}/ask", json=question, headers=key).status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(4))) == {200}
    kept = served.http.get(f"{PATH}/{id_}", headers=key).json()["exchanges"]
    assert {said["question"] for said in kept} == {f"{QUESTION} ({n})" for n in range(4)}


def test_a_conversation_outlives_the_server(tmp_path: Path, cache_dir: Path) -> None:
    settings = settings_for(tmp_path, cache_dir)
    with serving(settings) as running:
        running.service.bases.create("library")
        key = running.key(Role.READER)
        id_ = running.http.post(PATH, headers=key).json()["id"]
        asked = {"question": QUESTION}
        running.http.post(f"{PATH}/{id_}/ask", json=asked, headers=key).raise_for_status()
    with serving(settings) as again:
        path = f"{PATH}/{id_}"
        assert len(again.http.get(path, headers=key).json()["exchanges"]) == 1
        further = {"question": "And when does it expire?"}
        answer = again.http.post(f"{path}/ask", json=further, headers=key).json()
        assert answer["query"].startswith(QUESTION)
