"""`kbqa search` and `kbqa ask`."""

# ruff: noqa: T201 (a command prints)
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from qa.command import Filter, Json, Kb, Quiet, app, condition_of, print_json, say, text_of
from qa.settings import load_settings


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

    settings = load_settings(kb=kb)
    with KnowledgeBase.open(settings=settings, create=False) as base:
        found = base.explain(text_of(query), k, filters=condition_of(filters))
    if json_:
        hits = {"hits": [hit_json(rank, hit) for rank, hit in enumerate(found.hits, 1)]}
        print_json({**hits, **(explanation_json(found) if explain else {})})
        return
    show_hits(found.hits, explained=found if explain else None)
    if explain:
        show_explanation(found, min_score=settings.min_score)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from stdin.")],
    kb: Kb = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="extractive, or PROVIDER:MODEL such as ollama:qwen3; a,b: the first that answers."
        ),
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
        answer = base.ask(text_of(question), on_token, filters=condition_of(filters))
    if json_:
        event = {"event": "answer"} if on_token else {}
        print_json({**event, **answer_json(answer)})
        return
    print("" if on_token else answer.text)
    for note in () if quiet else answer.notes:
        say(note)
    if answer.abstained:
        if not quiet:
            show_nearest(answer.hits)
    else:
        show_citations(answer.citations)


def _token_printer(json_: bool, stream: bool | None) -> Callable[[str], None] | None:
    """Where tokens go: nowhere, to stdout as text, or as NDJSON events."""
    if stream is None:
        stream = not json_ and sys.stdout.isatty()
    if not stream:
        return None
    if json_:
        return lambda token: print_json({"event": "token", "text": token}, flush=True)
    return lambda token: print(token, end="", flush=True)
