"""The house rules of DESIGN.md and STYLE.md, read from the source and from a fresh process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ingest.documents import Document
from qa.knowledge_base import KnowledgeBase
from retrieval.embedding import Embedder
from tests.qa.command_line import REPOSITORY, environment

PACKAGES = ("ingest", "retrieval", "qa")
SOURCES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
COMMANDS = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("qa/commands/*.py")}
PRINTERS = COMMANDS | {
    "qa/cli.py", "qa/command.py", "qa/progress.py", "qa/rendering.py", "qa/terminal.py",
}  # fmt: skip
ENVIRONMENT = {
    "qa/settings.py": "the one reader of the environment",
    "ingest/workers.py": "hands its workers an environment without keys and settings",
    "ingest/loaders/offline_unstructured.py": "sets the opt-outs that unstructured reads",
}
# all that retrieval may import of it
FROM_INGEST = {
    "ingest.documents", "ingest.errors", "ingest.loaders.media_types", "ingest.openvino_import",
}  # fmt: skip
HEAVY = {
    "torch", "sentence_transformers", "transformers", "unstructured", "llama_index", "langchain",
    "langchain_core", "qdrant_client", "openai", "fastapi", "starlette", "uvicorn", "mcp",
    "prometheus_client", "opentelemetry",
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: write the whole name of what you import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_to_the_left() -> None:
    for path in SOURCES:
        only_to_the_left(path)


def only_to_the_left(path: Path) -> None:
    package = path.relative_to(REPOSITORY).parts[0]
    right = PACKAGES[PACKAGES.index(package) + 1 :]
    for module in imports_of(path):
        top = module.partition(".")[0]
        assert top not in right, f"{name_of(path)} imports {module}"
        assert top not in ("tests", "bench"), f"{name_of(path)} imports {module}"
        if package == "retrieval" and top == "ingest":
            assert any(f"{module}.".startswith(f"{allowed}.") for allowed in FROM_INGEST), module


def test_only_the_command_prints() -> None:
    for path in SOURCES:
        lines = [] if name_of(path) in PRINTERS else prints_of(path)
        assert not lines, f"{name_of(path)}:{lines} prints"


def prints_of(path: Path) -> list[int]:
    """Lines of `path` that print."""
    return [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "pprint", "sys.stdout.write", "sys.stderr.write")
    ]


def test_the_environment_is_read_in_one_place() -> None:
    for path in SOURCES:
        if name_of(path) not in ENVIRONMENT:
            reads_no_environment(path)


def reads_no_environment(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        reads = isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "os.environ", "os.getenv", "os.environb", "os.putenv",
        )  # fmt: skip
        assert not reads, f"{name_of(path)}:{getattr(node, 'lineno', '')} reads the environment"
    assert not {"os.environ", "os.getenv"} & set(imports_of(path)), name_of(path)


PRINTERS_OF_COUNTS = {"qa/cli.py", "qa/progress.py", "qa/terminal.py"}


@pytest.mark.parametrize("name", sorted(PRINTERS - PRINTERS_OF_COUNTS))
def test_what_is_printed_commands_no_terminal(name: str) -> None:
    path = REPOSITORY / name
    assert not prints_of(path) or "qa.terminal.print" in set(imports_of(path))
    assert "typer.echo" not in path.read_text("utf-8")


def test_the_lists_of_exceptions_are_up_to_date() -> None:
    names = {name_of(path) for path in SOURCES}
    assert names >= PRINTERS
    assert names >= ENVIRONMENT.keys()


def test_a_catch_all_raises_again_or_says_why_not() -> None:
    for path in SOURCES:
        raises_again_or_says_why_not(path)


def raises_again_or_says_why_not(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "BaseException"
        if caught not in ("Exception", "BaseException"):
            continue
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        reason = lines[node.lineno - 1].partition("# noqa: BLE001 - ")[2]
        assert raises or reason, f"{name_of(path)}:{node.lineno} swallows {caught}"


ASK = """
import json, sys
import qa
with qa.KnowledgeBase.open(sys.argv[1], create=False) as kb:
    text = kb.ask("How many days of annual leave do I have?").text
    kb.search("leave")
print(json.dumps([text, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_asking_an_embedded_base_imports_nothing_heavy(tmp_path: Path, embedder: Embedder) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        kb.ingest_documents([Document.from_text("You have 25 days of annual leave.", uri="a")])
    process = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "kb")],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    text, modules = json.loads(process.stdout)
    assert "25 days" in text
    assert HEAVY.isdisjoint(modules)
    assert {"qdrant_edge", "openvino"} <= set(modules)
