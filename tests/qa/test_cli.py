"""The command: mostly in this process, a few times in a real one (.7 s each)."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

from ingest.errors import KbqaError
from qa.cli import EXIT_CODES, app, exit_code
from qa.knowledge_base import KnowledgeBase
from qa.settings import Settings
from retrieval.embedding import Embedder
from tests.fakes import HashEmbedder
from tests.qa.command_line import Kbqa, command, environment, is_one_clear_line, run
from tests.qa.test_rendering import ANSWER_FIELDS, CITATION_FIELDS, HIT_FIELDS
from tests.scripted_server import ScriptedServer, cut_stream, hang, status

pytestmark = pytest.mark.integration

COMMANDS = (
    "ingest", "retry", "remove", "search", "ask", "status", "documents", "show", "doctor", "config",
    "eval", "reembed", "open", "chat",
)  # fmt: skip
QUESTION = "How many days of annual leave do I have?"
REPORT_FIELDS = [
    "added", "changed", "renamed", "removed", "unchanged", "failed", "failures", "chunks",
    "seconds",
]  # fmt: skip
KEY = "sk-cli-0123456789"


# --- help ---


def test_help_names_every_command_and_exit_code(kbqa: Kbqa) -> None:
    done = kbqa("--help")
    assert (done.code, done.err) == (0, "")
    names = [command.name or command.callback.__name__ for command in app.registered_commands
             if command.callback]  # fmt: skip
    assert set(names) >= set(COMMANDS)
    assert all(name in done.out for name in names)
    for code in [0, 1, 8, *EXIT_CODES.values()]:
        assert f"{code} " in done.out.partition("Exit codes:")[2]
    assert kbqa("-h").out == done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(kbqa: Kbqa, name: str) -> None:
    done = kbqa(name, "--help")
    assert done.code == 0
    group = typer.main.get_command(app)
    parameters: list[Any] = vars(group)["commands"][name].params
    for parameter in parameters:
        shown = [*parameter.opts, parameter.metavar or parameter.name]
        assert any(str(option) in done.out for option in shown), parameter
        assert getattr(parameter, "help", None), parameter.name


def test_without_a_command_it_shows_help(kbqa: Kbqa) -> None:
    done = kbqa()
    assert "kbqa ingest FOLDER" in done.out + done.err


def test_version(kbqa: Kbqa) -> None:
    assert kbqa("--version").out.startswith("kbqa 0.")


def test_a_closed_or_full_output_is_no_traceback() -> None:
    for ending in (">&-", "> /dev/full"):
        line = f"{shlex.join(command('--version'))} {ending}"
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env=environment(), check=False
        )
        assert "Traceback" not in done.stderr
        assert (done.returncode, done.stderr.count("\n")) == ((0, 0) if "-" in ending else (1, 1))


@pytest.mark.parametrize(
    ("arguments", "ending", "code"),
    [
        (("frobnicate", "--json"), "> /dev/full", 2),
        (("frobnicate",), "2> /dev/full", 2),
        (("ask", "-"), "<&-", 2),
        (("ask", "x", "--kb", "none"), ">&- 2>&-", 2),
        (("config", "--json"), "| true", 1),
    ],
)
def test_an_error_that_nobody_can_read_has_its_exit_code(
    arguments: tuple[str, ...], ending: str, code: int
) -> None:
    line = f"set -o pipefail; {shlex.join(command(*arguments))} {ending}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=environment(), check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == code


def test_a_variable_that_is_no_setting_is_told(kbqa: Kbqa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBQA_MODLE", "ollama:qwen3")
    done = kbqa("config", "--json")
    assert done.json["model"]["source"] == "default"
    assert done.err.startswith("there is no setting KBQA_MODLE: did you mean KBQA_MODEL? ")


def test_the_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="kbqa")
    assert script.value == "qa.__main__:program"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["ask"],
        ["search", "x", "-k", "many"],
        ["ask", "x", "--nonsense"],
        ["ingest"],
    ],
)
def test_wrong_usage_is_exit_2(kbqa: Kbqa, arguments: list[str]) -> None:
    done = kbqa(*arguments)
    is_one_clear_line(done, 2)
    assert done.out == ""
    assert kbqa(*arguments, "--json").json["exit_code"] == 2


# --- ingest ---


def test_ingest_reports(kbqa: Kbqa, docs: Path, tmp_path: Path) -> None:
    done = kbqa("ingest", docs, "--kb", tmp_path / "kb")
    assert done.code == 0
    assert done.out.startswith("4 added; ")
    assert done.out.count("\n") == 1
    assert done.err == ""
    done = kbqa("ingest", docs, "--kb", tmp_path / "kb", "--json")
    assert [name for name in done.json if name in REPORT_FIELDS] == REPORT_FIELDS
    assert (done.json["unchanged"], done.json["added"], done.json["chunks"]) == (4, 0, 0)


def test_ingest_takes_several_paths(kbqa: Kbqa, docs: Path, tmp_path: Path) -> None:
    paths = (docs / "notes.txt", docs / "handbook.md")
    assert kbqa("ingest", *paths, "--kb", tmp_path / "kb", "--json").json["added"] == 2


def test_a_missing_path_among_several_changes_nothing(
    kbqa: Kbqa, docs: Path, tmp_path: Path
) -> None:
    done = kbqa("ingest", docs, tmp_path / "nowhere", "--kb", tmp_path / "kb")
    is_one_clear_line(done, 2, "no such file or folder", "nowhere")
    assert not (tmp_path / "kb").exists()


def test_a_bad_file_is_told_and_stops_nothing(kbqa: Kbqa, docs: Path, base_folder: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (docs / "song.mp3").write_bytes(b"ID3")
    done = kbqa("ingest", docs, "--kb", base_folder)
    assert done.code == 8
    assert done.out.startswith("4 added, 1 failed; ")
    assert "failed: broken.pdf: " in done.err
    assert "skipped 1: files of type .mp3 are not supported" in done.err
    assert "broken.pdf" not in done.out
    done = kbqa("ingest", docs, "--kb", base_folder, "--json", "--quiet")
    assert (done.code, done.err) == (8, "")
    assert [failure["uri"] for failure in done.json["failures"]] == ["broken.pdf"]
    assert sorted(done.json["failures"][0]) == ["reason", "uri"]


def test_vanished_documents_are_kept_until_pruned(kbqa: Kbqa, tmp_path: Path) -> None:
    folder, base = tmp_path / "many", tmp_path / "kb"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.txt").write_text(f"Document number {n}.", "utf-8")
    assert kbqa("ingest", folder, "--kb", base).code == 0
    for n in range(1, 12):
        (folder / f"{n}.txt").unlink()
    done = kbqa("ingest", folder, "--kb", base)
    assert done.code == 8
    assert "kept 11 documents" in done.err
    assert "--prune" in done.err
    assert kbqa("ingest", folder, "--kb", base, "--prune", "--json").json["removed"] == 11


# --- search, ask ---


def test_search_json(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("search", "annual leave", "--kb", base_folder, "-k", "2", "--json")
    assert list(done.json) == ["hits"]
    assert [list(hit) for hit in done.json["hits"]] == [HIT_FIELDS] * 2
    assert done.json["hits"][0]["uri"] == "handbook.md"
    explained = kbqa("search", "annual leave", "--kb", base_folder, "--json", "--explain").json
    assert {"hits", "weights", "terms", "timings"} <= set(explained)


def test_search_for_people(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("search", "水泵 润滑油", "--kb", base_folder, "--explain")
    assert (done.code, done.err) == (0, "")
    assert "产品/手册.md" in done.out
    assert "timings: " in done.out


def test_ask_json(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", QUESTION, "--kb", base_folder, "--json")
    assert (done.code, done.err) == (0, "")
    assert list(done.json) == ANSWER_FIELDS
    citation = done.json["citations"][0]
    assert list(citation)[: len(CITATION_FIELDS)] == CITATION_FIELDS
    assert list(done.json["hits"][0]) == HIT_FIELDS


def test_ask_for_people(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", QUESTION, "--kb", base_folder)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Every employee has 25 days of annual leave a year. [1]\n")
    assert "[1] handbook.md, Staff handbook > Leave" in done.out


def test_an_answer_on_weak_evidence_is_told(
    kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_SURE_SCORE", "1")
    told = kbqa("ask", QUESTION, "--kb", base_folder, "--json").json
    assert told["doubtful"] is True
    assert 0.5 < told["evidence"] < 1
    done = kbqa("ask", QUESTION, "--kb", base_folder)
    said = "the documents may not answer this, check the quotes"
    assert done.err == f"doubtful (evidence {told['evidence']:.2f}): {said}\n"
    assert done.out.startswith("Every employee has 25 days")
    assert kbqa("ask", QUESTION, "--kb", base_folder, "--quiet").err == ""


def test_filters(kbqa: Kbqa, base_folder: Path) -> None:
    base = ("--kb", str(base_folder), "--json")
    found = kbqa("search", "leave", *base, "--filter", "uri=notes.txt").json["hits"]
    assert {hit["uri"] for hit in found} == {"notes.txt"}
    found = kbqa("search", "alarm", *base, "--filter", "page=1", "--filter", "page=2").json["hits"]
    assert {hit["uri"] for hit in found} == {"furnace.pdf"}
    for wrong, fault in (("uri", 0), ("lang:zh =x", 8), ("uri=", 4), ("lang:zh author=Ann", 8)):
        done = kbqa("search", "leave", "--kb", base_folder, "--filter", wrong)
        message, text, caret = done.err.splitlines()
        assert done.code == 2
        assert message.startswith(f"kbqa: filter at character {fault + 1}")
        assert (text, caret) == (wrong, " " * fault + "^")
    told_json = kbqa("search", "leave", *base, "--filter", "author=Ann")
    assert told_json.json["error"].startswith("filter at character 1, before 'author=Ann': unknown")
    told = ("--filter", "path:*.txt type:txt", "--filter", "-page>1")
    found = kbqa("search", "leave", *base, *told).json["hits"]
    assert {hit["uri"] for hit in found} == {"notes.txt"}


def test_a_refusal_is_exit_0_and_shows_the_nearest(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", "Who won the football World Cup in 1998?", "--kb", base_folder)
    assert (done.code, done.out) == (0, "The documents do not answer this question.\n")
    quiet = kbqa("ask", "红烧肉要炖多长时间？", "--kb", base_folder, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "文档没有回答这个问题。\n", "")


def test_streamed_json_is_events_that_end_with_the_answer(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", QUESTION, "--kb", base_folder, "--json", "--stream")
    *tokens, answer = done.events
    assert {event["event"] for event in tokens} == {"token"}
    assert answer["event"] == "answer"
    assert "".join(event["text"] for event in tokens) == answer["text"]
    assert list(answer) == ["event", *ANSWER_FIELDS]


def test_an_answer_that_breaks_off_ends_its_events_with_an_error(
    kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_API_KEY", "sk-cut")
    with ScriptedServer(then=cut_stream) as server:
        options = ("--model", "openai:m", "--base-url", server.base_url, "--json", "--stream")
        done = kbqa("ask", QUESTION, "--kb", base_folder, *options)
    *tokens, error = done.events
    assert {event["event"] for event in tokens} == {"token"}
    assert (error["event"], error["exit_code"]) == ("error", done.code)


def test_streamed_text_is_the_same_text(kbqa: Kbqa, base_folder: Path) -> None:
    whole = kbqa("ask", QUESTION, "--kb", base_folder, "--no-stream").out
    assert kbqa("ask", QUESTION, "--kb", base_folder, "--stream").out == whole


def test_status(kbqa: Kbqa, base_folder: Path) -> None:
    found = kbqa("status", "--kb", base_folder, "--json").json
    assert found["documents"] == 4
    assert found["location"] == str(base_folder)
    assert (found["embedder"], found["dimension"]) == ("minilm", 384)
    text = kbqa("status", "--kb", base_folder).out
    assert all(f"{name} " in text for name in found)


# --- an LLM ---


def with_model(server: ScriptedServer) -> list[str]:
    return ["--model", "openai:m", "--base-url", server.base_url]


def test_a_model_answers_with_citations(
    kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_API_KEY", KEY)
    with ScriptedServer(lambda messages: "You have 25 days [1], not 30 [12].") as server:
        arguments = ("ask", QUESTION, "--kb", str(base_folder), *with_model(server))
        whole = kbqa(*arguments, "--json").json
        events = kbqa(*arguments, "--json", "--stream").events
        text = kbqa(*arguments, "--stream").out
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "25 days of annual leave" in server.requests[0].body["messages"][-1]["content"]
    assert whole["text"] == events[-1]["text"] == "You have 25 days [1], not 30."
    assert len(events) > 5
    assert "".join(event["text"] for event in events[:-1]) == whole["text"]
    assert whole["citations"] == events[-1]["citations"]
    assert whole["citations"][0]["verified"]
    assert whole["usage"]["total_tokens"] == 15
    assert whole["model"] == "openai:m"
    assert text.startswith("You have 25 days [1], not 30.\n\n[1] handbook.md")


def test_a_model_may_find_no_answer(kbqa: Kbqa, base_folder: Path) -> None:
    with ScriptedServer(lambda messages: "NO_ANSWER") as server:
        done = kbqa("ask", QUESTION, "--kb", base_folder, *with_model(server), "--stream")
    assert done.code == 0
    assert done.out == "The documents do not answer this question.\n"
    assert done.err.startswith("nearest passages:\n")


# --- config ---


def test_config_shows_every_setting_and_no_secret(
    kbqa: Kbqa, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("kbqa.toml").write_text('top_k = 5\nqdrant_api_key = "sk-qdrant"\n', "utf-8")
    Path("kbqa.toml").chmod(0o600)
    for name in ("API_KEY", "EMBEDDER_API_KEY"):
        monkeypatch.setenv(f"KBQA_{name}", KEY)
    rows = kbqa("config", "--kb", "work", "--json").json
    assert list(rows) == list(Settings.model_fields)
    assert all(set(row) == {"value", "source", "description"} for row in rows.values())
    assert rows["kb"]["source"] == "flag"
    assert rows["top_k"] == {**rows["top_k"], "value": 5, "source": "kbqa.toml"}
    assert rows["api_key"] == {**rows["api_key"], "value": "(set)", "source": "KBQA_API_KEY"}
    text = kbqa("config").out
    assert all(f"{name} = " in text for name in Settings.model_fields)
    for shown in (text, json.dumps(rows)):
        assert KEY not in shown
        assert "sk-qdrant" not in shown


# --- exit codes, each from a real situation ---


def test_exit_codes_are_one_for_each_kind() -> None:
    assert exit_code(KbqaError("x")) == 1
    assert sorted([0, 1, 8, *EXIT_CODES.values()]) == list(range(10))


def test_exit_1_for_a_damaged_base(kbqa: Kbqa, base_folder: Path) -> None:
    for path in (base_folder / "shard").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage")
    is_one_clear_line(kbqa("status", "--kb", base_folder), 1, "damaged", str(base_folder))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["ask", ""], "the question is empty"),
        (["search", "  "], "the question is empty"),
        (["search", "leave", "-k", "0"], "k is 0"),
        (["ask", "leave", "--model", "olama:qwen3"], "did you mean 'ollama'"),
    ],
)
def test_exit_2_for_a_bad_request(
    kbqa: Kbqa, base_folder: Path, arguments: list[str], word: str
) -> None:
    is_one_clear_line(kbqa(*arguments, "--kb", base_folder), 2, word)


def test_exit_2_for_another_embedder(kbqa: Kbqa, docs: Path, tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as kb:
        kb.ingest(docs)
    done = kbqa("ingest", docs, "--kb", tmp_path / "kb", "--embedder", "minilm")
    is_one_clear_line(done, 2, "'hash:32'", "'minilm'", "--kb NAME")


def test_exit_2_for_a_base_that_is_not_there(kbqa: Kbqa) -> None:
    for arguments in (["ask", "leave"], ["search", "leave"], ["status"]):
        is_one_clear_line(kbqa(*arguments, "--kb", "nope"), 2, "nope", "kbqa ingest FOLDER")


def test_exit_3_without_a_key(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", QUESTION, "--kb", base_folder, "--model", "openai:gpt-4o-mini")
    is_one_clear_line(done, 3, "OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (status(401, f"wrong key {KEY}"), 4),
        (status(500, x_should_retry="false"), 5),
        (cut_stream, 5),
        (status(429, retry_after="1000"), 6),
        (hang, 7),
        (status(400, "context too long"), 2),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_exits_of_a_model(
    kbqa: Kbqa, base_folder: Path, behaviour: object, code: int, flags: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KBQA_API_KEY", KEY)
    monkeypatch.setenv("KBQA_TIMEOUT", "0.5")
    with ScriptedServer(then=behaviour) as server:  # type: ignore[arg-type]
        done = kbqa("ask", QUESTION, "--kb", base_folder, *with_model(server), *flags)
    is_one_clear_line(done, code, "openai:m")
    assert KEY not in done.out + done.err


def test_exit_5_for_an_unreachable_endpoint(kbqa: Kbqa, base_folder: Path) -> None:
    with ScriptedServer() as server:
        arguments = with_model(server)  # that will have closed
    done = kbqa("ask", QUESTION, "--kb", base_folder, *arguments)
    is_one_clear_line(done, 5, "nothing answers")


@pytest.mark.end_to_end
def test_exit_9_for_a_base_that_another_process_holds(
    kbqa: Kbqa, base_folder: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_LOCK_TIMEOUT", "0.1")
    with KnowledgeBase.open(base_folder, embedder=embedder):
        done = run("ask", QUESTION, "--kb", base_folder)
        is_one_clear_line(done, 9, "in use by process", str(base_folder))
    assert kbqa("ask", QUESTION, "--kb", base_folder).code == 0


def test_an_error_with_json_is_also_an_object(kbqa: Kbqa, base_folder: Path) -> None:
    done = kbqa("ask", "", "--kb", base_folder, "--json")
    is_one_clear_line(done, 2, "the question is empty")
    assert done.json == {"error": "the question is empty", "exit_code": 2}


# --- real processes ---


@pytest.mark.end_to_end
def test_a_process_reads_the_question_from_stdin(base_folder: Path) -> None:
    done = run("ask", "-", "--kb", base_folder, stdin=f"{QUESTION}\n")
    assert (done.code, done.err) == (0, "")
    assert "25 days" in done.out
    assert "\x1b" not in done.out


@pytest.mark.end_to_end
def test_chinese_in_a_c_locale(base_folder: Path) -> None:
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    question = "水泵运行多久需要加注润滑油？"
    for arguments, stdin in (((question,), ""), (("-",), question)):
        done = run("ask", *arguments, "--kb", base_folder, stdin=stdin, env=plain)
        assert (done.code, done.err) == (0, "")
        assert "水泵每运行五百小时需要加注润滑油。" in done.out


@pytest.mark.end_to_end
def test_a_closed_pipe_is_no_traceback(base_folder: Path) -> None:
    for flags in (["--json"], ["--stream"]):
        with subprocess.Popen(
            command("ask", QUESTION, "--kb", base_folder, *flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode in (0, 1)


@pytest.mark.end_to_end
def test_ctrl_c_in_an_ingest_leaves_a_base_that_works(
    kbqa: Kbqa, docs: Path, base_folder: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for n in range(3000):
        (many / f"{n}.txt").write_text(f"Part {n} of the long manual. " * 60, "utf-8")
    with subprocess.Popen(
        command("ingest", many, "--kb", base_folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        while not (base_folder / "holder.json").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(1.0)  # it reads and embeds by now
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert out == b""
    assert err.decode() == "kbqa: interrupted; what was finished is kept\n"
    assert "25 days" in kbqa("ask", QUESTION, "--kb", base_folder).out
    assert kbqa("ingest", docs, "--kb", base_folder, "--json").json["added"] == 4
