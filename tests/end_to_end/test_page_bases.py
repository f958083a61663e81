"""The page with several bases, whose replies come late: what is shown is of the base chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.end_to_end.visiting import QUESTION, QUOTE, ask, visiting
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def served(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a `full` base and an `almost` empty one, which is shown first."""
    folder = tmp_path_factory.mktemp("bases")
    docs = write_documents(folder / "docs")
    one = folder / "one"
    one.mkdir()
    (one / "handbook.md").write_text("# Handbook\n\nA namesake.\n")
    with serving(settings_for(folder / "data", cache_dir, serve_rate=100_000)) as own:
        own.service.bases.create("full").ingest(docs)
        own.service.bases.create("almost").ingest(one)
        yield own


@pytest.fixture
def visit(browser: Browser, served: Served, tmp_path: Path) -> Iterator[Page]:
    """The page, in English."""
    with visiting(browser, served, tmp_path / "bases.png") as page:
        yield page


def held(page: Page, url: str) -> list[Route]:
    """Requests to `url` wait in the list until the test lets them go on."""
    waiting: list[Route] = []
    page.route(url, lambda route: waiting.append(route))
    return waiting


def choose(page: Page, name: str) -> None:
    page.get_by_label("Knowledge base").select_option(name)


def test_the_list_is_that_of_the_base_chosen_last(visit: Page) -> None:
    visit.get_by_role("link", name="Documents").click()
    expect(visit.locator("#count")).to_have_text("1 documents")
    visit.get_by_role("link", name="Skip to the content").focus()
    visit.keyboard.press("Enter")
    expect(visit.locator("#main")).to_be_focused()
    assert visit.evaluate("location.hash") == "#documents"
    waiting = held(visit, "**/almost/documents?*")
    choose(visit, "full")
    expect(visit.locator("#count")).to_have_text("4 documents")
    choose(visit, "almost")
    expect(visit.locator("#list .document")).to_have_count(0)
    choose(visit, "full")
    expect(visit.locator("#count")).to_have_text("4 documents")
    for route in waiting:
        route.continue_()
    visit.unroute("**/almost/documents?*")
    visit.wait_for_load_state("networkidle")
    expect(visit.locator("#count")).to_have_text("4 documents")
    expect(visit.locator("#list .document")).to_have_count(4)


def test_a_conversation_that_begins_late_is_not_one_of_the_next_base(visit: Page) -> None:
    waiting = held(visit, "**/almost/conversations")
    ask(visit, QUESTION)
    choose(visit, "full")
    expect(visit.locator(".exchange")).to_have_count(0)
    for route in waiting:
        route.continue_()
    visit.unroute("**/almost/conversations")
    ask(visit, QUESTION)
    expect(visit.locator(".answer")).to_contain_text(QUOTE)
    expect(visit.locator(".exchange .fault")).to_have_count(0)
