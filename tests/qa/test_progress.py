from __future__ import annotations

import io
import sys

import pytest

import qa.progress
from ingest.sync import Progress
from qa.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_quiet_is_no_callback(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(quiet=True) as show:
        assert show is None
    assert capsys.readouterr() == ("", "")


def test_off_a_terminal_it_is_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qa.progress, "LINE_EVERY", 0.0)
    with progress_bar(quiet=False) as show:
        assert show is not None
        show(Progress(total=7, done=3, chunks=12, uri="a.md"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("3/7 files, 12 chunks, ")
    assert "\x1b" not in err


def test_a_short_run_prints_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(quiet=False) as show:
        assert show is not None
        show(Progress(total=7, done=3))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar(quiet=False) as show:
        assert show is not None
        show(Progress(total=7, done=3, chunks=12, uri="\x1b]0;a\n[b].md"))
    assert "3/7" in terminal.getvalue()
    assert "␛]0;a␊[b].md" in terminal.getvalue()
    assert capsys.readouterr().out == ""
