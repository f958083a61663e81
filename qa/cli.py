"""The command `kbqa`. Results to stdout, progress and messages to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import SecretStr

from ingest.errors import (
    BadRequest,
    KbqaError,
    Locked,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)
from ingest.sync import SyncReport
from qa import commands_eval
from qa.settings import Settings, load_settings, sources

FAILED, BAD_REQUEST, PARTLY_DONE, INTERRUPTED = 1, 2, 8, 130
EXIT_CODES: dict[type[KbqaError], int] = {
    BadRequest: BAD_REQUEST,
    NotConfigured: 3,
    NotAuthorised: 4,
    Unreachable: 5,
    RateLimited: 6,
    TimedOut: 7,
    Locked: 9,
}
EXIT_CODE_HELP = (
    "Exit codes: 0 ok, 1 failed, 2 bad request, 3 not configured, 4 not authorised, 5 unreachable, "
    "6 rate-limited, 7 timed out, 8 partly done (some documents failed), 9 locked."
)

app = typer.Typer(
    name="kbqa",
    help="Answers questions from a folder of documents, in Chinese and English, each statement "
    "tied to the passage it rests on.\n\nStart with `kbqa ingest FOLDER`, then "
    '`kbqa ask "your question"`.',
    epilog=EXIT_CODE_HELP,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Kb = Annotated[
    str | None,
    typer.Option("--kb", help="Knowledge base: a name, a folder, or http://host:6333/NAME."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no hints.")]
EmbedderOption = Annotated[
    str | None, typer.Option(help="minilm, st:NAME_OR_FOLDER or openai:MODEL.")
]
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", help="FIELD=VALUE on uri, title, media_type, page, metadata.NAME."),
]


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Folders or files.", metavar="PATH...")],
    kb: Kb = None,
    embedder: EmbedderOption = None,
    prune: Annotated[
        bool, typer.Option(help="Remove vanished documents even if they are more than half.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ingest folders; only what changed is read.

    New, edited, renamed and removed files are told apart. A file that cannot be read is reported
    and stops nothing (exit code 8).
    """
    from qa.knowledge_base import KnowledgeBase
    from qa.progress import progress_bar

    settings = load_settings(kb=kb, embedder=embedder)
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise BadRequest(f"no such file or folder: {missing[0]}")
    with KnowledgeBase.open(settings=settings) as base:
        report = SyncReport()
        for path in paths:
            with progress_bar(quiet=quiet) as on_progress:
                report += base.ingest(path, prune=prune, on_progress=on_progress)
    if not quiet:
        _explain_report(report)
    if json_:
        _print_json(report_json(report))
    else:
        print(_summary(report))
    if report.failed or report.withheld:
        raise typer.Exit(PARTLY_DONE)
    if not any((report.added, report.changed, report.renamed, report.removed, report.unchanged)):
        raise BadRequest(f"no documents in {', '.join(map(str, paths))}")


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    kb: Kb = None,
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 10,
    filters: Filter = None,
    explain: Annotated[bool, typer.Option(help="Show both legs, weights and timings.")] = False,
    json_: Json = False,
) -> None:
    """Show the passages that fit a query best."""
    from qa.knowledge_base import KnowledgeBase
    from qa.rendering import explanation_json, hit_json, show_explanation, show_hits

    with KnowledgeBase.open(settings=load_settings(kb=kb), create=False) as base:
        found = base.explain(_text(query), k, filters=_filters(filters))
    if json_:
        hits = {"hits": [hit_json(rank, hit) for rank, hit in enumerate(found.hits, 1)]}
        _print_json({**hits, **(explanation_json(found) if explain else {})})
        return
    show_hits(found.hits, legs=explain)
    if explain:
        show_explanation(found)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from stdin.")],
    kb: Kb = None,
    model: Annotated[
        str | None, typer.Option(help="extractive, or PROVIDER:MODEL such as ollama:qwen3.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="URL of the LLM's endpoint.")] = None,
    filters: Filter = None,
    stream: Annotated[
        bool | None,
        typer.Option(help="Print the answer as it is written; with --json: NDJSON events."),
    ] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question, with citations.

    Without a model the answer is the few sentences that answer it, quoted. When the documents do
    not answer, it says so.
    """
    from qa.knowledge_base import KnowledgeBase
    from qa.rendering import answer_json, show_citations, show_nearest

    settings = load_settings(kb=kb, model=model, base_url=base_url)
    on_token = _token_printer(json_, stream)
    with KnowledgeBase.open(settings=settings, create=False) as base:
        answer = base.ask(_text(question), on_token, filters=_filters(filters))
    if json_:
        event = {"event": "answer"} if on_token else {}
        _print_json({**event, **answer_json(answer)})
        return
    print("" if on_token else answer.text)
    if answer.abstained:
        if not quiet:
            show_nearest(answer.hits)
    else:
        show_citations(answer.citations)


@app.command()
def status(kb: Kb = None, json_: Json = False) -> None:
    """Show what the knowledge base holds."""
    from qa.knowledge_base import KnowledgeBase

    with KnowledgeBase.open(settings=load_settings(kb=kb), create=False) as base:
        found = base.status()
    if json_:
        _print_json(asdict(found))
        return
    for name, value in asdict(found).items():
        print(f"{name:<11}{value}")


@app.command()
def config(kb: Kb = None, json_: Json = False) -> None:
    """Show the settings and where they come from."""
    flags: dict[str, Any] = {"kb": kb}
    settings = load_settings(**flags)
    origin = sources(settings, flags)
    rows = {
        name: {
            "value": _shown(getattr(settings, name)),
            "source": origin[name],
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    }
    if json_:
        _print_json(rows)
        return
    for name, row in rows.items():
        print(f"{name} = {row['value']}  ({row['source']})\n    {row['description']}")


commands_eval.register(app)


@app.callback(invoke_without_command=True)
def main_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options of every command."""
    if version:
        from importlib.metadata import version as installed

        print(f"kbqa {installed('kbqa')}")
        raise typer.Exit


def main() -> None:
    """Entry point: run, and turn an error into one line and an exit code."""
    wants_json = "--json" in sys.argv
    for stream in (sys.stdout, sys.stderr, sys.stdin):  # a C locale knows no Chinese
        if isinstance(stream, io.TextIOWrapper):
            errors = "replace" if stream is sys.stdin else "backslashreplace"
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        app()
    except SystemExit as exc:
        if exc.code == INTERRUPTED:  # typer has caught Ctrl-C
            _fail("interrupted; what was finished is kept", INTERRUPTED, wants_json)
        raise
    except KbqaError as exc:
        _fail(str(exc), exit_code(exc), wants_json)
    except BrokenPipeError:  # the reader, `head` say, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        _fail(f"{exc.strerror or exc}{where}", FAILED, wants_json)


def exit_code(error: KbqaError) -> int:
    """The exit code of an error, by the closest class in `EXIT_CODES`; 1 for all others."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return FAILED


def report_json(report: SyncReport) -> dict[str, Any]:
    """The object that `ingest --json` ends with."""
    return {
        "added": report.added,
        "changed": report.changed,
        "renamed": report.renamed,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "failures": [{"uri": item.uri, "reason": item.reason} for item in report.failures],
        "skipped": report.skipped,
        "skips": [{"uri": item.uri, "reason": item.reason} for item in report.skips],
        "withheld": report.withheld,
        "chunks": report.chunks,
        "seconds": round(report.seconds, 3),
    }


def _explain_report(report: SyncReport) -> None:
    for item in report.failures:
        print(f"failed: {item.uri}: {item.reason}", file=sys.stderr)
    if report.skips:
        kinds = Counter(item.reason for item in report.skips)
        for reason, count in sorted(kinds.items()):
            print(f"skipped {count}: {reason}", file=sys.stderr)
    if report.withheld:
        print(
            f"kept {report.withheld} documents whose files have vanished, since that is more than "
            "half: is the folder mounted? Remove them with --prune",
            file=sys.stderr,
        )


def _summary(report: SyncReport) -> str:
    names = ("added", "changed", "renamed", "removed", "unchanged", "failed")
    counts = [f"{getattr(report, name)} {name}" for name in names if getattr(report, name)]
    return f"{', '.join(counts) or 'nothing'}; {report.chunks} chunks in {report.seconds:.1f} s"


def _token_printer(json_: bool, stream: bool | None) -> Callable[[str], None] | None:
    """Where tokens go: nowhere, to stdout as text, or as NDJSON events."""
    if stream is None:
        stream = not json_ and sys.stdout.isatty()
    if not stream:
        return None
    if json_:
        return lambda token: _print_json({"event": "token", "text": token}, flush=True)
    return lambda token: print(token, end="", flush=True)


def _text(argument: str) -> str:
    return sys.stdin.read() if argument == "-" else _utf8(argument)


def _utf8(argument: str) -> str:
    """What an argument says in UTF-8, whatever the locale."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _filters(options: list[str] | None) -> dict[str, Any] | None:
    """`FIELD=VALUE` options; one field given twice takes either value."""
    filters: dict[str, Any] = {}
    for option in options or []:
        name, equals, value = _utf8(option).partition("=")
        if not equals or not name or not value:
            raise BadRequest(f"--filter {option}: write FIELD=VALUE, for example uri=handbook.md")
        parsed = int(value) if name == "page" and value.isdecimal() else value
        filters.setdefault(name, []).append(parsed)
    return filters or None


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(set)"
    return str(value) if isinstance(value, Path) else value


def _print_json(value: Any, *, flush: bool = False) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=flush)


def _fail(message: str, code: int, wants_json: bool) -> NoReturn:
    line = " ".join(message.split())
    if wants_json:
        _print_json({"error": line, "exit_code": code})
    print(f"kbqa: {line}", file=sys.stderr)
    sys.exit(code)
