"""What the page is made of, and what it needs beside the rest of the API. In a browser it is tried
by tests/end_to_end/test_page.py."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from ingest.documents import Document, Page
from ingest.page_image import CannotDraw, page_image
from qa.evaluation import load_questions
from qa.server.ids import id_of
from qa.server.keys import Role
from qa.server.routes.feedback import LONGEST_QUOTE
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.integration

BASE = "/v1/knowledge-bases/library"
QUESTION = "How many days of annual leave do employees have?"


@pytest.fixture(scope="module")
def served(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that may read the folder of the documents."""
    folder = tmp_path_factory.mktemp("page")
    docs = write_documents(folder / "docs")
    settings = settings_for(folder / "data", cache_dir, serve_rate=100_000, serve_folders=(docs,))
    with serving(settings) as running:
        running.service.bases.create("library").ingest(docs)
        yield running


def test_the_page_may_load_nothing_from_elsewhere(served: Served) -> None:
    page = served.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page.text)


def test_all_that_it_is_made_of_is_there(served: Served) -> None:
    found, waiting = {}, ["/"]
    while waiting:
        path = waiting.pop()
        reply = served.http.get(path)
        assert reply.status_code == 200, path
        found[path] = reply.text
        named = re.findall(r"(?:src|href)=\"(/[^\"]+)\"", reply.text)
        named += [f"/page/{name}" for name in re.findall(r"from \"\./([^\"]+)\"", reply.text)]
        waiting += [one for one in named if one not in found and one not in waiting]
    assert len(found) == 11
    for path, text in found.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text
        )
    assert served.http.get("/page/nothing.js").status_code == 404
    assert served.http.get("/page/..%2fapp.py").status_code == 404


def test_both_languages_say_the_same(served: Served) -> None:
    english, _, chinese = served.http.get("/page/words.js").text.partition("zh: {")
    keys = [re.findall(r"[{,]\s*\"?([\w-]+)\"?: \"", f",{part}") for part in (english, chinese)]
    assert sorted(keys[0]) == sorted(keys[1])
    assert len(keys[0]) > 60


# --- pictures of pages ---


def test_a_page_of_a_pdf_is_drawn(served: Served) -> None:
    path = f"{BASE}/documents/{id_of('furnace.pdf')}/pages"
    reply = served.http.get(f"{path}/2/image")
    assert reply.headers["content-type"] == "image/png", reply.text
    assert Image.open(io.BytesIO(reply.content)).width > 500
    assert served.http.get(f"{path}/99/image").status_code == 404
    text = served.http.get(f"{BASE}/documents/{id_of('handbook.md')}/pages/1/image")
    assert text.status_code == 409


def test_a_file_that_the_server_may_not_read_is_not_drawn(cache_dir: Path, tmp_path: Path) -> None:
    docs = write_documents(tmp_path / "docs")
    with serving(settings_for(tmp_path / "data", cache_dir)) as own:
        own.service.bases.create("library").ingest(docs / "furnace.pdf")
        reply = own.http.get(f"{BASE}/documents/{id_of('furnace.pdf')}/pages/1/image")
    assert reply.status_code == 409
    assert "may read" in reply.json()["detail"]


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and no more")
    with pytest.raises(CannotDraw, match="page 1 cannot be drawn"):
        page_image(str(broken), 1)


# --- feedback ---


def test_feedback_is_kept_with_what_was_cited(served: Served, tmp_path: Path) -> None:
    answer = served.http.post(f"{BASE}/ask", json={"question": QUESTION}).json()
    cited = [{name: one[name] for name in ("uri", "page", "start", "end")}
             for one in answer["citations"]]  # fmt: skip
    gone = {"uri": "gone.md", "page": None, "start": 0, "end": 5}
    for helpful in (False, True):
        reply = served.http.post(
            f"{BASE}/feedback",
            json={"question": QUESTION, "answer": answer["text"], "helpful": helpful,
                  "citations": [*cited, gone]},
        )  # fmt: skip
        assert reply.status_code == 204
    kept = served.http.get(f"{BASE}/feedback").json()["feedback"]
    assert [one["helpful"] for one in kept] == [True, False]
    assert kept[0]["answer"] == answer["text"]
    assert [one["quote"] for one in kept[0]["citations"]] == [
        one["quote"] for one in answer["citations"]
    ]
    document = served.http.get(f"{BASE}/documents/{id_of('handbook.md')}").json()
    assert kept[0]["citations"][0]["sha256"] == document["sha256"]
    lines = served.http.get(f"{BASE}/feedback/questions").text
    (line,) = map(json.loads, lines.splitlines())
    assert (line["question"], line["document"]) == (QUESTION, "handbook.md")
    (tmp_path / "questions.jsonl").write_text(lines, "utf-8")
    (question,) = load_questions(tmp_path / "questions.jsonl").questions
    assert question.text == QUESTION


def test_feedback_keeps_passages_of_the_document_and_no_more(served: Served) -> None:
    base = "/v1/knowledge-bases/pages"
    long = Document(
        "long.txt",
        "0" * 64,
        "The gate is green.\n\n" * 500,
        pages=(Page(1, 0, 2000), Page(2, 2000, 10**4)),
    )
    served.service.bases.create("pages").ingest_documents([long])
    spans = [(0, 18, -7), (0, 10**9, 99), (2000, 2018, None), (9999, 10**9, 1), (18, 20, 1)]
    cited = [{"uri": "long.txt", "start": start, "end": end, "page": page}
             for start, end, page in spans]  # fmt: skip
    form = {"question": " Which colour? ", "answer": "Green.", "helpful": True, "citations": cited}
    assert served.http.post(f"{base}/feedback", json=form).status_code == 204
    (kept,) = served.http.get(f"{base}/feedback").json()["feedback"]
    assert kept["question"] == "Which colour?"
    assert [(one["start"], one["end"], one["page"]) for one in kept["citations"]] == [
        (0, 18, 1), (0, LONGEST_QUOTE, 1), (2000, 2018, 2),
    ]  # fmt: skip
    text = long.text
    assert all(one["quote"] == text[one["start"] : one["end"]] for one in kept["citations"])


def test_feedback_of_another_base_is_not_shown(served: Served) -> None:
    served.service.bases.create("third")
    assert served.http.get("/v1/knowledge-bases/third/feedback").json() == {"feedback": []}


@pytest.mark.parametrize(
    "form",
    [
        {"question": "", "answer": "", "helpful": True},
        {"question": " \u3000\x1c\n", "answer": "", "helpful": True},
        {"question": "Who?", "answer": "", "helpful": "yes"},
        {"question": "Who?", "answer": "", "helpful": True, "citations": [{"uri": "a"}]},
        {"question": "Who?", "answer": "", "helpful": True, "more": 1},
    ],
)
def test_bad_feedback(served: Served, form: dict[str, object]) -> None:
    assert served.http.post(f"{BASE}/feedback", json=form).status_code == 422


def test_a_reader_may_say_and_not_list(cache_dir: Path, tmp_path: Path) -> None:
    with serving(settings_for(tmp_path, cache_dir)) as own:
        own.service.bases.create("library")
        key = own.key(Role.READER)
        form = {"question": "Who?", "answer": "Me.", "helpful": True}
        assert own.http.post(f"{BASE}/feedback", json=form, headers=key).status_code == 204
        assert own.http.get(f"{BASE}/feedback", headers=key).status_code == 403
