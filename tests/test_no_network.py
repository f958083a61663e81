"""The whole way without a socket: none is opened, let alone connected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.qa.commands import REPOSITORY, environment

BLOCKED = """
import socket, sys
from pathlib import Path

def refuse(*arguments, **options):
    raise AssertionError(f"the network was asked for: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = refuse
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

from qa import KnowledgeBase
with KnowledgeBase.open(Path(sys.argv[1])) as kb:
    report = kb.ingest(sys.argv[2])
    assert report.added > 20 and not report.failed, report
    for question in ("When will version 1 of the API stop working?", "LS-400 台式机保修多长时间？"):
        answer = kb.ask(question)
        assert answer.citations and all(c.verified for c in answer.citations), answer
        print(answer.text)
"""


def test_ingest_and_ask_open_no_connection(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(tmp_path / "kb"), str(REPOSITORY / "sample_docs")],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(),
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert "30 September 2026" in process.stdout
    assert "36" in process.stdout


def test_a_first_run_without_a_cache_opens_no_connection(tmp_path: Path) -> None:
    document = tmp_path / "docs"
    document.mkdir()
    (document / "a.txt").write_text("The canteen opens at 11:30.", "utf-8")
    code = BLOCKED.replace("report.added > 20", "report.added == 1").partition("    for question")
    process = subprocess.run(
        [sys.executable, "-c", code[0], str(tmp_path / "kb"), str(document)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(KBQA_CACHE_DIR=str(tmp_path / "cache")),
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert list((tmp_path / "cache").glob("minilm-*/model.xml"))
