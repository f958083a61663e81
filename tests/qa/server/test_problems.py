from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ingest import errors
from ingest.errors import Closed, KbqaError, Locked, RateLimited, StorageError, Unreachable
from qa.server import problems
from qa.server.observing import AuditLog, ConsoleFormatter, JsonFormatter
from qa.server.problems import FORMS, NotFound, form_of, headers_of, problem_of, scrubbed

ERRORS = [kind for module in (errors, problems) for kind in vars(module).values()
          if isinstance(kind, type) and issubclass(kind, KbqaError)]  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_form_of_its_own(kind: type[KbqaError]) -> None:
    form = next(FORMS[base] for base in kind.__mro__ if base in FORMS)
    assert kind is KbqaError or form.status != 500
    assert 400 <= form.status < 600


def test_an_error_of_the_server_shows_nothing_of_it() -> None:
    for exc in (
        StorageError("cannot open /var/lib/kbqa/handbook: denied"),
        Unreachable("http://qdrant.internal:6333 does not answer"),
        Locked("/var/lib/kbqa is in use by process 7"),
        RuntimeError("secret"),
    ):
        told = problem_of(exc, "1").model_dump_json()
        for word in ("/var", "qdrant.internal", "process 7", "secret"):
            assert word not in told


def test_a_base_that_is_removed_while_it_is_asked_is_not_there() -> None:
    problem = problem_of(Closed("the knowledge base in /var/lib/kbqa/a is closed"), "1")
    assert (problem.status, problem.detail) == (404, "the knowledge base was removed meanwhile")


def test_it_says_when_to_come_back() -> None:
    assert headers_of(Unreachable("x"))["Retry-After"] == "5"
    assert headers_of(Unreachable("x", retry_after=61.2))["Retry-After"] == "62"
    assert headers_of(RateLimited("x"))["Retry-After"] == "10"
    assert "Retry-After" not in headers_of(NotFound("x"))
    assert form_of(NotFound("x")).status == 404


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no 'a' in /var/lib/kbqa/default", "no 'a' in .../default"),
        ("cannot open /data: denied", "cannot open /data: denied"),
        ("~/docs/a.md: gone", ".../a.md: gone"),
        ("handbook/leave.md and 3/4, a / b", "handbook/leave.md and 3/4, a / b"),
        ("http://127.0.0.1:6333/name/x", "http://127.0.0.1:6333/name/x"),
        ("two\nlines of '/home/me/x y.md'", "two lines of '.../x y.md'"),
    ],
)
def test_paths_are_cut(text: str, told: str) -> None:
    assert scrubbed(text) == told


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_the_log_holds_no_trace_path_or_key(formatter: logging.Formatter, tmp_path: Path) -> None:
    secret = "kbqa_0123456789ab_TopSecretTopSecret"
    try:
        (tmp_path / "nothing").read_text()
    except OSError as exc:
        record = logging.LogRecord(
            "qa", logging.ERROR, "/x.py", 1, f"with {secret} and Bearer abc.def", None,
            (type(exc), exc, exc.__traceback__),
        )  # fmt: skip
    line = formatter.format(record)
    assert "TopSecret" not in line
    assert "abc.def" not in line
    assert "kbqa_0123456789ab" in line
    assert str(tmp_path) not in line
    assert "Traceback" not in line
    assert "\n" not in line
    assert "FileNotFoundError" in line
    assert "test_problems.py:" in line or "pathlib.py:" in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["level"] == "error"


NAMES = [
    "x\n2026-11-30T10:00:00Z info a forged line",
    "\x1b[2J",
    "\x9b2J",
    "a\u2028b\x85c\rd\u202eexe",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_no_name_forges_a_line_or_commands_a_terminal(
    formatter: logging.Formatter, name: str
) -> None:
    record = logging.LogRecord("qa", logging.INFO, "/x.py", 1, f"request {name}", None, None)
    record.fields = {"kb": name, "route": f"/{name}"}
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x1b\x9b\u202e\r")
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["kb"] == name
    else:
        assert "kb=" in line


def test_no_name_forges_a_field() -> None:
    record = logging.LogRecord("qa", logging.INFO, "/x.py", 1, "request", None, None)
    record.fields = {"route": '/x status=200 "', "status": 404}
    line = ConsoleFormatter().format(record)
    assert line.endswith(r'request route="/x status=200 \"" status=404')


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_forges_a_line_of_the_audit_log(name: str, tmp_path: Path) -> None:
    AuditLog(tmp_path / "audit.jsonl").write(kb=name, target=name)
    line = (tmp_path / "audit.jsonl").read_bytes().decode()
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x1b\x9b\u202e\r")
    assert json.loads(line)["target"] == name
