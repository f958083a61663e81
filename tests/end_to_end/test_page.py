"""The page in Debian's Chromium: what people see and do, and that nothing hostile runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from qa.server.keys import Role
from tests.end_to_end.visiting import QUESTION, QUOTE, ask, visiting
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for
from tests.scripted_server import ScriptedServer, endless

pytestmark = pytest.mark.end_to_end

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture(scope="module")
def served(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without an LLM."""
    folder = tmp_path_factory.mktemp("page")
    docs = write_documents(folder / "docs")
    settings = settings_for(folder / "data", cache_dir, serve_rate=100_000, serve_folders=(docs,))
    with serving(settings) as running:
        running.service.bases.create("library").ingest(docs)
        yield running


@pytest.fixture
def visit(browser: Browser, served: Served, tmp_path: Path) -> Iterator[Page]:
    """The page, in English, in light colours."""
    with visiting(browser, served, tmp_path / "page.png") as page:
        yield page


def test_an_answer_its_quote_and_its_passage(visit: Page) -> None:
    ask(visit, QUESTION)
    expect(visit.locator(".answer p").first).to_contain_text(QUOTE)
    expect(visit.locator(".sources .number").first).to_have_text("1")
    mark = visit.locator(".cite").first
    mark.hover()
    expect(visit.get_by_role("tooltip")).to_contain_text(QUOTE)
    mark.click()
    reader = visit.get_by_role("dialog")
    expect(reader.locator("mark")).to_have_text(QUOTE)
    expect(reader).to_contain_text("handbook.md")
    visit.keyboard.press("Escape")
    expect(reader).to_be_hidden()
    expect(mark).to_be_focused()
    visit.get_by_text("Why these passages").click()
    panel = visit.locator(".why")
    expect(panel).to_contain_text("lexical")
    expect(panel).to_contain_text("Chance that the base answers")
    visit.get_by_role("button", name="Helpful", exact=True).click()
    expect(visit.get_by_text("it was noted")).to_be_visible()


def test_a_file_that_is_not_as_it_was_read_is_told(
    visit: Page, served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "pumps.md"
    file.write_text("The pumps are oiled every ninth Tuesday.")
    served.service.bases.open("library").ingest(file)
    ask(visit, "How often are the pumps oiled?")
    visit.locator(".cite").first.click()
    reader = visit.get_by_role("dialog")
    expect(reader.locator("mark")).to_contain_text("every ninth Tuesday")
    expect(reader.locator("#reader-file")).to_be_hidden()
    visit.keyboard.press("Escape")
    file.unlink()
    visit.locator(".cite").first.click()
    expect(reader.locator("#reader-file")).to_contain_text("not there any more")
    expect(reader.locator("mark")).to_contain_text("every ninth Tuesday")
    served.service.bases.open("library").remove("pumps.md")


def test_a_page_of_a_pdf_is_shown_as_it_looks(visit: Page) -> None:
    ask(visit, "What does alarm E-17 mean?")
    visit.locator(".cite").first.click()
    reader = visit.get_by_role("dialog")
    expect(reader.get_by_alt_text("Page 2 as it looks")).to_be_visible()
    expect(reader.locator("mark")).to_contain_text("E-17")
    reader.get_by_role("button", name="Show the whole document").click()
    expect(reader.locator("#reader-text")).to_contain_text("The furnace heats steel")


def test_what_is_not_in_the_documents_looks_different(visit: Page) -> None:
    ask(visit, "Who painted the ceiling of the Sistine Chapel in Rome?")
    exchange = visit.locator(".exchange")
    expect(exchange.get_by_role("heading", name="Not in the documents")).to_be_visible()
    expect(exchange).to_have_class("exchange refused")
    expect(exchange.locator(".cite")).to_have_count(0)


def test_filters_and_a_fault_in_one(visit: Page) -> None:
    visit.get_by_label("Only in").fill("type:pdf")
    ask(visit, "What does alarm E-17 mean?")
    expect(visit.locator(".sources").first).to_contain_text("furnace.pdf")
    visit.get_by_label("Only in").fill("colour:red")
    ask(visit, QUESTION)
    expect(visit.get_by_role("alert").last).to_contain_text("colour")
    expect(visit.get_by_label("Your question")).to_have_value(QUESTION)


def test_by_keyboard_alone(visit: Page) -> None:
    expect(visit.get_by_label("Your question")).to_be_focused()
    visit.keyboard.type(QUESTION)
    visit.keyboard.press("Shift+Enter")
    visit.keyboard.press("Backspace")
    visit.keyboard.press("Enter")
    mark = visit.locator(".cite").first
    expect(mark).to_be_visible()
    expect(visit.get_by_label("Your question")).to_be_focused()
    for _ in range(40):
        visit.keyboard.press("Shift+Tab")
        if mark.evaluate("node => node === document.activeElement"):
            break
    expect(mark).to_be_focused()
    expect(visit.get_by_role("tooltip")).to_be_visible()
    visit.keyboard.press("Enter")
    expect(visit.get_by_role("dialog").locator("mark")).to_have_text(QUOTE)


def test_a_narrow_dark_chinese_page(browser: Browser, served: Served, tmp_path: Path) -> None:
    narrow = {"width": 360, "height": 740}
    options = {"locale": "zh-CN", "viewport": narrow, "color_scheme": "dark"}
    with visiting(browser, served, tmp_path / "narrow.png", **options) as page:
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert max(map(int, paper.strip("rgb()").split(","))) < 60
        page.get_by_label("您的问题").fill("备用密封件多少钱？")
        page.keyboard.press("Enter")
        expect(page.locator(".answer").first).to_contain_text("38")
        for view in ("文档", "提问"):
            page.get_by_role("link", name=view).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("link", name="Documents")).to_be_visible()


def test_a_file_that_misses_the_zone_does_not_replace_the_page(visit: Page) -> None:
    kept = """kind => {
        const carried = new DataTransfer();
        if (kind === "file") carried.items.add(new File(["x"], "x.txt"));
        else carried.setData("text/plain", "x");
        const options = { dataTransfer: carried, bubbles: true, cancelable: true };
        return !document.body.dispatchEvent(new DragEvent("drop", options));
    }"""
    assert visit.evaluate(kept, "file") is True
    assert visit.evaluate(kept, "text") is False


def test_upload_ask_and_delete(visit: Page, tmp_path: Path) -> None:
    file = tmp_path / "telescope.md"
    file.write_text("# Telescope\n\nThe mirror of the Karoo telescope is 11 metres wide.\n")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and no more")
    visit.get_by_role("link", name="Documents").click()
    unknown = tmp_path / "first.xyz"
    unknown.write_bytes(b"\x00\x01")
    visit.get_by_label("Choose files").set_input_files([unknown, file, broken])
    uploads = visit.locator("#uploads")
    expect(uploads).to_contain_text("telescope.md: read, 1 passages")
    expect(uploads.locator(".fault")).to_have_text(
        [re.compile(r"^first\.xyz: files of type \.xyz"), re.compile(r"^broken\.pdf: (?!files)")]
    )
    row = visit.locator(".document", has_text="broken.pdf")
    expect(row).to_contain_text("failed")
    expect(row.locator(".fault")).not_to_be_empty()
    visit.get_by_role("link", name="Ask").click()
    ask(visit, "How wide is the mirror of the Karoo telescope?")
    expect(visit.locator(".answer").last).to_contain_text("11 metres")
    visit.get_by_role("link", name="Documents").click()
    for name in ("telescope.md", "broken.pdf"):
        row = visit.locator("#list .document", has_text=name)
        row.get_by_role("button", name="Delete").click()
        visit.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
    expect(visit.locator("#list .document")).to_have_count(4)


def test_nothing_hostile_runs(browser: Browser, cache_dir: Path, tmp_path: Path) -> None:
    answer = f"{HOSTILE} [x](javascript:alert(1)) ![y](http://example.org/i.png) **bold** [1]"
    with (
        ScriptedServer(lambda messages: answer) as model,
        serving(
            settings_for(
                tmp_path / "data", cache_dir, model="openai:m", base_url=model.base_url,
                api_key="sk-test", min_score=0.0,
            )
        ) as own,
    ):  # fmt: skip
        name = "<img src=x onerror=document.title=3>.md"
        docs = tmp_path / "docs"
        docs.mkdir()
        (docs / name).write_text(f"# {HOSTILE}\n\nThe gate opens at nine. {HOSTILE}\n", "utf-8")
        own.service.bases.create("library").ingest(docs)
        with visiting(browser, own, tmp_path / "hostile.png") as page:
            page.get_by_role("link", name="Documents").click()
            expect(page.locator("#list .name")).to_have_text(name)
            page.locator("#list .name").click()
            expect(page.get_by_role("dialog")).to_contain_text("The gate opens at nine.")
            page.keyboard.press("Escape")
            page.get_by_role("link", name="Ask").click()
            ask(page, "When does the gate open?")
            expect(page.locator(".answer strong")).to_have_text("bold")
            expect(page.locator(".cite")).to_have_count(1)
            page.locator(".cite").hover()
            page.locator(".cite").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert page.title() == "kbqa"
            assert page.locator("main img, main script, main a[href^='javascript']").count() == 0


def test_an_answer_is_stopped_and_a_follow_up_knows_what_was_said(
    browser: Browser, cache_dir: Path, tmp_path: Path
) -> None:
    docs = write_documents(tmp_path / "docs")
    with (
        ScriptedServer(script=[endless]) as model,
        serving(
            settings_for(
                tmp_path / "data", cache_dir, model="openai:m", base_url=model.base_url,
                api_key="sk-test", min_score=0.0, sure_score=1.0, plugins=[
                    "rewrite_query", "retrieve", "require_evidence", "fence_sources",
                    "build_prompt", "cite_sources",
                ],
            )
        ) as own,
    ):  # fmt: skip
        own.service.bases.create("library").ingest(docs)
        with visiting(browser, own, tmp_path / "stopped.png") as page:
            ask(page, QUESTION)
            expect(page.locator(".answer").first).not_to_be_empty()
            page.get_by_role("button", name="Stop").click()
            expect(page.locator(".status").first).to_have_text("Stopped.")
            assert model.left.wait(20)
            ask(page, QUESTION)
            expect(page.locator(".answer").last).to_contain_text("Paris")
            ask(page, "And in winter?")
            expect(page.locator(".exchange").last.locator(".answer")).to_contain_text("Paris")
            expect(page.locator(".exchange").last.locator(".weak")).to_contain_text("Weak evidence")
            said = str(model.requests[-1].body)
            assert "Paris" in said
            assert QUESTION in said
            page.get_by_role("button", name="New conversation").click()
            expect(page.locator(".exchange")).to_have_count(0)
            page.get_by_text("Earlier conversations").click()
            page.get_by_role("button", name=QUESTION, exact=True).click()
            expect(page.locator(".asked")).to_have_text([QUESTION, "And in winter?"])
            expect(page.locator(".weak")).to_have_count(2)
            page.get_by_role("button", name="New conversation").click()
            page.get_by_role("button", name=f"Forget “{QUESTION}”").click()
            expect(page.locator("#earlier")).to_be_hidden()


def test_a_key_is_asked_for(browser: Browser, cache_dir: Path, tmp_path: Path) -> None:
    docs = write_documents(tmp_path / "docs")
    with serving(settings_for(tmp_path / "data", cache_dir, serve_rate=100_000)) as own:
        own.service.bases.create("library").ingest(docs)
        key = own.key(Role.READER, "library")["Authorization"].removeprefix("Bearer ")
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        page.goto(own.url)
        door = page.get_by_role("dialog")
        expect(door).to_contain_text("asks for a key")
        expect(door.get_by_role("alert")).to_be_hidden()
        for given, fault in (("ключ", "plain letters"), ("wrong", "This key is wrong")):
            page.locator("#key").fill(given)
            page.keyboard.press("Enter")
            expect(door.get_by_role("alert")).to_contain_text(fault)
            assert page.evaluate("sessionStorage.getItem('kbqa.key')") is None
        page.locator("#key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#base option")).to_have_text("library")
        assert page.evaluate("localStorage.getItem('kbqa.key')") is None
        page.reload()
        expect(page.locator("#base option")).to_have_text("library")
        context.close()


@pytest.mark.parametrize("role", Role)
def test_who_may_only_read_is_offered_nothing_else(
    browser: Browser, cache_dir: Path, tmp_path: Path, role: Role
) -> None:
    docs = write_documents(tmp_path / "docs")
    with serving(settings_for(tmp_path / "data", cache_dir, serve_rate=100_000)) as own:
        own.service.bases.create("library").ingest(docs)
        key = own.key(role, "library")["Authorization"].removeprefix("Bearer ")
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        page.goto(f"{own.url}#documents")
        page.locator("#key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#list .document")).to_have_count(4)
        offered = 0 if role is Role.READER else 4
        for name in ("Delete", "Read "):
            expect(page.locator("#list").get_by_role("button", name=name)).to_have_count(offered)
        expect(page.get_by_text("Choose files")).to_be_visible(visible=bool(offered))
        context.close()
