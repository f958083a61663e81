"""The page in a window, for tests that are its visitors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.qa.server.serving import Served

QUESTION = "How many days of annual leave do employees have?"
QUOTE = "Every employee has 25 days of annual leave a year."


@contextmanager
def visiting(browser: Browser, served: Served, shots: Path, **options: object) -> Iterator[Page]:
    """The page in a window of its own. At the end: a screenshot, and not one complaint."""
    told: list[str] = []
    asked: set[str] = set()
    context = browser.new_context(**{"locale": "en-US", **options})  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page.on("console", lambda line: told.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    try:
        page.goto(served.url)
        expect(page.locator("#base option").first).to_be_attached()
        yield page
        page.screenshot(path=shots)
    finally:
        context.close()
    # the browser itself notes replies with an error status; the page shows what they say
    assert [line for line in told if "the server responded with a status of 4" not in line] == []
    assert all(url.startswith((served.url, f"blob:{served.url}")) for url in asked), asked


def ask(page: Page, question: str) -> None:
    """Ask once the answer before has ended: a question sent while one runs stays in the box."""
    asked = page.locator(".exchange").count()
    expect(page.locator("#send")).to_be_visible()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".exchange")).to_have_count(asked + 1)


def is_seen(located: Locator) -> bool:
    """Whether its beginning is in the window, and nothing lies over it."""
    return bool(
        located.evaluate(
            """node => {
                const { left, top } = node.getBoundingClientRect();
                return node.contains(document.elementFromPoint(left + 9, top + 9));
            }"""
        )
    )
