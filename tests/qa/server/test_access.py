"""Who may what: every route, role by role and base by base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx2
import pytest

from qa.server.ids import id_of
from qa.server.jobs import Spec
from qa.server.keys import Role
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.integration

ROLES = list(Role)
# route -> the least role; None: open to all. `+`: only for keys of all bases.
TABLE = {
    "GET /health/live": None,
    "GET /health/ready": None,
    "GET /metrics": "reader+",
    "GET /v1/me": "reader",
    "GET /v1/knowledge-bases": "reader",
    "POST /v1/knowledge-bases": "admin+",
    "GET /v1/knowledge-bases/{kb}": "reader",
    "DELETE /v1/knowledge-bases/{kb}": "admin+",
    "GET /v1/knowledge-bases/{kb}/export": "admin",
    "GET /v1/knowledge-bases/{kb}/documents": "reader",
    "POST /v1/knowledge-bases/{kb}/documents": "editor",
    "GET /v1/knowledge-bases/{kb}/documents/{id}": "reader",
    "DELETE /v1/knowledge-bases/{kb}/documents/{id}": "editor",
    "GET /v1/knowledge-bases/{kb}/documents/{id}/text": "reader",
    "GET /v1/knowledge-bases/{kb}/documents/{id}/pages": "reader",
    "GET /v1/knowledge-bases/{kb}/documents/{id}/pages/{number}/image": "reader",
    "GET /v1/knowledge-bases/{kb}/documents/{id}/quality": "reader",
    "POST /v1/knowledge-bases/{kb}/documents/{id}/reingest": "editor",
    "GET /v1/knowledge-bases/{kb}/ingest-jobs": "editor",
    "POST /v1/knowledge-bases/{kb}/ingest-jobs": "editor",
    "GET /v1/knowledge-bases/{kb}/ingest-jobs/{id}": "editor",
    "GET /v1/knowledge-bases/{kb}/ingest-jobs/{id}/events": "editor",
    "POST /v1/knowledge-bases/{kb}/ingest-jobs/{id}/cancel": "editor",
    "POST /v1/knowledge-bases/{kb}/search": "reader",
    "POST /v1/knowledge-bases/{kb}/ask": "reader",
    "POST /v1/knowledge-bases/{kb}/eval": "editor",
    "POST /v1/knowledge-bases/{kb}/conversations": "reader",
    "GET /v1/knowledge-bases/{kb}/conversations": "reader",
    "GET /v1/knowledge-bases/{kb}/conversations/{id}": "reader",
    "DELETE /v1/knowledge-bases/{kb}/conversations/{id}": "reader",
    "POST /v1/knowledge-bases/{kb}/conversations/{id}/ask": "reader",
    "POST /v1/knowledge-bases/{kb}/feedback": "reader",
    "GET /v1/knowledge-bases/{kb}/feedback": "editor",
    "GET /v1/knowledge-bases/{kb}/feedback/questions": "editor",
    "GET /v1/models": "reader",
    "GET /v1/models/{model}": "reader",
    "POST /v1/chat/completions": "reader",
    "POST /v1/embeddings": "reader",
}
# they show what the key is for
UNSCOPED = {"GET /v1/me", "GET /v1/knowledge-bases", "GET /v1/models"}
BODIES: dict[str, dict[str, Any]] = {
    "search": {"query": "leave"},
    "ask": {"question": "Who?"},
    "eval": {"questions": [{"question": "Who?", "document": "nothing"}]},
    "feedback": {"question": "Who?", "answer": "", "helpful": True},
    "ingest-jobs": {"folder": "nothing"},
    "knowledge-bases": {"name": "."},
    "completions": {"model": "{kb}", "messages": [{"role": "user", "content": "Who?"}]},
    "embeddings": {"model": "{kb}", "input": "x"},
}


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """A server that has keys."""
    with serving(settings_for(data_dir, cache_dir, serve_rate=100_000)) as running:
        running.service.bases.create("other")
        running.service.database.write(  # while a job of it waits, a base is not removed
            "INSERT INTO jobs (id, kb, spec, state, created) VALUES ('0', 'library', ?, ?, 0)",
            *(json.dumps(asdict(Spec("", "nowhere"))), "queued"),
        )
        running.service.keys.create(Role.ADMIN)
        yield running


def call(served: Served, route: str, kb: str, headers: dict[str, str]) -> httpx2.Response:
    """A request that changes nothing: of things that are not there, or with an invalid name."""
    method, _, path = route.partition(" ")
    id_ = (
        "0123456789abcdef" if "ingest-jobs" in path or "conversations" in path else id_of("nothing")
    )
    path = (
        path.replace("{kb}", kb)
        .replace("{id}", id_)
        .replace("{model}", kb)
        .replace("{number}", "1")
    )
    name = path.rpartition("/")[2]
    if method == "POST" and name == "documents":
        return served.http.post(f"{path}?uri=..", content=b"x", headers=headers)
    body = dict(BODIES.get(name, {}))
    if "model" in body:
        body["model"] = kb
    return served.http.request(
        method, path, json=body if method == "POST" else None, headers=headers
    )


def test_the_table_names_every_route(served: Served) -> None:
    described = served.http.get("/openapi.json").json()["paths"]
    routes = {f"{m.upper()} {path}" for path, methods in described.items() for m in methods}
    assert routes == TABLE.keys()


@pytest.mark.parametrize("route", TABLE)
def test_every_role_gets_what_it_may_of_its_bases(served: Served, route: str) -> None:
    least, everywhere = (TABLE[route] or "").rstrip("+"), (TABLE[route] or "").endswith("+")
    wrong = {"Authorization": "Bearer kbqa_0123456789ab_wrong"}
    for headers in ({}, wrong):
        refused = call(served, route, "library", headers).status_code == 401
        assert refused is bool(least)
    for role in ROLES:
        for scope in ((), ("library",), ("other",)):
            reply = call(served, route, "library", served.key(role, *scope))
            may = not least or ROLES.index(role) >= ROLES.index(Role(least))
            seen = not least or not scope or (not everywhere and "library" in scope)
            if route in UNSCOPED:
                seen = True
            assert (reply.status_code not in (401, 403)) is (may and seen), (role, scope, reply)
            assert reply.status_code < 500


def test_a_base_out_of_scope_looks_the_same_whether_it_exists(served: Served) -> None:
    key = served.key(Role.READER, "other")
    replies = [call(served, "POST /v1/knowledge-bases/{kb}/search", kb, key) for kb in
               ("library", "nothing")]  # fmt: skip
    assert [reply.status_code for reply in replies] == [403, 403]
    listed = served.http.get("/v1/knowledge-bases", headers=key).json()
    assert listed == {"knowledge_bases": [{"name": "other"}]}


def test_a_key_tells_what_it_is_for(served: Served) -> None:
    for role in ROLES:
        told = served.http.get("/v1/me", headers=served.key(role, "other", "library")).json()
        assert (told["role"], told["knowledge_bases"]) == (role, ["library", "other"])
    key = served.key(Role.READER)
    told = served.http.get("/v1/me", headers=key).json()
    assert told["knowledge_bases"] is None
    assert told["id"] == key["Authorization"].split("_")[1]


def test_a_revoked_key_is_worth_nothing(served: Served) -> None:
    key, text = served.service.keys.create(Role.READER)
    headers = {"Authorization": f"Bearer {text}"}
    assert served.http.get("/v1/knowledge-bases", headers=headers).status_code == 200
    served.service.keys.revoke(key.id)
    refused = served.http.get("/v1/knowledge-bases", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert text not in refused.text


def test_what_changes_something_is_in_the_audit_log(served: Served, data_dir: Path) -> None:
    headers = served.key(Role.EDITOR)
    call(served, "DELETE /v1/knowledge-bases/{kb}/documents/{id}", "library", headers)
    call(served, "POST /v1/knowledge-bases/{kb}/documents", "library", {})
    log = data_dir / ".server" / "audit.jsonl"
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    deleted, refused = lines[-2:]
    assert (deleted["action"], deleted["kb"], deleted["status"]) == (
        "delete_document", "library", 404,
    )  # fmt: skip
    assert deleted["caller"] == headers["Authorization"].split("_")[1]
    assert (refused["caller"], refused["status"]) == ("", 401)
    assert headers["Authorization"].split("_", 2)[2] not in log.read_text("utf-8")
    assert log.stat().st_mode & 0o077 == 0
