"""`kbqa open` and `kbqa chat`: from a pipe in this process, at a terminal in one of its own."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from ingest.documents import Document
from qa.chat import COMMANDS
from qa.commands.ask import keep_last
from qa.kept import Exchange
from qa.knowledge_base import KnowledgeBase
from qa.settings import load_settings
from tests.qa.command_line import Done, Kbqa, command, environment, is_one_clear_line
from tests.qa.conftest import HANDBOOK
from tests.qa.test_rendering import ANSWER_FIELDS
from tests.scripted_server import ScriptedServer, cut_stream, drip, status

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"
Chat = Callable[..., Done]
PATIENCE = 60.0  # seconds that a busy machine may take to show what is waited for


@pytest.fixture
def chat(kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """`kbqa chat` with lines from a pipe."""

    def run(*lines: str, options: tuple[str | Path, ...] = ()) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return kbqa("chat", "--kb", base_folder, *options)

    return run


# --- open ---


def ask(kb: KnowledgeBase, question: str = QUESTION) -> None:
    """As `kbqa ask` does, with an embedder that is open already."""
    keep_last(kb.location, Exchange(question, kb.ask(question), 0.0), load_settings())


def test_open_shows_the_passage_of_the_last_answer(
    kbqa: Kbqa, base_folder: Path, kb: KnowledgeBase
) -> None:
    kb.close()
    is_one_clear_line(kbqa("open", "1", "--kb", base_folder), 2, "ask it something first")
    kbqa("ask", QUESTION, "--kb", base_folder)
    done = kbqa("open", "1", "--kb", base_folder)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "[1] handbook.md:5, Staff handbook > Leave"
    assert ">    5  »Every employee has 25 days of annual leave a year.« Leave that" in done.out
    assert "     3  ## Leave" in lines
    assert "\x1b" not in done.out
    found = kbqa("open", "1", "--kb", base_folder, "--json").json
    assert found["question"] == QUESTION
    assert found["passages"][0]["line"] == 5
    is_one_clear_line(kbqa("open", "9", "--kb", base_folder), 2, "no citation 9: it has 1")
    where = kbqa("open", "1", "--kb", base_folder, "--where").out
    assert where.endswith("handbook.md:5\n")
    assert where.startswith("/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"# Foreword\n\nWelcome.\n\n{HANDBOOK}", "the document has changed"),
        (HANDBOOK.replace("25 days", "27 days"), "does not say any more"),
        ("", "no document 'handbook.md'"),
    ],
)
def test_open_tells_when_the_document_has_changed(
    kbqa: Kbqa, base_folder: Path, kb: KnowledgeBase, text: str, words: str
) -> None:
    ask(kb)
    if text:
        kb.ingest_documents([Document.from_text(text, uri="handbook.md")])
    else:
        kb.remove("handbook.md")
    kb.close()
    done = kbqa("open", "1", "--kb", base_folder)
    assert words in done.out + done.err
    assert ("»Every employee has 25 days" in done.out) == (done.code == 0)


def test_open_tells_when_the_file_is_not_as_it_was_read(
    kbqa: Kbqa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, place = tmp_path / "docs", tmp_path / "own"
    folder.mkdir()
    file = folder / "handbook.md"
    file.write_text(HANDBOOK)
    kbqa("ingest", folder, "--kb", place)
    kbqa("ask", QUESTION, "--kb", place)
    assert "the file" not in kbqa("open", "1", "--kb", place).out
    file.write_text(HANDBOOK.replace("25 days", "27 days"))
    changed = kbqa("open", "1", "--kb", place)
    assert changed.out.count("the file has changed since it was read") == 1
    assert "»Every employee has 25 days" in changed.out
    assert "has changed" in kbqa("open", "1", "--kb", place, "--where").err
    file.unlink()
    gone = kbqa("open", "1", "--kb", place)
    assert "the file is not there any more" in gone.out
    assert "»Every employee has 25 days" in gone.out
    assert kbqa("open", "1", "--kb", place, "--json").json["passages"][0]["file"] == "gone"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n/open 1\n"))
    assert "the file is not there any more" in kbqa("chat", "--kb", place).out
    file.with_name("other.txt").write_text("Something else.")
    kbqa("ingest", folder, "--kb", place)
    removed = kbqa("open", "1", "--kb", place)
    is_one_clear_line(removed, 2, "no document", 'it said: "Every employee has 25 days')


def test_a_page_is_shown_where_there_are_no_lines(
    kbqa: Kbqa, base_folder: Path, kb: KnowledgeBase
) -> None:
    ask(kb, "What does alarm E-17 mean?")
    kb.close()
    out = kbqa("open", "1", "--kb", base_folder).out
    assert out.startswith("[1] furnace.pdf, p. 2")
    assert ">  " in out


# --- chat, from a pipe ---


def test_questions_and_commands_from_a_pipe(chat: Chat, tmp_path: Path) -> None:
    saved = tmp_path / "talk.md"
    done = chat(
        QUESTION, "", "/open 1", "And when does it expire?", "/sources", "/model", "/help",
        f"/save {saved}", "/quit", "never asked",
    )  # fmt: skip
    assert done.code == 0, done
    assert done.out.startswith("Every employee has 25 days of annual leave a year. [1]\n")
    assert "[1] handbook.md:5, Staff handbook > Leave\n" in done.out
    assert "31 March" in done.out
    assert "answers come from extractive\n" in done.err
    assert all(name in done.err for name in COMMANDS)
    text = saved.read_text("utf-8")
    assert text.startswith(f"## {QUESTION}\n")
    assert "## And when does it expire?" in text
    assert "never asked" not in text


def test_a_conversation_goes_on(chat: Chat, kbqa: Kbqa, base_folder: Path) -> None:
    chat(QUESTION)
    assert "25 days" in kbqa("open", "1", "--kb", base_folder).out
    chat("What does alarm E-17 mean?", "/retry")
    (last, first) = chat(options=("--list",)).out.splitlines()
    assert last.endswith("  1  What does alarm E-17 mean?")
    assert first.endswith(f"  1  {QUESTION}")
    id_ = first.split()[0]
    assert "25 days" in chat("/sources", options=("--resume", id_)).out
    assert "E-17" in chat("/sources", "/new", options=("--resume",)).out
    assert chat(options=("--delete", id_)).out.splitlines() == [last]
    listed = chat(options=("--list", "--json")).json["conversations"]
    assert [found["exchanges"] for found in listed] == [1]
    is_one_clear_line(chat(options=("--resume", id_)), 2, "no conversation", id_)
    is_one_clear_line(chat(options=(id_,)), 2, "--resume")


def test_what_goes_wrong_is_told_and_the_next_line_taken(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    lines = ("/sources", "/open x", "/nope", "/save", f"/save {tmp_path / 'there'}",
             "/model olama:x", f"/save {tmp_path}/no/x", "/retry")  # fmt: skip
    done = chat(*lines, QUESTION, "/open 7")
    assert done.code == 2
    told = done.err.splitlines()
    assert len(told) == len(lines) + 1
    assert all(line.startswith("kbqa: ") for line in told)
    assert "did you mean 'ollama'" in done.err
    assert "25 days" in done.out


def test_a_failing_model_gives_the_exit_code(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_API_KEY", "sk-chat")
    with ScriptedServer(script=[status(401, "wrong key")]) as server:
        options = ("--model", "openai:m", "--base-url", server.base_url)
        done = chat(QUESTION, "/retry", "/model extractive", "/retry", options=options)
    assert done.code == 4
    assert len(server.requests) == 2
    assert "Every employee has 25 days" in done.out


def test_events_for_programs(chat: Chat) -> None:
    done = chat(QUESTION, "/sources", "/open 1", "/nope", "/model", options=("--json",))
    assert done.code == 2
    tokens = [event["text"] for event in done.events if event["event"] == "token"]
    answer, *others = [event for event in done.events if event["event"] != "token"]
    assert list(answer) == ["event", "conversation", "question", *ANSWER_FIELDS]
    assert "".join(tokens) == answer["text"]
    assert [event["event"] for event in others] == ["sources", "passages", "error", "message"]
    assert others[0]["citations"] == answer["citations"]
    assert others[2]["exit_code"] == 2


def test_the_home_of_nobody_is_no_place_to_save_to(chat: Chat) -> None:
    done = chat("/save ~nobody-of-that-name/talk.md")
    assert "cannot write ~nobody-of-that-name/talk.md" in done.err


# --- chat, at a terminal ---


TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """`kbqa chat` on a pseudo-terminal, ended with the `with` statement at the latest."""

    def __init__(self, *arguments: str | Path) -> None:
        self._side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command("chat", *arguments)],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env=environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1", KBQA_API_KEY="sk-chat"),
        )
        os.close(other)
        self._shown = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._side, keys.encode())

    def wait_for(self, words: str) -> None:
        """Read on until `words` have been shown since the last wait."""
        ends = time.monotonic() + PATIENCE
        while words not in self._shown:
            assert time.monotonic() < ends, f"no {words!r} in {self._shown!r}"
            if select.select([self._side], [], [], 0.1)[0]:
                self._shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._read())
        self._shown = self._shown.partition(words)[2]

    def exit_code(self) -> int:
        """That of the chat, once it has ended."""
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._side)

    def _read(self) -> str:
        try:
            return os.read(self._side, 65536).decode("utf-8", "replace")
        except OSError:  # the other side has been closed
            return ""


def test_ctrl_c_stops_an_answer_and_not_the_chat(base_folder: Path, kbqa: Kbqa) -> None:
    gone = threading.Event()

    def answer(messages: object) -> str:
        return "You have 25 days of annual leave [1]."

    with ScriptedServer(answer, script=[drip("Well, ", gone)]) as server:
        options = ("--kb", base_folder, "--model", "openai:m", "--base-url", server.base_url)
        with Terminal(*options) as terminal:
            terminal.wait_for("/help lists commands")
            terminal.wait_for(">")
            terminal.type(f"{QUESTION}\r")
            terminal.wait_for("Well, Well, ")
            terminal.type("\x03")
            terminal.wait_for("stopped; /retry asks again")
            assert gone.wait(PATIENCE)  # the server has noticed
            terminal.wait_for(">")
            terminal.type("nonsense\x03")  # clears the line
            terminal.wait_for(">")
            terminal.type("/ret\t")
            terminal.wait_for("/retry")  # is completed
            terminal.type("\r")
            terminal.wait_for("25 days of annual leave [1].")
            terminal.wait_for("[1] handbook.md, Staff handbook > Leave")
            terminal.type("/open 1\r")
            terminal.wait_for(">    5  Every employee has 25 days")  # bold, and no codes to read
            terminal.wait_for(">")
            terminal.type("\x04")
            assert terminal.exit_code() == 0
    assert len(server.requests) == 2
    assert "1  How many days" in kbqa("chat", "--list", "--kb", base_folder).out


def test_an_error_in_an_answer_has_its_own_line_and_lines_typed_need_no_file(
    base_folder: Path,
) -> None:
    typed = load_settings().state_dir / "chat-history"
    typed.mkdir(parents=True)
    with ScriptedServer(then=cut_stream) as server:
        options = ("--kb", base_folder, "--model", "openai:m", "--base-url", server.base_url)
        with Terminal(*options) as terminal:
            terminal.wait_for(f"not kept: cannot use {typed}")
            terminal.wait_for(">")
            terminal.type(f"{QUESTION}\r")
            terminal.wait_for("\nkbqa: openai:m")
            terminal.wait_for(">")
            terminal.type("\x04")
            assert terminal.exit_code() == 0
