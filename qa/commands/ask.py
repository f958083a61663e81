"""`kbqa search`, `kbqa ask` and `kbqa open`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa.command import Filter, Json, Kb, Quiet, app, condition_of, print_json, say, text_of
from qa.commands.plugins import show_prompt_of
from qa.settings import Settings, load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from ingest.documents import Record
    from qa.kept import Exchange


Model = Annotated[
    str | None,
    typer.Option(
        help="extractive, or PROVIDER:MODEL such as ollama:qwen3; a,b: the first that answers."
    ),
]
BaseUrl = Annotated[str | None, typer.Option(help="URL of the LLM's endpoint.")]


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
    from qa.command_base import opened, until_the_end
    from qa.rendering import (
        explanation_json,
        hit_json,
        show_explanation,
        show_hits,
        show_no_passages,
    )

    settings = load_settings(kb=kb)
    with until_the_end(opened(settings)) as base:
        found = base.explain(text_of(query), k, filters=condition_of(filters))
    if json_:
        hits = {"hits": [hit_json(rank, hit) for rank, hit in enumerate(found.hits, 1)]}
        print_json({**hits, **(explanation_json(found) if explain else {})})
        return
    if not found.hits:
        show_no_passages(filtered=bool(filters))
    show_hits(found.hits, explained=found if explain else None)
    if explain:
        show_explanation(found, min_score=settings.min_score, sure_score=settings.sure_score)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from stdin.")],
    kb: Kb = None,
    model: Model = None,
    base_url: BaseUrl = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture that belongs to the question.")
    ] = None,
    filters: Filter = None,
    stream: Annotated[
        bool | None,
        typer.Option(help="Print the answer as it is written; with --json: NDJSON events."),
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print what the LLM would be sent, and end.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question, with citations.

    Without a model the answer is the few sentences that answer it, quoted. When the documents do
    not answer, it says so.
    """
    from qa.command_base import opened_to_ask, until_the_end
    from qa.kept import Exchange
    from qa.rendering import answer_json, remarks, show_nearest, show_sources

    settings = load_settings(kb=kb, model=model, base_url=base_url)
    if show_prompt:
        show_prompt_of(text_of(question), settings, condition_of(filters), json_)
        return
    on_token = _token_printer(json_, stream)
    with until_the_end(opened_to_ask(settings, model, base_url)) as base:
        asked = text_of(question)
        answer = base.ask(asked, on_token, filters=condition_of(filters), images=image or ())
        keep_last(base.location, Exchange(asked, answer, time.time()), settings)
    if json_:
        event = {"event": "answer"} if on_token else {}
        print_json({**event, **answer_json(answer)})
        return
    print("" if on_token else answer.text)
    for note in () if quiet else remarks(answer):
        say(note)
    if answer.abstained:
        if not quiet:
            show_nearest(answer.hits, filtered=bool(filters))
    else:
        show_sources(answer)


@app.command("open")
def open_(
    number: Annotated[int, typer.Argument(help="Number of a citation of the last answer.")],
    kb: Kb = None,
    where: Annotated[
        bool, typer.Option("--where", help="Only FILE:LINE, for an editor: $(kbqa open 2 --where).")
    ] = False,
    json_: Json = False,
) -> None:
    """Show the passage of a citation in its document, with what stands around it."""
    from qa.command_base import opened, until_the_end
    from qa.kept import LastAnswers
    from qa.passages import passages_of
    from qa.rendering import file_remark, show_passage

    settings = load_settings(kb=kb)
    with until_the_end(opened(settings)) as base:
        last = LastAnswers(settings.state_dir / "last").load(base.location)
        cited = last.answer.citations
        passages = passages_of(number, cited, base.document, base.file_state)
        files = {record.uri: file_of(record) for record in base.documents()} if where else {}
    if json_:
        print_json({"question": last.question, "passages": [asdict(found) for found in passages]})
        return
    for passage in passages:
        if where:
            line = "" if passage.line is None else f":{passage.line}"
            print(f"{files.get(passage.uri) or passage.uri}{line}")
            for remark in file_remark(passage):
                say(remark)
        else:
            show_passage(passage, styled=sys.stdout.isatty())


def keep_last(location: str, exchange: Exchange, settings: Settings) -> None:
    """Remember an answer for `kbqa open`; go on without where nothing can be written."""
    from qa.kept import LastAnswers

    with contextlib.suppress(OSError):
        LastAnswers(settings.state_dir / "last").keep(location, exchange)


def file_of(record: Record) -> str:
    """The file that a document was read from; "" for what is in an archive or came otherwise."""
    return record.source if not record.container else ""


def _token_printer(json_: bool, stream: bool | None) -> Callable[[str], None] | None:
    """Where tokens go: nowhere, to stdout as text, or as NDJSON events."""
    if stream is None:
        stream = not json_ and sys.stdout.isatty()
    if not stream:
        return None
    if json_:
        return lambda token: print_json({"event": "token", "text": token}, flush=True)
    return lambda token: print(token, end="", flush=True)
