from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qa.server.app import build_service
from qa.server.ids import id_of
from qa.server.jobs import Spec
from qa.server.keys import Role
from tests.qa.server.serving import Served, events_of, serving, settings_for

pytestmark = pytest.mark.integration

LIBRARY = "/v1/knowledge-bases/library"
QUESTION = "How many days of annual leave do I have?"


def ended(served: Served, job: dict[str, Any]) -> dict[str, Any]:
    """A job when it has ended, as its events tell."""
    url = f"/v1/knowledge-bases/{job['kb']}/ingest-jobs/{job['id']}/events"
    last: dict[str, Any] = json.loads(events_of(served.http.get(url))[-1][1])
    return last


def test_bases_are_listed_and_described(served: Served) -> None:
    listed = served.http.get("/v1/knowledge-bases").json()
    assert [base["name"] for base in listed["knowledge_bases"]] == ["library", "other"]
    status = served.http.get(LIBRARY).json()
    assert (status["documents"], status["types"]) == (4, {"md": 2, "pdf": 1, "txt": 1})
    assert "location" not in status


def test_a_base_is_made_once(served: Served) -> None:
    made = served.http.post("/v1/knowledge-bases", json={"name": "new"})
    assert (made.status_code, made.json()["documents"]) == (201, 0)
    again = served.http.post("/v1/knowledge-bases", json={"name": "new"})
    assert again.status_code == 409
    for name in (".server", "../up", "a/b", "", "a\n", "中" * 100):
        refused = served.http.post("/v1/knowledge-bases", json={"name": name})
        assert refused.status_code in (400, 422), name


def test_a_base_is_removed_with_all_that_is_kept_of_it(served: Served) -> None:
    base = "/v1/knowledge-bases/doomed"
    served.http.post("/v1/knowledge-bases", json={"name": "doomed"})
    sent = served.http.post(f"{base}/documents?uri=a.md", content=b"# A\n\nThe gate is green.")
    assert ended(served, sent.json()["job"])["state"] == "done"
    begun = served.http.post(f"{base}/conversations").json()["id"]
    question = {"question": "Which colour has the gate?"}
    assert "green" in served.http.post(f"{base}/conversations/{begun}/ask", json=question).text
    verdict = {**question, "answer": "Green.", "helpful": True}
    assert served.http.post(f"{base}/feedback", json=verdict).is_success
    assert served.http.delete(base).status_code == 204
    assert served.http.delete(base).status_code == 404
    assert served.http.post(f"{base}/ask", json=question).status_code == 404
    assert served.http.post("/v1/knowledge-bases", json={"name": "doomed"}).json()["chunks"] == 0
    for kept in ("documents", "conversations", "feedback", "ingest-jobs"):
        listed = served.http.get(f"{base}/{kept}").json()
        assert [value for value in listed.values() if value] == [], kept
    assert not served.service.uploads.root("doomed").exists()
    assert served.http.delete(base).status_code == 204


def test_an_upload_into_a_base_that_is_removed_meanwhile_leaves_nothing(served: Served) -> None:
    incoming = served.service.uploads.root(".incoming")

    def body(*, made_again: bool) -> Iterator[bytes]:
        yield b"# A\n\n"
        until = time.monotonic() + 30
        while not list(incoming.glob("*")) and time.monotonic() < until:
            time.sleep(0.01)
        served.service.delete_base("doomed")
        if made_again:
            served.service.create_base("doomed")
        yield b"The gate is green."

    for again in (False, True):
        served.service.create_base("doomed")
        url = "/v1/knowledge-bases/doomed/documents?uri=a.md"
        assert served.http.post(url, content=body(made_again=again)).status_code == 404
        assert not served.service.uploads.root("doomed").exists()
        assert served.service.jobs.list("doomed", 10) == []
    served.service.delete_base("doomed")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_removal_that_was_cut_off_is_finished(
    tmp_path: Path, cache_dir: Path, elsewhere: bool
) -> None:
    named = {"kb": str(tmp_path / "doomed")} if elsewhere else {}
    settings = settings_for(tmp_path / "data", cache_dir, **named)
    with closing(build_service(settings)) as service:
        for name in ("doomed", "other"):
            service.bases.create(name)
        uploads = service.uploads.root("doomed")
        uploads.mkdir(parents=True)
        (uploads / "a.md").write_text("The gate is green.")
        service.keys.create(Role.READER, ["doomed"])
        for name in ("doomed", "other"):  # as a kill leaves it: one base gone, one not yet
            service.database.write("INSERT INTO deletions VALUES (?)", name)
        service.bases.delete("doomed")
    with serving(settings) as served:  # the next server finishes it
        assert not uploads.exists()
        assert served.service.keys.list() == []
        assert [served.service.bases.has(name) for name in ("doomed", "other")] == [False, True]
        assert served.service.database.read("SELECT * FROM deletions") == []


def test_a_base_of_which_files_are_left_is_gone_with_its_keys(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    with serving(settings_for(tmp_path / "data", cache_dir)) as served:
        assert served.http.post("/v1/knowledge-bases", json={"name": "doomed"}).status_code == 201
        served.service.keys.create(Role.READER, ["doomed"])
        admin, text = served.service.keys.create(Role.ADMIN)
        served.http.headers["Authorization"] = f"Bearer {text}"
        with monkeypatch.context() as patched:
            patched.setattr("retrieval.edge_folders.shutil.rmtree", refused)
            assert served.http.delete("/v1/knowledge-bases/doomed").status_code == 503
        assert [key.id for key in served.service.keys.list()] == [admin.id]
        assert served.http.delete("/v1/knowledge-bases/doomed").status_code == 404


def test_the_base_of_the_settings_is_made_and_removed_too(tmp_path: Path, cache_dir: Path) -> None:
    settings = settings_for(tmp_path / "data", cache_dir, kb=str(tmp_path / "own"))
    with serving(settings) as served:
        for _ in range(2):
            made = served.http.post("/v1/knowledge-bases", json={"name": "own"})
            assert made.status_code == 201
            again = served.http.post("/v1/knowledge-bases", json={"name": "own"})
            assert again.status_code == 409
            removed = [served.http.delete("/v1/knowledge-bases/own") for _ in range(2)]
            assert [reply.status_code for reply in removed] == [204, 404]


def test_documents_are_listed_page_by_page(served: Served) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        url = f"{LIBRARY}/documents"
        page = served.http.get(url, params={"limit": 3, "after": after}).json()
        assert page["total"] == 4
        seen += [row["uri"] for row in page["documents"]]
        after = page["next"]
    assert seen == sorted(seen)
    assert len(seen) == 4
    only = served.http.get(f"{LIBRARY}/documents", params={"type": "pdf"}).json()
    assert [row["uri"] for row in only["documents"]] == ["furnace.pdf"]


def test_a_document_is_read_by_its_id(served: Served) -> None:
    url = f"{LIBRARY}/documents/{id_of('产品/手册.md')}"
    row = served.http.get(url).json()
    assert (row["uri"], row["state"], row["kind"]) == ("产品/手册.md", "ok", "md")
    assert "润滑油" in served.http.get(f"{url}/text").json()["text"]
    assert served.http.get(f"{url}/quality").json()["poor"] is False


def test_a_page_is_a_span_of_the_text(served: Served) -> None:
    url = f"{LIBRARY}/documents/{id_of('furnace.pdf')}"
    pages = served.http.get(f"{url}/pages").json()["pages"]
    whole = served.http.get(f"{url}/text").json()
    second = served.http.get(f"{url}/text", params={"page": 2}).json()
    assert "E-17" in second["text"]
    assert second["start"] == pages[1]["start"]
    assert whole["text"][pages[1]["start"] : pages[1]["end"]] == second["text"]
    assert served.http.get(f"{url}/text", params={"page": 9}).status_code == 400


def test_search_explains_itself(served: Served) -> None:
    query = {"query": "annual leave", "k": 2, "filter": "type:md", "explain": True}
    found = served.http.post(f"{LIBRARY}/search", json=query).json()
    assert found["hits"][0]["uri"] == "handbook.md"
    assert found["explanation"]["timings"]["search"] > 0
    reasons = found["explanation"]["reasons"]
    assert [why["rank"] > 0 for why in reasons] == [True] * len(found["hits"])
    query = {"query": "annual leave", "filter": "type:"}
    refused = served.http.post(f"{LIBRARY}/search", json=query)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("filter")


def test_an_answer_comes_whole(served: Served) -> None:
    answer = served.http.post(f"{LIBRARY}/ask", json={"question": QUESTION}).json()
    assert "25 days" in answer["text"]
    assert answer["citations"][0]["uri"] == "handbook.md"
    assert answer["citations"][0]["verified"] is True
    said = answer["statements"][0]
    assert answer["citations"][said["citations"][0]]["uri"] == "handbook.md"
    assert said["text"] in answer["text"][said["start"] : said["end"]]


def test_an_answer_comes_as_events(served: Served) -> None:
    reply = served.http.post(
        f"{LIBRARY}/ask", json={"question": QUESTION}, headers={"Accept": "text/event-stream"}
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [(name, json.loads(text)) for name, text in events_of(reply)]
    names = list(dict.fromkeys(name for name, _ in events))
    assert names == ["hits", "token", "citations", "done"]
    said = "".join(value["text"] for name, value in events if name == "token")
    assert said == events[-1][1]["text"]
    assert events[-1][1]["statements"]


def test_a_file_is_uploaded_read_replaced_read_again_and_deleted(served: Served) -> None:
    base = "/v1/knowledge-bases/other"
    for colour in ("blue", "green"):
        sent = served.http.post(
            f"{base}/documents",
            params={"uri": "rooms/paint.md"},
            content=f"# Paint\n\nThe meeting room is painted {colour}.".encode(),
        )
        assert sent.status_code == 202
        assert ended(served, sent.json()["job"])["state"] == "done"
        answer = served.http.post(
            f"{base}/ask", json={"question": "In what colour is the meeting room painted?"}
        )
        assert colour in answer.json()["text"]
    url = f"{base}/documents/{id_of('rooms/paint.md')}"
    job = served.http.post(f"{url}/reingest").json()
    assert ended(served, job)["report"]["unchanged"] == 1
    assert served.http.delete(url).status_code == 204
    assert served.http.get(url).status_code == 404
    assert served.http.delete(url).status_code == 404
    assert not (served.service.uploads.root("other") / "rooms/paint.md").exists()


def test_an_upload_is_the_file_itself(served: Served) -> None:
    url = f"{LIBRARY}/documents?uri=form.md"
    form = served.http.post(url, files={"file": ("form.md", b"The gate is green.")})
    assert (form.status_code, "--data-binary" in form.json()["detail"]) == (415, True)
    packed = served.http.post(url, content=b"x", headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, "'gzip'" in packed.json()["detail"]) == (415, True)
    assert served.http.get(f"{LIBRARY}/documents?path=form.md").json()["total"] == 0


def test_whoever_follows_a_job_that_is_forgotten_is_told(served: Served) -> None:
    id_ = "f" * 16
    served.service.database.write(  # nothing takes it up
        "INSERT INTO jobs (id, kb, spec, state, created) VALUES (?, 'other', ?, 'queued', 0)",
        *(id_, json.dumps(asdict(Spec("", "nowhere")))),
    )
    url = f"/v1/knowledge-bases/other/ingest-jobs/{id_}/events"
    with served.http.stream("GET", url) as reply:
        lines = reply.iter_lines()
        assert next(lines) == "event: progress"
        served.service.jobs.forget("other")
        told = [line for line in lines if line.startswith("event: ")]
    assert told == ["event: error"]


def test_what_cannot_be_read_is_told_and_kept(served: Served) -> None:
    base = "/v1/knowledge-bases/other"
    sent = served.http.post(
        f"{base}/documents", params={"uri": "broken.pdf"}, content=b"%PDF-1.7 no"
    )
    job = ended(served, sent.json()["job"])
    assert job["report"]["failed"] == 1
    row = served.http.get(f"{base}/documents/{id_of('broken.pdf')}").json()
    assert row["state"] == "failed"
    assert row["error"]
    text = served.http.get(f"{base}/documents/{id_of('broken.pdf')}/text")
    assert text.status_code == 409


def test_an_upload_is_not_blamed_for_another_file(served: Served) -> None:
    base = "/v1/knowledge-bases/other"
    uploads = served.service.uploads.root("other")
    refused = served.http.post(
        f"{base}/documents", params={"uri": "new/x.XYZ"}, content=b"\x00\x01\x02"
    )
    assert refused.status_code == 415
    assert refused.json()["detail"] == "files of type .xyz are not supported"
    assert not (uploads / "new").exists()
    uploads.mkdir(parents=True, exist_ok=True)
    (uploads / "x.xyz").write_bytes(b"\x00")  # as an older server kept it
    sent = served.http.post(
        f"{base}/documents", params={"uri": "good.md"}, content=b"# Good\n\nYes."
    )
    report = ended(served, sent.json()["job"])["report"]
    assert (report["added"], report["failures"], report["skips"]) == (1, [], [])
    assert (report["failed"], report["skipped"]) == (0, 0)


def test_a_document_from_elsewhere_is_not_read_again(served: Served) -> None:
    url = f"{LIBRARY}/documents/{id_of('handbook.md')}/reingest"
    assert served.http.post(url).status_code == 409


def test_patterns_of_a_job_are_bounded(served: Served) -> None:
    form = {"folder": "docs", "include": ["*" * 501]}
    assert served.http.post(f"{LIBRARY}/ingest-jobs", json=form).status_code == 422
    form = {"folder": "docs", "exclude": ["*.md"] * 101}
    assert served.http.post(f"{LIBRARY}/ingest-jobs", json=form).status_code == 422


def test_evaluation(served: Served) -> None:
    form = {
        "questions": [{"question": QUESTION, "document": "handbook.md", "answer": "25 days"}],
        "measures": ["hit@1"],
        "answers": True,
    }
    found = served.http.post(f"{LIBRARY}/eval", json=form).json()
    assert found["figures"]["hit@1"]["all"]["mean"] == 1.0
    assert found["outcomes"][0]["said"]["text"]


def test_health_and_metrics(served: Served) -> None:
    assert served.http.get("/health/live").json() == {"status": "ok"}
    assert served.http.get("/health/ready").json() == {"status": "ok"}
    served.http.post(f"{LIBRARY}/search", json={"query": "leave"})
    text = served.http.get("/metrics").text
    assert 'kbqa_requests_total{method="POST",route="/v1/knowledge-bases/{kb}/search"' in text
    assert 'kbqa_chunks{kb="library"}' in text


def test_requests_that_nothing_answers_do_not_make_metrics_grow(served: Served) -> None:
    def sizes() -> int:
        return len(served.http.get("/metrics").text.splitlines())

    for method, path in (("M0", "/nothing"), ("M0", LIBRARY), ("GET", "/metrics")):
        served.http.request(method, path)
    before = sizes()
    for number in range(1, 5):
        served.http.request(f"M{number}", f"/nothing/{number}")
        served.http.request(f"M{number}", LIBRARY)
        served.http.request("M0", f"/v1/knowledge-bases/nothing-{number}")
    assert sizes() == before
    assert 'method="other"' in served.http.get("/metrics").text


def test_every_reply_has_an_id_and_is_not_kept_by_caches(served: Served) -> None:
    reply = served.http.get("/nothing", headers={"X-Request-ID": "from-the-proxy-1"})
    assert reply.headers["x-request-id"] == "from-the-proxy-1"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["instance"] == "urn:kbqa:request:from-the-proxy-1"
