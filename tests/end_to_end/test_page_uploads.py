"""The page in Debian's Chromium: files that people put into a base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from qa.server.keys import Role
from tests.end_to_end.visiting import visiting
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def served(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an empty base."""
    folder = tmp_path_factory.mktemp("page")
    with serving(settings_for(folder, cache_dir, serve_rate=100_000)) as running:
        running.service.bases.create("library")
        yield running


@pytest.fixture
def visit(browser: Browser, served: Served, tmp_path: Path) -> Iterator[Page]:
    """The documents of the base, which has none."""
    base = served.service.bases.open("library")
    base.remove(*(row.uri for row in base.documents()))
    with visiting(browser, served, tmp_path / "page.png") as page:
        page.get_by_role("link", name="Documents").click()
        yield page


def notes(folder: Path, number: int) -> list[Path]:
    folder.mkdir(exist_ok=True, parents=True)
    files = [folder / f"note{n}.md" for n in range(number)]
    for n, file in enumerate(files):
        file.write_text(f"Gate {n} is oiled every {n + 2} days.", "utf-8")
    return files


def test_many_files_have_one_line_and_those_with_a_fault_their_own(
    visit: Page, tmp_path: Path
) -> None:
    unknown, broken = tmp_path / "x.xyz", tmp_path / "broken.pdf"
    unknown.write_text("What is this?")
    broken.write_bytes(b"%PDF-1.4 nothing more")
    visit.get_by_label("Choose files").set_input_files([unknown, *notes(tmp_path, 7), broken])
    uploads = visit.locator("#uploads")
    expect(uploads).to_contain_text("7 of 9 files were read, 2 could not be.")
    expect(uploads.locator("li:visible")).to_have_text(
        [re.compile("^7 of 9"), re.compile(r"^x\.xyz: "), re.compile(r"^broken\.pdf: ")]
    )
    expect(visit.locator("#count")).to_have_text("8 documents")


def test_a_folder_is_dropped(visit: Page, tmp_path: Path) -> None:
    folder = tmp_path / "手册"
    notes(folder, 1)
    notes(folder / "deep", 1)
    (folder / ".hidden.md").write_text("Nobody's.")
    expect(visit.locator("#drop")).to_be_visible()
    box = visit.locator("#drop").bounding_box()
    assert box
    devtools = visit.context.new_cdp_session(visit)
    for kind in ("dragEnter", "dragOver", "drop"):
        carried = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        place = {"x": box["x"] + 20, "y": box["y"] + 20}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": carried})
    names = visit.locator("#list .name")
    expect(names).to_have_text(["手册/deep/note0.md", "手册/note0.md"])
    expect(visit.locator("#uploads")).not_to_contain_text("hidden")


def test_a_stream_that_is_lost_is_taken_up_again(visit: Page, tmp_path: Path) -> None:
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.fulfill(content_type="text/event-stream", body="")  # as of a server that ends

    visit.route("**/events", lose_the_first)
    visit.get_by_label("Choose files").set_input_files(notes(tmp_path, 1))
    expect(visit.locator("#uploads")).to_have_text("note0.md: read, 1 passages")
    assert lost


def test_documents_are_found_by_a_part_of_their_name(visit: Page, tmp_path: Path) -> None:
    visit.get_by_label("Choose files").set_input_files(notes(tmp_path, 12))
    expect(visit.locator("#count")).to_have_text("12 documents")
    for asked, found in (("te1", "3 documents"), ("*1.md", "2 documents"), ("x", "No such")):
        visit.locator("#path").fill(asked)
        visit.get_by_role("button", name="Show").click()
        expect(visit.locator("#count")).to_contain_text(found)
    expect(visit.locator("#list .document")).to_have_count(0)


def test_on_an_empty_server_an_admin_makes_a_base(
    browser: Browser, cache_dir: Path, tmp_path: Path
) -> None:
    with serving(settings_for(tmp_path / "data", cache_dir)) as own:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(own.url)
        expect(page.get_by_role("alert")).to_contain_text("create one with +")
        page.get_by_label("Your question").fill("Who?")
        page.keyboard.press("Enter")
        expect(page.locator(".exchange")).to_have_count(0)
        page.get_by_role("button", name="New knowledge base").click()
        page.get_by_role("dialog").get_by_label("Name").fill("a b")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("'a b' is no name")
        page.get_by_role("dialog").get_by_label("Name").fill("手册")
        page.get_by_role("button", name="Create").click()
        expect(page.locator("#base")).to_have_value("手册")
        page.get_by_label("Choose files").set_input_files(notes(tmp_path, 1))
        expect(page.locator("#uploads")).to_have_text("note0.md: read, 1 passages")
        expect(page.get_by_role("alert")).to_be_hidden()
        key = own.service.keys.create(Role.EDITOR)[1]
        page.reload()
        page.get_by_role("textbox", name="Key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#base option")).to_have_count(1)
        expect(page.get_by_role("button", name="New knowledge base")).to_be_hidden()
        page.context.close()
