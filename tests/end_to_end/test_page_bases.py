"""The page with several bases, whose replies come late: what is shown is of the base chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, Route, expect

from tests.end_to_end.visiting import QUESTION, QUOTE, ask, is_seen, visiting
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.end_to_end

FULL = "full-of-all-that-the-company-has-ever-written-down"
LONG = "/".join(["a-folder-with-a-name-of-some-length"] * 12)


@pytest.fixture(scope="module")
def served(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a FULL base, one of many `notes`, and, shown first, an `almost` empty one."""
    folder = tmp_path_factory.mktemp("bases")
    docs = write_documents(folder / "docs")
    (docs / LONG).mkdir(parents=True)
    (docs / LONG / "mirror.md").write_text("# Mirror\n\nThe mirror is 11 metres wide.\n")
    one = folder / "one"
    one.mkdir()
    (one / "handbook.md").write_text("# Handbook\n\nA namesake.\n")
    notes = folder / "notes"
    notes.mkdir()
    for number in range(70):
        (notes / f"note{number:02}.md").write_text(f"# Note {number}\n\nIt is number {number}.\n")
    settings = settings_for(folder / "data", cache_dir, serve_rate=100_000, serve_folders=(notes,))
    with serving(settings) as own:
        own.service.bases.create("notes").ingest(notes)
        own.service.bases.create(FULL).ingest(docs)
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


def box(located: Locator) -> FloatRect:
    found = located.bounding_box()
    assert found is not None
    return found


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2 reckons it."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.strip("rgb()").split(",")]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def choose(page: Page, name: str) -> None:
    page.get_by_role("combobox", name="Knowledge base").select_option(name)


def test_the_list_is_that_of_the_base_chosen_last(visit: Page) -> None:
    visit.get_by_role("link", name="Documents").click()
    expect(visit.locator("#count")).to_have_text("1 documents")
    visit.get_by_role("link", name="Skip to the content").focus()
    visit.keyboard.press("Enter")
    expect(visit.locator("#main")).to_be_focused()
    assert visit.evaluate("location.hash") == "#documents"
    waiting = held(visit, "**/almost/documents?*")
    choose(visit, FULL)
    expect(visit.locator("#count")).to_have_text("5 documents")
    choose(visit, "almost")
    expect(visit.locator("#list .document")).to_have_count(0)
    choose(visit, FULL)
    expect(visit.locator("#count")).to_have_text("5 documents")
    for route in waiting:
        route.continue_()
    visit.unroute("**/almost/documents?*")
    visit.wait_for_load_state("networkidle")
    expect(visit.locator("#count")).to_have_text("5 documents")
    expect(visit.locator("#list .document")).to_have_count(5)


def test_a_conversation_that_begins_late_is_not_one_of_the_next_base(visit: Page) -> None:
    waiting = held(visit, "**/almost/conversations")
    ask(visit, QUESTION)
    choose(visit, FULL)
    expect(visit.locator(".exchange")).to_have_count(0)
    for route in waiting:
        route.continue_()
    visit.unroute("**/almost/conversations")
    ask(visit, QUESTION)
    expect(visit.locator(".answer")).to_contain_text(QUOTE)
    expect(visit.locator(".exchange .fault")).to_have_count(0)


def test_long_names_on_a_phone(browser: Browser, served: Served, tmp_path: Path) -> None:
    narrow = {"width": 360, "height": 640}
    with visiting(browser, served, tmp_path / "long.png", viewport=narrow) as page:
        choose(page, FULL)
        page.get_by_role("link", name="Documents").click()
        page.get_by_role("button", name=f"{LONG}/mirror.md", exact=True).click()
        reader = page.get_by_role("dialog")
        expect(reader.locator("#reader-text")).to_contain_text("11 metres")
        assert box(reader.locator("#reader-text"))["height"] > 30
        assert box(reader.locator("#reader-body"))["height"] > 100
        for shown in ("#reader-title", ".close"):
            expect(reader.locator(shown)).to_be_in_viewport(ratio=1)
        page.keyboard.press("Escape")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for _ in ("dark", "light"):
            page.get_by_role("button", name="Dark").click()
            style = page.locator("#path").evaluate_handle("getComputedStyle")
            edge, ground = (
                style.evaluate(f"style => style.{name}")
                for name in ("borderTopColor", "backgroundColor")
            )
            assert contrast(edge, ground) >= 3
        page.get_by_role("link", name="Ask").click()
        for count, question in enumerate((QUESTION, "What does alarm E-17 mean?", QUESTION), 1):
            ask(page, question)
            expect(page.locator(".exchange footer")).to_have_count(count)
            assert is_seen(page.locator(".answer").last.locator("p").first)


def test_an_answer_in_a_window_enlarged_four_times(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    small = {"width": 320, "height": 256}
    with visiting(browser, served, tmp_path / "small.png", viewport=small) as page:
        choose(page, FULL)
        ask(page, QUESTION)
        answer = page.locator(".answer p").first
        expect(answer).to_contain_text(QUOTE)
        expect(page.locator("#send")).to_be_visible()
        assert is_seen(answer)
        page.get_by_text("Why these passages").click()
        figures = page.locator(".why td:not(:first-child)")
        expect(figures.first).to_be_attached()
        assert figures.evaluate_all(
            """cells => cells.every((cell) => {
                const words = document.createRange();
                words.selectNodeContents(cell);
                return words.getClientRects().length === 1;
            })"""
        )


def test_a_long_list_stays_when_a_row_goes(visit: Page) -> None:
    choose(visit, "notes")
    visit.get_by_role("link", name="Documents").click()
    rows = visit.locator("#list .document")
    expect(rows).to_have_count(50)
    visit.get_by_role("button", name="More").click()
    expect(rows).to_have_count(70)
    visit.get_by_role("button", name="Delete “note60.md”").click()
    read = visit.evaluate("scrollY")
    visit.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(69)
    expect(visit.get_by_role("button", name="Delete “note61.md”")).to_be_focused()
    assert abs(visit.evaluate("scrollY") - read) < 100  # its foot moves up
    again = visit.get_by_role("button", name="Read “note55.md” again")
    again.click()
    with visit.expect_response("**/notes/documents?*"):
        expect(visit.locator("#uploads")).to_contain_text("note55.md: ")
    expect(again).to_be_focused()
    expect(rows).to_have_count(69)


def test_a_page_loaded_again_is_where_it_was(visit: Page) -> None:
    choose(visit, FULL)
    ask(visit, QUESTION)
    expect(visit.locator(".exchange footer")).to_be_visible()
    visit.get_by_label("Only in").fill("type:md")
    visit.reload()
    expect(visit.locator(".asked")).to_have_text(QUESTION)
    expect(visit.locator(".answer")).to_contain_text(QUOTE)
    expect(visit.get_by_label("Only in")).to_have_value("type:md")
    visit.get_by_role("button", name="New conversation").click()
    visit.reload()
    expect(visit.get_by_text("Earlier conversations")).to_be_visible()
    expect(visit.locator(".exchange")).to_have_count(0)
