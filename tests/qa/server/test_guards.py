"""Requests as an attacker writes them, against a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from qa.server.jobs import Spec
from tests.qa.server.serving import Served, serving, settings_for

SEARCH = "/v1/knowledge-bases/library/search"
QUERY = {"query": "leave"}


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """A server with small limits and a name."""
    limits = {"serve_body_kb": 4, "serve_upload_mb": 1, "serve_body_timeout": 0.2}
    settings = settings_for(data_dir, cache_dir, serve_names=["kb.example.com"], **limits)
    with serving(settings) as running:
        yield running


def raw(served: Served, *pieces: bytes, ends: bool = True) -> bytes:
    """What the server says to these bytes, until it closes the connection."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        said = b""
        with suppress(OSError):  # it may hang up as soon as it has seen enough
            for piece in pieces:
                connection.sendall(piece)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                said += piece
    return said


def head(*lines: str, path: str = SEARCH) -> bytes:
    start = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*start, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8765", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("KB.example.com", 200),
        ("evil.example.com", 421),
        ("kb.example.com.evil.org", 421),
        ("localhost.evil.org", 421),
        ("localhost@evil.org", 421),
        ("127.0.0.1.nip.io", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_only_names_of_the_server_are_answered(served: Served, host: str, status: int) -> None:
    assert served.http.get("/health/live", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{self}"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "{self}"}, 200),
        ({"Origin": "https://KB.example.com"}, 200),  # a proxy has put its own Host
        ({"Origin": "https://kb.example.com", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://kb.example.com:8443", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://kb.example.com.evil.org"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "https://evil.example.com", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "https://["}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{self}"}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(
    served: Served, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.replace("{self}", served.url) for name, value in headers.items()}
    reply = served.http.post(SEARCH, json=QUERY, headers=sent)
    assert reply.status_code == status
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_form_of_another_site_is_no_json(served: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = served.http.post(SEARCH, content=b'{"query":"x"}', headers={"Content-Type": kind})
        assert reply.status_code == 422


def test_a_long_body_is_refused_whether_announced_or_not(served: Served) -> None:
    long = b'{"query": "' + b"x" * 5000 + b'"}'
    assert served.http.post(SEARCH, content=long).status_code == 413
    chunked = served.http.post(
        SEARCH, content=iter([long]), headers={"Content-Type": "application/json"}
    )
    assert chunked.status_code == 413
    assert chunked.json()["type"] == "urn:kbqa:problem:too-large"
    upload = served.http.post(
        "/v1/knowledge-bases/library/documents?uri=a.txt", content=iter([b"x" * 2**20, b"y"])
    )
    assert upload.status_code == 413
    assert not (served.service.uploads.root("library") / "a.txt").exists()


def test_a_body_that_does_not_come_is_not_waited_for(served: Served) -> None:
    said = raw(served, head("Content-Length: 100"), b'{"query', ends=False)
    assert said.startswith(b"HTTP/1.1 408 ")
    upload = head("Content-Length: 100", path="/v1/knowledge-bases/library/documents?uri=b.txt")
    assert raw(served, upload, b"abc", ends=False).startswith(b"HTTP/1.1 408 ")
    assert not (served.service.uploads.root("library") / "b.txt").exists()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 16", "Content-Length: 5"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Content-Length: -1"],
        ["Content-Length: 0x10"],
        ["Content-Length : 16"],
        ["X: a\rb"],
        ["X-Bad\0: 1"],
    ],
    ids=" + ".join,
)
def test_a_body_of_doubtful_length_is_never_two_requests(
    served: Served, lines: Sequence[str]
) -> None:
    smuggled = b"0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    said = raw(served, head(*lines), smuggled)
    assert said.count(b"HTTP/1.1 ") == 1
    assert said.split()[1].startswith(b"4")
    assert b"Traceback" not in said


def test_long_headers_and_paths_are_refused(served: Served) -> None:
    assert b" 200 " not in raw(served, head("X: " + "x" * 200_000))
    deep = served.http.get("/v1/knowledge-bases/" + "%2e%2e%2f" * 20 + "etc/passwd")
    assert deep.status_code in (404, 422)
    for name in ("..%2f..", "%00", ".server", "a%5cb"):
        refused = served.http.get(f"/v1/knowledge-bases/{name}")
        assert refused.status_code in (404, 422), name


def test_compressed_bodies_are_not_unpacked(served: Served) -> None:
    reply = served.http.post(
        SEARCH,
        content=b"\x1f\x8b" + bytes(100),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert reply.status_code in (400, 422)


def test_json_as_attackers_write_it(served: Served) -> None:
    bodies = [b"[" * 2000, b'{"query": NaN}', b'{"query": "\\ud800"}', b'{"query": 1e999}',
              b"\xff\xfe", b"", b'{"query":"x","k":' + b"9" * 3000 + b"}"]  # fmt: skip
    for body in bodies:
        reply = served.http.post(SEARCH, content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code in (200, 400, 422), body[:20]


def test_a_body_that_does_not_say_that_it_is_json(served: Served) -> None:
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        reply = served.http.post(SEARCH, content=b'{"query": "leave"}', headers=headers)
        assert reply.status_code == 422
        assert "Content-Type: application/json" in reply.json()["detail"]
        assert len(reply.json()["errors"]) == 1


def test_what_a_client_makes_up_is_cut_short_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    long = "x" * 10_000
    secret = "kbqa_0123456789ab_TopSecretTopSecret"
    with caplog.at_level("INFO", logger="qa"):
        for path in (f"/{long}", f"/v1/knowledge-bases/{long}", f"/{secret}"):
            served.http.get(path)
        served.http.request(long.upper(), "/")
        served.http.get("/health/live")  # the line of a request is written after its reply
    told = [vars(record)["fields"] for record in caplog.records if record.message == "request"]
    lines = [line for line in told if line["method"] != "POST" and line["status"] != 200]
    assert [line["status"] for line in lines] == [404, 422, 404, 405]
    assert all(len(str(line)) < 500 for line in lines)
    assert lines[2]["route"] == "/kbqa_0123456789ab..."


def test_head_is_get_without_the_body(served: Served) -> None:
    for path in ("/", "/health/live", "/v1/knowledge-bases", "/nothing"):
        get, head = served.http.get(path), served.http.head(path)
        assert head.status_code == get.status_code
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.content == b""
    served.service.database.write(  # nothing takes it up: its events do not end
        "INSERT INTO jobs (id, kb, spec, state, created) VALUES (?, 'library', ?, 'queued', 0)",
        *(job := "0" * 16, json.dumps(asdict(Spec("", "nowhere")))),
    )
    endless = served.http.head(f"/v1/knowledge-bases/library/ingest-jobs/{job}/events")
    assert endless.headers["content-type"].startswith("text/event-stream")
    refused = served.http.put("/v1/knowledge-bases", timeout=10)  # on the same connection
    served.service.jobs.forget("library")
    assert refused.headers["allow"] == "GET, HEAD, POST"
    assert served.http.head(SEARCH).status_code == 405


def test_every_refusal_is_a_problem(served: Served) -> None:
    refusals: list[httpx2.Response] = [
        served.http.get("/nothing"),
        served.http.put(SEARCH, json={}),
        served.http.post(SEARCH, json={"query": ""}),
        served.http.get("/health/live", headers={"Host": "evil.org"}),
        served.http.post(SEARCH, json=QUERY, headers={"Origin": "null"}),
    ]
    assert [reply.status_code for reply in refusals] == [404, 405, 422, 421, 403]
    for reply in refusals:
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json()
        assert problem["status"] == reply.status_code
        assert problem["type"].startswith("urn:kbqa:problem:")
        assert problem["instance"].endswith(reply.headers["x-request-id"])
