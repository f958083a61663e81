"""Flows, driven by a server that is a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import (
    BadRequest,
    KbqaError,
    LoadError,
    NotAuthorised,
    RateLimited,
    StorageError,
    TimedOut,
    Unreachable,
)
from ingest.sync import SyncReport
from qa import client_sending
from qa.client_calls import Call, Flow, Wait
from qa.client_sending import PATIENCE, ingest
from qa.commands.ingest import report_json

FILES = ["a.md", "b.md", "c.md", "d.md"]


class Server:
    """Takes files and reads them. `faults`: what it says first to a request for a file, or for the
    end of its job (`read a.md`); `jobs`: the end of a job that is not read well."""

    def __init__(
        self,
        faults: Mapping[str, Sequence[KbqaError]] | None = None,
        jobs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._faults = {what: list(said) for what, said in (faults or {}).items()}
        self._jobs = jobs or {}
        self.asked: list[str] = []

    def __call__(self, call: Call) -> Any:
        if call.path == "/documents":
            assert call.params
            what = str(call.params["uri"])
        elif call.on_event:
            what = f"read {call.path.split('/')[2]}"
        else:
            what = "base"
        self.asked.append(what)
        if self._faults.get(what):
            raise self._faults[what].pop(0)
        if call.path == "/documents":
            return {"job": {"id": what}}
        report = report_json(SyncReport(added=1, chunks=2))
        return self._jobs.get(what, {"state": "done", "report": report, "error": ""})


def driven(flow: Flow[SyncReport], server: Server) -> tuple[SyncReport, list[float]]:
    """What a flow returns, and how long it wants to wait in between."""
    waits: list[float] = []
    said: Any = None
    try:
        while True:
            step = flow.throw(said) if isinstance(said, KbqaError) else flow.send(said)
            said = None
            if isinstance(step, Wait):
                waits.append(step.seconds)
                continue
            try:
                said = server(step)
            except KbqaError as exc:
                said = exc
    except StopIteration as done:
        return done.value, waits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text("x")
    return tmp_path


def reasons(report: SyncReport) -> dict[str, str]:
    assert report.failed == len(report.failures)
    return {one.uri: one.reason for one in report.failures}


def test_what_is_wrong_with_one_file_is_in_the_report(folder: Path) -> None:
    server = Server({
        "a.md": [BadRequest("the file is empty")],
        "b.md": [LoadError("b.md", "cannot be read: gone")],
        "c.md": [TimedOut("the body did not come in time")],
    })  # fmt: skip
    report, waits = driven(ingest(folder), server)
    assert reasons(report) == {
        "a.md": "the file is empty",
        "b.md": "cannot be read: gone",
        "c.md": "the body did not come in time",
    }
    assert (report.added, report.chunks, waits) == (1, 2, [])
    assert server.asked == ["base", *FILES, "read d.md"]


def test_it_waits_as_long_as_the_server_says(folder: Path) -> None:
    server = Server({
        "base": [RateLimited("slow", retry_after=2)],
        "a.md": [RateLimited("slow", retry_after=7), Unreachable("full", retry_after=0)],
        "read b.md": [RateLimited("slow", retry_after=PATIENCE - 1)],
    })  # fmt: skip
    report, waits = driven(ingest(folder), server)
    assert (report.added, report.failed) == (4, 0)
    assert waits == [2, 7, 1, PATIENCE - 1]


@pytest.mark.parametrize(
    "faults",
    [
        [RateLimited("no more", retry_after=PATIENCE + 1)],
        [RateLimited("slow", retry_after=PATIENCE - 1), RateLimited("no more", retry_after=2)],
        [Unreachable("no more", transient=True)],
        [StorageError("no more")],
        [NotAuthorised("no more")],
    ],
)
def test_what_was_sent_before_a_fault_of_the_server_is_reported(
    folder: Path, faults: list[KbqaError]
) -> None:
    server = Server({"c.md": faults})
    report, _ = driven(ingest(folder), server)
    assert report.added == 2
    assert reasons(report) == dict.fromkeys(["c.md", "d.md"], "was not sent: no more")
    assert server.asked[-2:] == ["read a.md", "read b.md"]


def test_jobs_that_do_not_end_well_are_reported(folder: Path) -> None:
    server = Server(
        {"read d.md": [BadRequest("there is no ingest job 'd.md'")]},
        {
            "read a.md": {"state": "failed", "report": None, "error": "the disk is full"},
            "read b.md": {"state": "cancelled", "report": None, "error": ""},
            "read c.md": {"state": "queued", "report": None, "error": ""},
        },
    )
    told = reasons(driven(ingest(folder), server)[0])
    assert (told["a.md"], told["b.md"]) == ("the disk is full", "cancelled")
    assert "the server ended" in told["c.md"]
    assert "not known: there is no ingest job 'd.md'" in told["d.md"]


def test_a_server_that_has_gone_is_asked_no_more(folder: Path) -> None:
    server = Server({"read b.md": [Unreachable("gone")]})
    report, _ = driven(ingest(folder), server)
    assert report.added == 1
    assert reasons(report).keys() == {"b.md", "c.md", "d.md"}
    assert all(reason.endswith("not known: gone") for reason in reasons(report).values())
    assert server.asked[-1] == "read b.md"


def test_it_is_not_far_ahead_of_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_sending, "AHEAD", 2)
    server = Server()
    assert driven(ingest(folder), server)[0].added == 4
    assert server.asked == [
        "base", "a.md", "b.md", "read a.md", "c.md", "read b.md", "d.md", "read c.md", "read d.md",
    ]  # fmt: skip


def test_files_that_were_read_together_are_asked_for_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_sending, "MANY", 2)
    report = report_json(SyncReport(added=1, chunks=2))
    ended = [{"id": n, "state": "done", "finished": 1.0, "report": report} for n in FILES[1:3]]
    going_on = {"id": "d.md", "state": "running", "finished": None, "report": None}
    server = Server(jobs={"base": {"jobs": [going_on, *ended]}})
    assert driven(ingest(folder), server)[0].added == 4
    assert server.asked == ["base", *FILES, "read a.md", "base", "read d.md"]
    server = Server(jobs={"base": {"jobs": [going_on]}})
    assert driven(ingest(folder), server)[0].added == 4
    assert server.asked[5:] == ["read a.md", "base", "read b.md", "base", "read c.md", "read d.md"]


def test_nothing_is_sent_to_a_base_that_is_not_there(folder: Path) -> None:
    server = Server({"base": [BadRequest("there is no knowledge base 'x'")]})
    with pytest.raises(BadRequest, match="no knowledge base"):
        driven(ingest(folder), server)
    assert server.asked == ["base"]


def test_what_a_walk_leaves_out_is_counted(folder: Path) -> None:
    (folder / "e.md").symlink_to("nowhere.md")
    (folder / "f.xyz").write_text("x")
    report, _ = driven(ingest(folder), Server())
    assert reasons(report) == {"e.md": "broken link"}
    assert (report.skipped, [one.uri for one in report.skips]) == (1, ["f.xyz"])
