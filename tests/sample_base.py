"""sample_docs in a knowledge base, made once for all tests by a process that is given no socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

REPOSITORY = Path(__file__).parents[1]
SAMPLES = REPOSITORY / "sample_docs"

# arguments: base, folder, questions; prints a line for the report, and one for each answer
WITHOUT_NETWORK = """
import json, socket, sys
from pathlib import Path

def refuse(*arguments, **options):
    raise AssertionError(f"the network was asked for: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = refuse
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

from qa import KnowledgeBase
base, folder, *questions = sys.argv[1:]
with KnowledgeBase.open(Path(base)) as kb:
    report = kb.ingest(folder)
    print(json.dumps({"added": report.added, "failures": list(map(str, report.failures)),
                      "skips": list(map(str, report.skips)), "chunks": report.chunks}))
    for question in questions:
        answer = kb.ask(question)
        verified = bool(answer.citations) and all(c.verified for c in answer.citations)
        print(json.dumps({"text": answer.text, "verified": verified}))
"""
QUESTIONS = ("When will version 1 of the API stop working?", "LS-400 台式机保修多长时间？")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process without a network went: its exit code, stderr, and what it printed."""

    code: int
    err: str
    lines: list[dict[str, Any]]


def ingest_without_network(
    base: Path, folder: Path, *questions: str, env: dict[str, str]
) -> Outcome:
    """Ingest a folder and ask, in a process in which every socket is refused."""
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, str(base), str(folder), *questions],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**env, "PYTHONPATH": str(REPOSITORY)},
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    return Outcome(process.returncode, process.stderr, lines)


def sample_base(shared: Path, env: dict[str, str]) -> tuple[Path, Outcome]:
    """The closed base in `shared`, and how it came about; the first of several processes makes it.

    To be copied, not opened.
    """
    base, said = shared / "kb", shared / "outcome.json"
    with FileLock(shared / "lock"):
        if not said.exists():
            outcome = ingest_without_network(base, SAMPLES, *QUESTIONS, env=env)
            said.write_text(json.dumps(asdict(outcome)), "utf-8")
    return base, Outcome(**json.loads(said.read_text("utf-8")))


def copy_base(source: Path, target: Path) -> Path:
    """A copy of a closed base; its files are mostly holes, which `shutil` would fill."""
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)
    return target


def environment_of(home: Path, cache: Path) -> dict[str, str]:
    """What a process needs, and nothing that anybody has configured."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(cache)}
