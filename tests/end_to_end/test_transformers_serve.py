"""A third-party server of the OpenAI API: `transformers serve` with a model that is built here."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from ingest.documents import Document
from qa.knowledge_base import KnowledgeBase
from qa.models import ModelOptions, open_model
from qa.settings import load_settings
from qa.turn import Message
from retrieval.embedding import Embedder
from tests import tiny_model
from tests.qa.command_line import REPOSITORY, environment
from tests.qa.conftest import NOTES

START = 120.0  # seconds until it must answer; it imports torch and transformers
# builds the model too, so that one process imports torch and not two
SERVE = """
import sys
from pathlib import Path
from transformers.cli.transformers import main
from tests import tiny_model
tiny_model.build(Path(sys.argv[2]))
main()
"""

pytestmark = [pytest.mark.end_to_end, pytest.mark.torch]


@contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """The base URL of a server of the tiny model, which it writes to `model`."""
    pytest.importorskip("fastapi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["serve", model, "--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *map(str, options)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(OMP_NUM_THREADS="1"),
            cwd=REPOSITORY,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START
    while time.monotonic() < ends:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            httpx2.get(url, trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer in {START} s: {log.read_text('utf-8')}")


def test_chat_streaming_usage_and_a_knowledge_base(tmp_path: Path, embedder: Embedder) -> None:
    model = tmp_path / "tiny"
    spec = f"openai:{model}"
    prompt = [Message("user", tiny_model.PROMPT)]
    with serving(model, tmp_path / "log") as url:
        opened = open_model(spec, ModelOptions(base_url=url, max_tokens=20), environ={})
        tokens = list[str]()
        whole = opened.generate(prompt)
        streamed = opened.generate(prompt, on_token=tokens.append)
        assert whole.text == streamed.text == "".join(tokens) == tiny_model.ANSWER
        assert len(tokens) > 1
        for usage in (whole.usage, streamed.usage):
            assert usage == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}

        settings = load_settings(base_url=url, answer_tokens=20, prompt_tokens=100)
        with KnowledgeBase.open(
            tmp_path / "kb", embedder=embedder, model=spec, settings=settings
        ) as base:
            base.ingest_documents([Document.from_text(NOTES, uri="notes.txt")])
            answer = base.ask("Where is the new warehouse?", tokens.append)
        assert answer.model == spec
        assert answer.text
        assert answer.usage["completion_tokens"] > 0
