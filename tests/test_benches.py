"""The benches are called as their help says, and tell in a line what they cannot take."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.qa.command_line import REPOSITORY

BENCHES = sorted(
    path.stem
    for path in (REPOSITORY / "bench").glob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
)
FOLDER = {  # how it is named
    **dict.fromkeys(BENCHES, ("",)),
    **dict.fromkeys(("answer", "concurrency", "query", "scale", "serve", "soak"), ("--folder",)),
    "answers": ("--docs",),
    **dict.fromkeys(("cold_start", "followups", "kills", "support"), ()),
}


def called(name: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """The exit code of a bench."""
    monkeypatch.setattr(sys, "argv", [f"bench/{name}.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        import_module(f"bench.{name}").main()
    return ended.value.code


@pytest.mark.parametrize("name", BENCHES)
def test_each_shows_its_usage(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(name, "--help", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m bench.{name}")


@pytest.mark.parametrize("name", [name for name in BENCHES if FOLDER[name]])
def test_a_folder_that_is_not_there_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    arguments = [*filter(None, FOLDER[name]), nowhere]
    assert called(name, *arguments, monkeypatch=monkeypatch) == 2
    assert f"there is no folder {nowhere}" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere.jsonl")
    assert called("answers", "--questions", nowhere, monkeypatch=monkeypatch) == 2
    assert f"there is no file {nowhere}" in capsys.readouterr().err
