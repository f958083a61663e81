"""Answers of a model on the page: while they are written, and what they are said to rest on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.visiting import QUESTION, ask, visiting
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for
from tests.scripted_server import Exchange, ScriptedServer, saying

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedServer]:
    """What it answers is for each test to say."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def served(
    model: ScriptedServer, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server with that model."""
    folder = tmp_path_factory.mktemp("answers")
    docs = write_documents(folder / "docs")
    settings = settings_for(
        folder / "data", cache_dir, model="openai:m", base_url=model.base_url, api_key="sk-test",
        min_score=0.0, plugins=[
            "rewrite_query", "retrieve", "fence_sources", "build_prompt", "cite_sources",
        ],
    )  # fmt: skip
    with serving(settings) as own:
        own.service.bases.create("library").ingest(docs)
        yield own


def said(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    """A piece of a streamed answer."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def test_who_reads_or_types_meanwhile_is_left_alone(
    browser: Browser, served: Served, model: ScriptedServer, tmp_path: Path
) -> None:
    more, end = threading.Event(), threading.Event()

    def slowly(exchange: Exchange) -> None:
        exchange.start_stream()
        for count, then in ((60, more), (20, end), (20, None)):
            for _ in range(count):
                exchange.write_event(said({"content": "and\n\n"}))
            if then:
                then.wait(20)
        exchange.write_event(said({}, finish="stop"))
        exchange.write_event("[DONE]")
        exchange.write_chunk("")

    model.next(slowly)
    with visiting(browser, served, tmp_path / "left.png") as page:
        lines = page.locator(".answer p")
        ask(page, QUESTION)
        expect(lines).to_have_count(60)
        expect(lines.last).to_be_in_viewport()
        page.mouse.wheel(0, -500)
        page.wait_for_function("scrollY < document.body.scrollHeight - innerHeight - 300")
        page.get_by_label("Only in").click()
        page.keyboard.type("type:")
        read = page.evaluate("scrollY")
        more.set()
        expect(lines).to_have_count(80)
        assert page.evaluate("scrollY") == read
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        end.set()
        expect(page.locator("#send")).to_be_visible()
        expect(page.locator(".exchange footer")).to_be_attached()
        page.keyboard.type("md")
        expect(page.get_by_label("Only in")).to_have_value("type:md")
        expect(page.get_by_label("Your question")).to_have_value("")
        page.get_by_label("Only in").fill("")
        ask(page, QUESTION)
        expect(page.locator(".exchange")).to_have_count(2)
        expect(page.locator(".exchange footer")).to_have_count(2)
        expect(page.get_by_label("Your question")).to_be_focused()


def test_why_a_follow_up_found_its_passages(
    browser: Browser, served: Served, model: ScriptedServer, tmp_path: Path
) -> None:
    written = "How many days of annual leave do employees have in winter?"
    with visiting(browser, served, tmp_path / "why.png") as page:
        ask(page, QUESTION)
        expect(page.locator("#send")).to_be_visible()
        model.next(saying(written))
        ask(page, "And in winter?")
        expect(page.locator(".why")).to_have_count(2)
        panel = page.locator(".why").last
        panel.get_by_text("Why these passages").click()
        expect(panel.locator("dl")).to_contain_text(f"Looked up{written}")
        expect(panel.locator("tbody tr").first).to_contain_text("Staff handbook")
