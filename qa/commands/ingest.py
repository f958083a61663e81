"""`kbqa ingest`, `retry` and `remove`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.errors import BadRequest
from ingest.planning import Plan
from ingest.sync import SyncReport
from qa.command import PARTLY_DONE, EmbedderOption, Json, Kb, Quiet, app, print_json, say, utf8
from qa.neutral import in_one_line
from qa.settings import load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.settings import Settings

_CHANGES = ("added", "changed", "outdated", "removed", "touched")


def _path(argument: str) -> Path:
    """A path; "" is none, which `Path` takes for the folder that one stands in."""
    if not argument:
        raise BadRequest("a path is empty: name a folder or a file, `.` for the one you are in")
    return Path(argument)


@app.command()
def ingest(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders or files.", metavar="PATH...", parser=_path),
    ] = None,
    kb: Kb = None,
    embedder: EmbedderOption = None,
    prune: Annotated[
        bool, typer.Option(help="Remove vanished documents even if they are more than half.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and follow what changes, until Ctrl-C.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only these files, as in .gitignore; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Not these; they stay as they are; may be repeated."),
    ] = None,
    retry_: Annotated[
        bool, typer.Option("--retry", help="Try files again that failed before.")
    ] = False,
    reader: Annotated[
        str | None,
        typer.Option(metavar="MODULE:CLASS", help="A LlamaIndex reader instead of paths."),
    ] = None,
    reader_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="For the reader; may be repeated."),
    ] = None,
    reader_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What its uris begin with; default: its class."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read files; default: setting `workers`.")
    ] = None,
    parse_timeout: Annotated[
        float | None, typer.Option(help="Seconds that reading one file may take.")
    ] = None,
    parse_memory_mb: Annotated[
        int | None, typer.Option(help="Memory that reading one file may take.")
    ] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ingest folders; only what changed is read.

    New, edited, renamed and removed files are told apart. A file that cannot be read is reported
    and stops nothing (exit code 8). With --watch, --json prints one event a line.
    """
    settings = load_settings(
        kb=kb,
        embedder=embedder,
        workers=workers,
        parse_timeout=parse_timeout,
        parse_memory_mb=parse_memory_mb,
    )
    paths = paths or []
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise BadRequest(f"no such file or folder: {missing[0]}")
    if bool(paths) == bool(reader):
        raise BadRequest("give folders or files to ingest, or a --reader (not both)")
    options: dict[str, Any] = {
        "prune": prune,
        "retry": retry_,
        "include": [utf8(glob) for glob in include or ()],
        "exclude": [utf8(glob) for glob in exclude or ()],
    }
    if dry_run or watch or reader:
        from qa.command_base import require_local

        require_local(settings, "--dry-run" if dry_run else "--watch" if watch else "--reader")
    if reader and (dry_run or watch):
        option = "--dry-run" if dry_run else "--watch"
        raise BadRequest(f"{option} needs folders or files: a reader cannot tell what is new")
    if dry_run:
        _show_plans(paths, settings, options, json_)
    elif watch:
        from qa.watching import watch as follow

        follow(paths, settings, options, quiet=quiet, on_report=_told if json_ else None)
    elif reader:
        report = _read(reader, reader_arg or [], reader_name, settings, prune, quiet)
        _finish(report, json_, quiet)
    else:
        report = _ingest(paths, settings, options, quiet)
        if replace(report, seconds=0.0) == SyncReport():
            raise _no_documents(paths)
        _finish(report, json_, quiet)
        if not any(vars_of(report).values()):
            raise _no_documents(paths)


@app.command()
def retry(
    uris: Annotated[
        list[str] | None, typer.Argument(help="Which; default: all.", metavar="[URI...]")
    ] = None,
    kb: Kb = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try files again that failed (or hold something that did)."""
    from qa.command_base import opened
    from qa.progress import progress_bar

    with opened(load_settings(kb=kb)) as base, progress_bar(quiet=quiet) as on_progress:
        report = base.retry([utf8(uri) for uri in uris] if uris else None, on_progress=on_progress)
    _finish(report, json_, quiet)


@app.command()
def remove(
    uris: Annotated[list[str], typer.Argument(help="Documents or archives.", metavar="URI...")],
    kb: Kb = None,
    json_: Json = False,
) -> None:
    """Remove documents from the knowledge base (their files stay, and come back with an ingest)."""
    from qa.command_base import opened, until_the_end

    with until_the_end(opened(load_settings(kb=kb))) as base:
        before = len(base.documents())
        base.remove(*[utf8(uri) for uri in uris])
        removed = before - len(base.documents())
    if json_:
        print_json({"removed": removed})
    else:
        print(f"{removed} removed")


def _ingest(
    paths: list[Path], settings: Settings, options: dict[str, Any], quiet: bool
) -> SyncReport:
    from qa.command_base import opened, until_the_end
    from qa.knowledge_base import KnowledgeBase
    from qa.progress import progress_bar

    report = SyncReport()
    with until_the_end(opened(settings, create=True)) as base:
        if not isinstance(base, KnowledgeBase):
            options = _sendable(options)
        for path in paths:
            with progress_bar(quiet=quiet) as on_progress:
                report += base.ingest(path, on_progress=on_progress, **options)
    return report


def _sendable(options: dict[str, Any]) -> dict[str, Any]:
    """The options of an ingest that sends files to a server, which knows nothing of the folder."""
    if options["prune"] or options["retry"]:
        raise BadRequest("--prune, --retry: a server does not know what is gone from the folder")
    return {name: options[name] for name in ("include", "exclude")}


def _read(
    reader: str,
    arguments: list[str],
    name: str | None,
    settings: Settings,
    prune: bool,
    quiet: bool,
) -> SyncReport:
    from ingest.readers import name_of, parsed, read_with
    from qa.knowledge_base import KnowledgeBase
    from qa.progress import progress_bar

    documents = read_with(reader, parsed(utf8(argument) for argument in arguments))
    with (
        KnowledgeBase.open(settings=settings) as base,
        progress_bar(quiet=quiet) as on_progress,
    ):
        return base.ingest_documents(
            documents, prefix=name or name_of(reader), prune=prune, on_progress=on_progress
        )


def _show_plans(
    paths: list[Path], settings: Settings, options: dict[str, Any], json_: bool
) -> None:
    from ingest.planning import plan as plan_against
    from ingest.walking import Selection
    from qa.knowledge_base import KnowledgeBase
    from qa.opening import base_exists

    if base_exists(settings):
        with KnowledgeBase.open(settings=settings) as base:
            plans = [base.plan(path, **options) for path in paths]
    else:
        selection = Selection.of(options["include"], options["exclude"])
        plans = [plan_against(path, {}, selection=selection) for path in paths]
    if json_:
        print_json({"plans": [{"path": str(path), **plan_json(plan)}
                              for path, plan in zip(paths, plans, strict=True)]})  # fmt: skip
    else:
        for plan in plans:
            _show_plan(plan)
    if not any(map(_finds_something, plans)):
        raise _no_documents(paths)


def _finds_something(plan: Plan) -> bool:
    names = (*_CHANGES, "renamed", "unchanged", "failures", "failed_before", "withheld")
    return any(getattr(plan, name) for name in names)


def _no_documents(paths: Sequence[Path]) -> BadRequest:
    return BadRequest(f"no documents in {', '.join(map(str, paths))}")


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as `ingest --dry-run --json` gives it."""
    return {
        "added": [entry.uri for entry in plan.added],
        "changed": [entry.uri for entry in plan.changed],
        "outdated": [entry.uri for entry in plan.outdated],
        "renamed": [{"from": old, "to": entry.uri} for old, entry in plan.renamed],
        "removed": list(plan.removed),
        "touched": [entry.uri for entry in plan.touched],
        "unchanged": plan.unchanged,
        "failed_before": [{"uri": i.uri, "reason": i.reason} for i in plan.failed_before],
        "failures": [{"uri": i.uri, "reason": i.reason} for i in plan.failures],
        "skips": [{"uri": i.uri, "reason": i.reason} for i in plan.skips],
        "withheld": plan.withheld,
    }


def _show_plan(plan: Plan) -> None:
    for name in _CHANGES:
        for item in getattr(plan, name):
            print(in_one_line(f"{name}: {item if isinstance(item, str) else item.uri}"))
    for old, entry in plan.renamed:
        print(in_one_line(f"renamed: {old} -> {entry.uri}"))
    for item in plan.failed_before:
        print(in_one_line(f"failed before: {item.uri}: {item.reason}"))
    names = ("added", "changed", "outdated", "renamed", "removed", "touched", "failed_before")
    counts = [f"{len(found)} {name.replace('_', ' ')}" for name in names
              if (found := getattr(plan, name))]  # fmt: skip
    print(", ".join([*counts, f"{plan.unchanged} unchanged"]))
    explain(SyncReport(withheld=plan.withheld, failures=plan.failures, skips=plan.skips))


def _finish(report: SyncReport, json_: bool, quiet: bool) -> None:
    """Say what was done, and set the exit code."""
    if not quiet:
        explain(report)
    if json_:
        print_json(report_json(report))
    else:
        print(summary(report))
    if report.failed or report.failed_before or report.withheld:
        raise typer.Exit(PARTLY_DONE)


def _told(report: SyncReport) -> None:
    print_json({"event": "ingested", **report_json(report)}, flush=True)


def vars_of(report: SyncReport) -> dict[str, int]:
    """The counts of documents that an ingest found or dealt with."""
    names = ("added", "changed", "renamed", "removed", "unchanged")
    return {name: getattr(report, name) for name in names}


def report_json(report: SyncReport) -> dict[str, Any]:
    """The object that `ingest --json` ends with."""
    return {
        "added": report.added,
        "changed": report.changed,
        "renamed": report.renamed,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "failures": [
            {"uri": item.uri, "reason": item.reason}
            for item in (*report.failures, *report.not_tried)
        ],
        "failed_before": report.failed_before,
        "skipped": report.skipped,
        "skips": [{"uri": item.uri, "reason": item.reason} for item in report.skips],
        "withheld": report.withheld,
        "chunks": report.chunks,
        "poor": report.poor,
        "seconds": round(report.seconds, 3),
    }


def explain(report: SyncReport) -> None:
    """Tell on stderr what was not done, and why."""
    from ingest.cures import cure_of

    for item in report.failures:
        cure = cure_of(item.reason)
        say(in_one_line(f"failed: {item.uri}: {item.reason}{'; ' if cure else ''}{cure}"))
    if report.failed_before:
        say(
            f"not tried again: {report.failed_before} that failed before and are the same; "
            "`kbqa doctor` says why, `kbqa retry` tries them"
        )
    if report.skips:
        kinds = Counter(item.reason for item in report.skips)
        for reason, count in sorted(kinds.items()):
            say(f"skipped {count}: {reason}")
    if report.poor:
        say(f"read poorly: {report.poor}; `kbqa doctor` says what is wrong and what to do")
    if report.withheld:
        say(
            f"kept {report.withheld} documents whose files have vanished, since that is more than "
            "half: is the folder mounted? Remove them with --prune"
        )


def summary(report: SyncReport) -> str:
    """What an ingest did, in one line."""
    names = ("added", "changed", "renamed", "removed", "unchanged", "failed", "failed_before")
    counts = [
        f"{getattr(report, name)} {name.replace('_', ' ')}"
        for name in names
        if getattr(report, name)
    ]
    chunks = f"{report.chunks} chunk{'' if report.chunks == 1 else 's'}"
    return f"{', '.join(counts) or 'nothing'}; {chunks} in {report.seconds:.1f} s"
