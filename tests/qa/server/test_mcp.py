"""The SDK's own client, over both transports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, TextContent, TextResourceContents

from ingest.documents import Document, Record
from ingest.errors import Locked
from qa.knowledge_base import KnowledgeBase
from qa.server import mcp_tools
from qa.server.access import Caller
from qa.server.ids import id_of
from qa.server.keys import Role
from tests.qa.command_line import Kbqa, command, environment, is_one_clear_line
from tests.qa.server.serving import Served
from tests.sample_base import copy_base

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"
Talk = Callable[[Client], Awaitable[None]]


def over_http(served: Served, headers: dict[str, str], talk: Talk) -> None:
    async def run() -> None:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(f"{served.url}/mcp", http_client=http)) as client,
        ):
            await talk(client)

    anyio.run(run)


def said(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def talk_to_library(client: Client) -> None:
    """All tools and resources, on the base of the four files."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask", "list_documents", "read_document"}
    assert tools["ask"].input_schema["required"] == ["question"]
    kb = {"knowledge_base": "library"}

    answer = await client.call_tool("ask", {**kb, "question": QUESTION})
    assert "25 days" in said(answer)
    assert "[1] handbook.md" in said(answer)
    assert answer.structured_content["citations"][0]["verified"] is True

    hits = await client.call_tool("search", {**kb, "query": "润滑油", "k": 1, "filter": "lang:zh"})
    assert said(hits).startswith("[1] 产品/手册.md")

    listed = await client.call_tool("list_documents", {**kb, "path": "*.pdf"})
    assert said(listed) == "furnace.pdf (pdf, ok)"

    page = await client.call_tool("read_document", {**kb, "uri": "furnace.pdf", "page": 2})
    assert "E-17" in said(page)
    assert page.structured_content["next"] is None

    for name, arguments, message in (
        ("ask", {**kb, "question": ""}, "question"),
        ("ask", {"knowledge_base": "nothing", "question": "x"}, "library"),
        ("read_document", {**kb, "uri": "nothing"}, "no document 'nothing'"),
        ("search", {**kb, "query": "x", "filter": "("}, "filter"),
    ):
        failed = await client.call_tool(name, arguments)
        assert failed.is_error
        assert message in said(failed)
        assert "/kb" not in said(failed).replace("knowledge", "")

    resources = (await client.list_resources()).resources
    assert [resource.name for resource in resources] == [
        "furnace.pdf", "handbook.md", "notes.txt", "产品/手册.md",
    ]  # fmt: skip
    content = (await client.read_resource(resources[1].uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    assert "25 days" in content.text
    with pytest.raises(MCPError, match="no document"):
        await client.read_resource("kbqa://documents/library/bm90aGluZw")
    (template,) = (await client.list_resource_templates()).resource_templates
    uri = template.uri_template.replace("{knowledge_base}", "library")
    assert uri.replace("{id}", listed.structured_content["documents"][0]["id"]) == resources[0].uri


def test_a_model_that_sees_the_text_only_is_told_that_there_is_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_tools, "PAGE", 3)
    monkeypatch.setattr(mcp_tools, "LONGEST_TEXT", 10)

    async def talk(client: Client) -> None:
        kb = {"knowledge_base": "library"}
        listed = await client.call_tool("list_documents", kb)
        assert said(listed).endswith('\n(1 more: after="notes.txt")')
        whole = served.service.bases.open("library").document("notes.txt").text
        piece = await client.call_tool("read_document", {**kb, "uri": "notes.txt"})
        assert said(piece) == f"{whole[:10]}\n\n({len(whole) - 10} more characters: start=10)"
        assert piece.structured_content["text"] == whole[:10]
        last = {**kb, "uri": "notes.txt", "start": len(whole) - 10}
        assert said(await client.call_tool("read_document", last)) == whole[-10:]

    over_http(served, {}, talk)


def test_a_base_of_any_name_has_resources(served: Served) -> None:
    base = served.service.bases.create("手册")
    base.ingest_documents([Document.from_text("电梯在五月保养。", uri="电梯.txt")])

    async def talk(client: Client) -> None:
        found = (await client.list_resources()).resources
        (uri,) = [str(one.uri) for one in found if one.name == "电梯.txt"]
        assert uri.isascii()
        for written in (uri, uri.replace("%E6%89%8B%E5%86%8C", "手册")):
            content = (await client.read_resource(written)).contents[0]
            assert isinstance(content, TextResourceContents)
            assert content.text == "电梯在五月保养。"

    over_http(served, {}, talk)
    served.service.bases.delete("手册")


def test_over_http(served: Served) -> None:
    over_http(served, {}, talk_to_library)


def test_over_stdio(library: Path, tmp_path: Path) -> None:
    base = copy_base(library, tmp_path / "library")
    program, *arguments = command("mcp", "--kb", base)
    parameters = StdioServerParameters(command=program, args=arguments, env=environment())

    async def run() -> None:
        async with Client(stdio_client(parameters)) as client:
            await talk_to_library(client)

    anyio.run(run)


def test_over_stdio_behind_a_server(served: Served) -> None:
    program, *arguments = command("--url", served.url, "mcp", "--kb", "library")
    parameters = StdioServerParameters(command=program, args=arguments, env=environment())

    async def run() -> None:
        async with Client(stdio_client(parameters)) as client:
            await talk_to_library(client)

    anyio.run(run)


def test_a_server_that_cannot_be_asked_is_told_at_once(kbqa: Kbqa, served: Served) -> None:
    is_one_clear_line(kbqa("--url", "http://127.0.0.1:9", "mcp"), 5, "does not answer")
    is_one_clear_line(kbqa("--url", served.url, "mcp", "--kb", "none"), 2, "knowledge base 'none'")


class Shelf:
    """Bases that hold documents of these uris."""

    def __init__(self, uris: dict[str, list[str]]) -> None:
        self._uris = uris

    def names(self) -> list[str]:
        return sorted(self._uris)

    async def open(self, name: str) -> KnowledgeBase:
        rows = [Record(uri, "") for uri in self._uris[name]]
        return cast("KnowledgeBase", SimpleNamespace(documents=lambda: rows))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_document_of_every_base_is_listed_once(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_tools, "PAGE", size)
    shelf = Shelf(
        {
            "hr": ["a.md", "b/c.md", "中.md"],
            "hr-old": ["a.md", "\U0010ffff.md"],
            "hr.2": [],
            "z": ["a"],
        }
    )
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = anyio.run(mcp_tools._resources, shelf, cursor)
        seen += [f"{one.description} {one.name}" for one in page.resources]
        cursor = page.next_cursor
    assert seen == [
        f"of the knowledge base {said}"
        for said in (
            "hr a.md", "hr b/c.md", "hr 中.md", "hr-old a.md", "hr-old \U0010ffff.md", "z a",
        )
    ]  # fmt: skip


def test_a_base_that_cannot_be_read_is_left_out(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Caller.open

    async def locked(who: Caller, name: str) -> KnowledgeBase:
        if name == "other":
            raise Locked("/var/lib/kbqa/other is in use by process 7 (kbqa ingest, since 9:00)")
        return await opened(who, name)

    monkeypatch.setattr(Caller, "open", locked)

    async def talk(client: Client) -> None:
        assert len((await client.list_resources()).resources) == 4

    over_http(served, {}, talk)
    assert ".../other is in use" in caplog.text


def test_a_cursor_that_is_none_is_the_clients_fault(served: Served) -> None:
    async def talk(client: Client) -> None:
        for cursor in ("?", "x" * 100_000, id_of("no-slash")):
            with pytest.raises(MCPError, match=r"^cursor is not one .{,50}$") as refused:
                await client.list_resources(cursor=cursor)
            assert refused.value.code == INVALID_PARAMS

    over_http(served, {}, talk)


def test_there_are_no_streams_but_replies(served: Served) -> None:
    headers = {"Accept": "text/event-stream"}
    refused = served.http.get("/mcp", headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_a_key_shows_its_bases_only(served: Served) -> None:
    headers = served.key(Role.READER, "other")

    async def talk(client: Client) -> None:
        assert (await client.list_resources()).resources == []
        refused = await client.call_tool("ask", {"knowledge_base": "library", "question": "x"})
        assert refused.is_error
        assert said(refused) == "knowledge_base is 'library'; there are other"

    over_http(served, headers, talk)
    assert served.http.post("/mcp", json={}).status_code == 401
