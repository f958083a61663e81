"""`kbqa ask` as a whole process against `python -c "import sentence_transformers"`.

python -m bench.cold_start [--rounds N]

The two take turns; sample_docs is ingested first, no LLM.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser, report, timed

LIMITS = {"ask / import": "<= .2"}
QUESTION = "How many days of annual leave do employees get?"


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kbqa-bench-") as folder:
        environment = {**os.environ, "KBQA_KB": str(Path(folder) / "kb"), "HF_HUB_OFFLINE": "1"}
        kbqa = [sys.executable, "-m", "qa"]
        _run([*kbqa, "ingest", "sample_docs"], environment)
        ask, heavy = [], []
        for _ in range(given.rounds):
            ask.append(_run([*kbqa, "ask", QUESTION], environment))
            heavy.append(_run([sys.executable, "-c", "import sentence_transformers"], environment))
    ratio = float(np.median(ask) / np.median(heavy))
    rows: list[dict[str, Any]] = [
        {"process": "kbqa ask", "seconds (median)": float(np.median(ask)), "ask / import": ratio},
        {"process": "import sentence_transformers", "seconds (median)": float(np.median(heavy))},
    ]
    report("cold start", rows, as_json=given.json, limits=LIMITS)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> float:
    seconds, _ = timed(
        lambda: subprocess.run(command, env=environment, check=True, capture_output=True)
    )
    return seconds


if __name__ == "__main__":
    main()
