"""The command `kbqa` for tests: in this process, which is quick, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qa.cli import main

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 120  # seconds after which a process is called hung


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: exit code, both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def events(self) -> list[Any]:
        """NDJSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


class Kbqa:
    """Runs `kbqa ARGS` through its real entry point in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str | Path) -> Done:
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["kbqa", *map(str, arguments)])
        try:
            main()
            code: str | int | None = None
        except SystemExit as exc:
            code = exc.code
        out, err = self._capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Done(code or 0, out, err)


def command(*arguments: str | Path) -> list[str]:
    """`kbqa ARGS` for a process of its own."""
    return [sys.executable, "-m", "qa", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """That of the test, from which a process finds this checkout."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}


def run(
    *arguments: str | Path,
    stdin: str = "",
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Done:
    """`kbqa ARGS` in a process of its own; `prefix` is a command that starts it."""
    process = subprocess.run(
        [*prefix, *command(*arguments)],
        input=stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env=environment(**(env or {})),
    )
    return Done(process.returncode, process.stdout.decode(), process.stderr.decode())


def is_one_clear_line(done: Done, code: int, *words: str) -> None:
    """Assert that a failure is told as it should be."""
    assert done.code == code, done
    assert done.err.startswith("kbqa: "), done
    assert done.err.count("\n") == 1, done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done
