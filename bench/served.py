"""A server in a process of its own, for benches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(folder: Path, docs: Path, model_url: str) -> Iterator[tuple[str, int]]:
    """`kbqa serve` on the data in `folder`: its address and process id. It may read `docs`, and
    asks the model at `model_url`; ended by SIGTERM."""
    environment = {
        **os.environ,
        "KBQA_DATA_DIR": str(folder),
        "KBQA_SERVE_RATE": "1000000",
        "KBQA_SERVE_CONCURRENCY": "1000",
        "KBQA_SERVE_FOLDERS": str(docs),
        "KBQA_BASE_URL": model_url,
        "KBQA_API_KEY": "none",
        "KBQA_MODEL": "openai:m",
    }
    command = [sys.executable, "-m", "qa", "serve", "--port", "0"]
    log = (folder / "log").open("w+")
    with log, subprocess.Popen(command, stderr=log, env=environment) as process:
        while not (line := (folder / "log").read_text().partition("\n")[0]):
            if process.poll() is not None:
                raise SystemExit("the server ended at once")
            time.sleep(0.1)
        try:
            yield line.split()[2].rstrip(";"), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
