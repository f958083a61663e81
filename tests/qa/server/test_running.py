"""The process `kbqa serve`: its end, and what is there after it was killed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from qa.server.ids import id_of
from qa.server.running import TURN
from qa.settings import DEFAULT_PLUGINS
from tests.qa.command_line import Kbqa, command, environment, is_one_clear_line, run
from tests.qa.server.serving import events_of
from tests.scripted_server import Exchange, ScriptedServer, well

pytestmark = pytest.mark.integration

DOCUMENTS = "/v1/knowledge-bases/new/documents"


Running = tuple[subprocess.Popen[str], httpx2.Client]


@contextmanager
def server(data_dir: Path, **settings: str) -> Iterator[Running]:
    """`kbqa serve` on a free port."""
    env = environment(KBQA_DATA_DIR=str(data_dir), KBQA_WORKERS="1", **settings)
    process = subprocess.Popen(
        command("serve", "--port", "0", "--quiet"), stderr=subprocess.PIPE, text=True, env=env
    )
    assert process.stderr
    url = process.stderr.readline().split()[2].rstrip(";")
    with process, httpx2.Client(base_url=url, timeout=60) as http:
        try:
            yield process, http
        finally:
            process.kill()


def test_what_was_acknowledged_is_read_after_a_kill(
    tmp_path: Path, kbqa: Kbqa, monkeypatch: pytest.MonkeyPatch
) -> None:
    """... and the commands of this machine use the server that holds the base."""
    with server(tmp_path) as (process, http):
        assert http.post("/v1/knowledge-bases", json={"name": "new"}).status_code == 201
        text = b"The lift is serviced in May."
        sent = http.post(DOCUMENTS, params={"uri": "lift.txt"}, content=text)
        assert sent.status_code == 202
        process.send_signal(signal.SIGKILL)
    with server(tmp_path, KBQA_SERVE_LOG="json") as (process, http):
        url = f"/v1/knowledge-bases/new/ingest-jobs/{sent.json()['job']['id']}"
        last = json.loads(events_of(http.get(f"{url}/events"))[-1][1])
        assert last["state"] == "done"
        assert "lift" in http.get(f"{DOCUMENTS}/{id_of('lift.txt')}/text").json()["text"]
        monkeypatch.setenv("KBQA_DATA_DIR", str(tmp_path))
        answer = kbqa("ask", "When is the lift serviced?", "--kb", "new", "--json")
        assert "May" in answer.json["text"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr
        lines = [json.loads(line) for line in process.stderr]
    requests = [line for line in lines if line["message"] == "request"]
    assert {line["status"] for line in requests} == {200}
    assert all(line["request"] and line["route"] for line in requests)
    assert str(tmp_path) not in json.dumps(lines)


def test_a_second_server_of_a_data_folder_is_refused(tmp_path: Path) -> None:
    address = tmp_path / ".server" / "address.json"
    second = {"KBQA_DATA_DIR": str(tmp_path), "KBQA_LOCK_TIMEOUT": "0.1"}
    with server(tmp_path) as (process, http):
        noted = json.loads(address.read_text("utf-8"))
        assert (noted["pid"], noted["url"]) == (process.pid, str(http.base_url).rstrip("/"))
        refused = run("serve", "--port", "0", env=second)
        is_one_clear_line(refused, 9, str(process.pid), "data_dir")
        assert json.loads(address.read_text("utf-8")) == noted
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not address.exists()
    with server(tmp_path) as (_, http):
        assert http.get("/health/live").status_code == 200


def test_an_answer_under_way_is_finished_for_a_tool_too(tmp_path: Path) -> None:
    def end_the_server(exchange: Exchange) -> None:
        process.send_signal(signal.SIGTERM)
        exchange.wait(2)  # so long that the server has noticed
        well(exchange)

    call = {"name": "ask", "arguments": {"question": "When is the lift serviced?"}}
    form = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream"}
    with ScriptedServer(lambda messages: "In May. [1]", then=end_the_server) as model:
        settings = {
            "KBQA_MODEL": "openai:m",
            "KBQA_BASE_URL": model.base_url,
            "KBQA_API_KEY": "k",
        }
        with server(tmp_path, **settings) as (process, http):
            http.post("/v1/knowledge-bases", json={"name": "new"})
            text = b"The lift is serviced in May."
            sent = http.post(DOCUMENTS, params={"uri": "lift.txt"}, content=text).json()
            http.get(f"/v1/knowledge-bases/new/ingest-jobs/{sent['job']['id']}/events")
            reply = http.post("/mcp", json=form, headers=headers)
            assert "In May." in reply.text
            assert process.wait(30) == 0


def test_threads_take_short_turns(tmp_path: Path) -> None:
    said = tmp_path / "interval"
    told = f"open({str(said)!r}, 'w').write(str(sys.getswitchinterval()))"
    plugin = f"import sys\n\ndef tell(turn, call_next):\n    {told}\n    return call_next(turn)\n"
    (tmp_path / "plugin.py").write_text(plugin, "utf-8")
    plugins = ",".join([f"{tmp_path}/plugin.py:tell", *DEFAULT_PLUGINS])
    with server(tmp_path / "data", KBQA_PLUGINS=plugins) as (_, http):
        http.post("/v1/knowledge-bases", json={"name": "new"})
        sent = http.post(DOCUMENTS, params={"uri": "lift.txt"}, content=b"The lift is red.").json()
        http.get(f"/v1/knowledge-bases/new/ingest-jobs/{sent['job']['id']}/events")
        asked = http.post("/v1/knowledge-bases/new/ask", json={"question": "Is the lift red?"})
        assert asked.status_code == 200, asked.text
    assert float(said.read_text("utf-8")) == pytest.approx(TURN)
