"""`kbqa status`, `documents`, `show`, `doctor` and `config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr

from ingest.documents import Record
from ingest.errors import BadRequest
from qa.command import FAILED, Json, Kb, app, print_json, say, utf8
from qa.neutral import in_one_line
from qa.settings import Settings, load_settings, sources
from qa.terminal import print

STATES = ("ok", "failed", "skipped", "container")


@app.command()
def status(kb: Kb = None, json_: Json = False) -> None:
    """Show what the knowledge base holds, in figures."""
    from qa.command_base import opened, until_the_end

    with until_the_end(opened(load_settings(kb=kb))) as base:
        found = base.status()
    if json_:
        print_json(asdict(found))
        return
    for name, value in asdict(found).items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{count} {kind}" for kind, count in value.items())
        print(f"{name:<16}{value}")
    if found.failed or found.poor:
        say("`kbqa doctor` says what is wrong and what to do")


@app.command()
def documents(
    kb: Kb = None,
    state: Annotated[
        str | None, typer.Option(help="Only those: ok, failed, skipped or container.")
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Only this type: pdf, md... or a media type.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="Only those whose path fits: 'contracts/*.pdf'.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the documents of the knowledge base, what failed and archives among them."""
    from qa.command_base import opened, until_the_end
    from qa.knowledge_base import KnowledgeBase
    from qa.overview import fits, kind_of
    from qa.rendering import record_json

    if state is not None and state not in STATES:
        raise BadRequest(f"--state {state}: there are {', '.join(STATES)}")
    with until_the_end(opened(load_settings(kb=kb))) as base:
        rows = [row for row in base.documents() if fits(row, state, type_, path and utf8(path))]
        groups = base.copies() if json_ and isinstance(base, KnowledgeBase) else []
    if json_:
        copies = {uri: [other for other in group if other != uri] for group in groups
                  for uri in group}  # fmt: skip
        print_json({"documents": [record_json(row, copies.get(row.uri, ())) for row in rows]})
        return
    for row in rows:
        error = f"  {row.error}" if row.error else ""
        line = f"{row.state:<9} {kind_of(row):<6} {row.chunks:>6}  {row.uri}{error}"
        print(in_one_line(line))


@app.command()
def show(
    uri: Annotated[str, typer.Argument(help="The document, as `kbqa documents` names it.")],
    kb: Kb = None,
    page: Annotated[int | None, typer.Option(help="Only this page, slide or sheet.")] = None,
    json_: Json = False,
) -> None:
    """Print the text that was extracted from a document."""
    from qa.command_base import opened, until_the_end
    from qa.rendering import document_json, page_text

    with until_the_end(opened(load_settings(kb=kb))) as base:
        document = base.document(_known(base.documents(), utf8(uri)))
    text = page_text(document, page)
    if json_:
        print_json({**document_json(document), "page": page, "text": text})
    else:
        print(text)


@app.command()
def doctor(kb: Kb = None, json_: Json = False) -> None:
    """List failed files and poor pages with the reason and the cure, and check the base."""
    from qa.command_base import opened
    from qa.knowledge_base import KnowledgeBase

    with opened(load_settings(kb=kb)) as base:
        found = base.diagnose()
        location = base.location
        is_here = isinstance(base, KnowledgeBase)
    sick = [finding for finding in found if finding.kind == "base"]
    if json_:
        print_json({"healthy": not found, "findings": [asdict(finding) for finding in found]})
    for finding in () if json_ else found:
        page = f", p. {finding.page}" if finding.page is not None else ""
        where = f"{finding.uri}{page}: " if finding.uri else ""
        cure = f"; {finding.cure}" if finding.cure else ""
        print(in_one_line(f"{finding.kind}: {where}{finding.reason}{cure}"))
    if not found and not json_:
        passages = "; its passages are counted only where it lies"
        print(
            f"{location} is well: every file was read"
            f"{', and all its passages are there' if is_here else passages}"
        )
    if sick:
        raise typer.Exit(FAILED)


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
        print_json(rows)
        return
    for name, row in rows.items():
        print(f"{name} = {row['value']}  ({row['source']})\n    {row['description']}")


def _known(rows: list[Record], uri: str) -> str:
    """The uri as the base spells it: file systems differ in how they write an accent."""
    from qa.overview import composed

    uris = [row.uri for row in rows]
    if uri in uris:
        return uri
    return next((known for known in uris if composed(known) == composed(uri)), uri)


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, Mapping):
        return {name: _shown(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    if isinstance(value, BaseModel):
        return value.model_dump()
    return str(value) if isinstance(value, Path) else value
