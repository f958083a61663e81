"""Knowledge bases as tools and resources of the Model Context Protocol, whatever carries it.

search, ask, list_documents, read_document
kbqa://documents/BASE/ID    a document's text; ids are those of the HTTP API

Many clients show a model the text of a reply only: it says by itself that there is more.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, unquote

import mcp_types as types
from anyio import get_cancelled_exc_class
from anyio.to_thread import run_sync
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field, ValidationError

from ingest.documents import Record
from ingest.errors import BadRequest, KbqaError
from qa.answering import MAX_QUESTION
from qa.client import RemoteKnowledgeBase
from qa.knowledge_base import KnowledgeBase
from qa.overview import answers, fits
from qa.rendering import page_text, place
from qa.server import ids
from qa.server.ask_forms import answer_dict, hits_json
from qa.server.models import DocumentItem
from qa.server.openai_forms import sources_text
from qa.server.problems import NotFound, problem_of, scrubbed
from qa.turn import Answer
from retrieval.filter_text import MAX_FILTER
from retrieval.hits import Hit
from retrieval.searching import MAX_K

logger = logging.getLogger(__name__)

NAME = "kbqa"
SCHEME = "kbqa://documents/"
PAGE = 200  # documents or resources in one reply
LONGEST_TEXT = 50_000  # characters of a document in one reply: more would fill a model's context
INSTRUCTIONS = (
    "Documents of the user's knowledge bases. `ask` answers a question with its sources; `search` "
    "finds passages; `list_documents` and `read_document` show what is there."
)

T = TypeVar("T")
AnyBase = KnowledgeBase | RemoteKnowledgeBase
Context = ServerRequestContext[Any, Any]


class Source(Protocol):
    """Whose bases are shown: those of the caller."""

    def names(self) -> list[str]: ...

    async def open(self, name: str) -> AnyBase: ...


class _Arguments(BaseModel):
    knowledge_base: str = Field("", max_length=100, description="which; may be left out if one")


class Search(_Arguments):
    """Find the passages that fit a query best, in all languages of the documents."""

    query: str = Field(min_length=1, max_length=MAX_QUESTION)
    k: int = Field(8, ge=1, le=MAX_K, description="how many passages")
    filter: str = Field("", max_length=MAX_FILTER, description="such as type:pdf date>=2024")


class Ask(_Arguments):
    """Answer a question from the documents, with numbered sources, or say that they do not."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    filter: str = Field("", max_length=MAX_FILTER, description="such as path:handbook/**")


class ListDocuments(_Arguments):
    """List the documents of a knowledge base, what could not be read among them."""

    path: str = Field("", max_length=1000, description="a pattern: contracts/*.pdf")
    after: str = Field("", max_length=4000, description="`next` of the page before")


class ReadDocument(_Arguments):
    """Read the text of a document, or of one page of it, piece by piece if it is long."""

    uri: str = Field(min_length=1, max_length=4000)
    page: int | None = Field(None, ge=0)
    start: int = Field(0, ge=0, description="first character; `next` of the piece before")


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool gives: a text for the model, the same as data for programs."""

    text: str
    data: dict[str, Any]


Work = Callable[[AnyBase, Any, Callable[[], None]], Said]


def mcp_server(source_of: Callable[[Context], Source]) -> Server[Any]:
    """A server that shows each request the bases of its source."""

    async def list_tools(ctx: Context, params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(name) for name in TOOLS])

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            said = await _called(source_of(ctx), params.name, params.arguments or {})
        except KbqaError as exc:
            text = types.TextContent(type="text", text=_told(exc))
            return types.CallToolResult(content=[text], is_error=True)
        text = types.TextContent(type="text", text=said.text)
        return types.CallToolResult(content=[text], structured_content=said.data)

    async def list_resources(
        ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        after = params.cursor if params and params.cursor else ""
        try:
            return await _resources(source_of(ctx), after)
        except KbqaError as exc:
            raise _refusal(exc) from exc

    async def list_templates(
        ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[TEMPLATE])

    async def read_resource(
        ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await _resource(source_of(ctx), str(params.uri))

    return Server(
        NAME,
        version=version("kbqa"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


# --- tools ---


async def _called(source: Source, name: str, arguments: Mapping[str, Any]) -> Said:
    if name not in TOOLS:
        raise NotFound(f"there is no tool '{name}'; there are {', '.join(TOOLS)}")
    form, work = TOOLS[name]
    try:
        asked = form.model_validate(arguments)
    except ValidationError as exc:
        fault = exc.errors()[0]
        raise BadRequest(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from exc
    base = await source.open(_base(source, asked.knowledge_base))
    return await _in_thread(lambda check: work(base, asked, check))


def _base(source: Source, name: str) -> str:
    names = source.names()
    if not name and len(names) == 1:
        return names[0]
    if name not in names:
        raise BadRequest(f"knowledge_base is '{name}'; there are {', '.join(names) or 'none'}")
    return name


def _search(base: AnyBase, form: Search, check: Callable[[], None]) -> Said:
    hits = base.search(form.query, form.k, filters=form.filter or None)
    text = "\n\n".join(_passage(number, hit) for number, hit in enumerate(hits, 1))
    return Said(text or "nothing was found", {"hits": hits_json(hits)})


def _ask(base: AnyBase, form: Ask, check: Callable[[], None]) -> Said:
    answer: Answer = base.ask(form.question, lambda token: check(), filters=form.filter or None)
    return Said(answer.text + sources_text(answer), answer_dict(answer))


def _list(base: AnyBase, form: ListDocuments, check: Callable[[], None]) -> Said:
    rows = [row for row in base.documents() if fits(row, None, None, form.path or None)]
    rest = [row for row in rows if row.uri > form.after]
    shown = [DocumentItem.of(row) for row in rest[:PAGE]]
    lines = [f"{item.uri} ({item.kind}, {item.error or item.state})" for item in shown]
    next_ = rest[PAGE - 1].uri if len(rest) > PAGE else None
    if next_ is not None:
        lines.append(f"({len(rest) - PAGE} more: after={json.dumps(next_, ensure_ascii=False)})")
    data = {"documents": [item.model_dump() for item in shown], "total": len(rows), "next": next_}
    return Said("\n".join(lines) or "there are no documents", data)


def _read(base: AnyBase, form: ReadDocument, check: Callable[[], None]) -> Said:
    document = base.document(form.uri)
    text = page_text(document, form.page)
    end = form.start + LONGEST_TEXT
    data = {
        "uri": document.uri,
        "title": document.title,
        "pages": [page.number for page in document.pages],
        "start": form.start,
        "next": end if end < len(text) else None,
        "characters": len(text),
    }
    piece = text[form.start : end]
    more = f"\n\n({len(text) - end:,} more characters: start={end})" if end < len(text) else ""
    return Said(piece + more, {**data, "text": piece})


TOOLS: Mapping[str, tuple[type[_Arguments], Work]] = {
    "search": (Search, _search),
    "ask": (Ask, _ask),
    "list_documents": (ListDocuments, _list),
    "read_document": (ReadDocument, _read),
}


def _tool(name: str) -> types.Tool:
    form, _ = TOOLS[name]
    schema = form.model_json_schema()
    hints = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return types.Tool(
        name=name,
        description=schema.pop("description"),
        input_schema=schema,
        annotations=hints,
    )


def _passage(number: int, hit: Hit) -> str:
    return f"[{number}] {place(hit.uri, hit.chunk.page, hit.chunk.heading)}\n{hit.text}"


# --- resources ---

TEMPLATE = types.ResourceTemplate(
    name="document",
    uri_template=f"{SCHEME}{{knowledge_base}}/{{id}}",
    description="The text of a document; `id` as `list_documents` gives it",
    mime_type="text/plain",
)


async def _resources(source: Source, after: str) -> types.ListResourcesResult:
    """A page of the documents of all bases; the cursor is the last one's id, base and all.

    Raises BadRequest for a cursor that is none.
    """
    last = base_of_last, _ = _place_of(after)
    found: list[types.Resource] = []
    for name in source.names():
        if name < base_of_last:
            continue
        for row in await _rows(source, name):
            if answers(row) and (name, row.uri) > last:
                found.append(
                    types.Resource(
                        uri=f"{SCHEME}{quote(name)}/{ids.id_of(row.uri)}",
                        name=row.uri,
                        title=row.title or row.uri,
                        description=f"of the knowledge base {name}",
                        mime_type="text/plain",
                    )
                )
                if len(found) == PAGE:
                    cursor = ids.id_of(f"{name}/{row.uri}")
                    return types.ListResourcesResult(resources=found, next_cursor=cursor)
    return types.ListResourcesResult(resources=found)


def _place_of(cursor: str) -> tuple[str, str]:
    """The base and the uri after which a page begins. Raises BadRequest."""
    if not cursor:
        return "", ""
    try:
        base, slash, uri = ids.uri_of(cursor).partition("/")
    except NotFound:
        slash = ""
    if not slash:
        raise BadRequest("cursor is not one that this server gave: take `nextCursor` as it is")
    return base, uri


async def _rows(source: Source, name: str) -> Sequence[Record]:
    """The ledger of a base; nothing of one that cannot be read now: the others are still there."""
    try:
        base = await source.open(name)
        return await run_sync(base.documents)
    except KbqaError as exc:
        logger.warning("%s is left out of the resources: %s", name, scrubbed(str(exc)))
        return ()


async def _resource(source: Source, uri: str) -> types.ReadResourceResult:
    name, _, id_ = uri.removeprefix(SCHEME).partition("/")
    try:
        if not uri.startswith(SCHEME) or not id_:
            raise NotFound(f"'{uri}' is no document; they begin with {SCHEME}")
        base = await source.open(_base(source, unquote(name)))
        document = await run_sync(base.document, ids.uri_of(id_))
    except KbqaError as exc:
        raise _refusal(exc) from exc
    contents = types.TextResourceContents(uri=uri, text=document.text, mime_type="text/plain")
    return types.ReadResourceResult(contents=[contents])


# --- inside ---


def _refusal(exc: KbqaError) -> MCPError:
    return MCPError(code=types.INVALID_PARAMS, message=_told(exc))


def _told(exc: KbqaError) -> str:
    return problem_of(exc, "").detail


async def _in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """What `work(check)` returns; `check` raises once the request has been cancelled."""
    left = threading.Event()

    def check() -> None:
        if left.is_set():
            raise BadRequest("the request was cancelled")

    try:
        return await run_sync(work, check, abandon_on_cancel=True)
    except get_cancelled_exc_class():
        left.set()
        raise
