"""What the benches share: a base in a temporary folder, statistics, output."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qa import KnowledgeBase
from qa.settings import load_settings


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the option every bench has."""
    made = argparse.ArgumentParser(
        prog=f"python -m bench.{Path(sys.argv[0]).stem}",
        description=(description or "").strip().splitlines()[0],
    )
    made.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return made


def a_folder(argument: str) -> Path:
    """A folder that is there, as the type of an argument."""
    if not Path(argument).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {argument}")
    return Path(argument)


def a_file(argument: str) -> Path:
    """A file that is there, as the type of an argument."""
    if not Path(argument).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {argument}")
    return Path(argument)


@contextlib.contextmanager
def temporary_base(**settings: Any) -> Iterator[KnowledgeBase]:
    """An empty embedded base that is removed afterwards."""
    found = load_settings(**settings)
    with (
        tempfile.TemporaryDirectory(prefix="kbqa-bench-") as folder,
        KnowledgeBase.open(Path(folder) / "kb", settings=found) as base,
    ):
        yield base


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, what the call returned)."""
    started = time.perf_counter()
    returned = call()
    return time.perf_counter() - started, returned


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    p50, p99 = np.percentile(np.asarray(seconds) * 1000, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def peak_memory_mb() -> int:
    """Largest resident memory of this process so far, in MB (2^20 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def report(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    limits: Mapping[str, str] | None = None,
) -> None:
    """Print rows as a table with the limits they are held to, or everything as one JSON object."""
    machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
    if as_json:
        print(json.dumps({"bench": title, "machine": machine, "rows": rows, "limits": limits}))
        return
    print(f"{title} ({machine['cpus']} CPUs, Python {machine['python']})")
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    for name, limit in (limits or {}).items():
        print(f"limit: {name} {limit}")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
