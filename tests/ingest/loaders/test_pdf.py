"""PDF: pages, lines, titles, and the files that have no text to give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.loaders.pdf import _tidy

from .builders import pdf


def test_pages_are_exact_spans() -> None:
    document = load_bytes(pdf([["One.", "Two (2)."], [], ["Three."]]), uri="a.pdf")
    assert document.text == "One.\nTwo (2).\n\n\n\nThree."
    texts = [document.text[page.start : page.end] for page in document.pages]
    assert texts == ["One.\nTwo (2).", "", "Three."]
    assert document.page_at(document.text.index("Three")) == 3
    assert document.quality == {"pages_without_text": 1}


def test_titles() -> None:
    pages = [["Acme Corp.", "# Annual Report", "We grew by 3 percent."]]
    assert load_bytes(pdf(pages, title="Report 2024"), uri="a.pdf").title == "Report 2024"
    assert load_bytes(pdf(pages, title="untitled"), uri="a.pdf").title == "Annual Report"
    assert load_bytes(pdf([["all", "of one size"]]), uri="x/plain.pdf").title == "plain"


def test_lines_are_joined_where_words_break() -> None:
    assert _tidy("compi-\r\nlation and com\ufffepile, al\x02ternative  ") == (
        "compilation and compile, alternative"
    )
    assert _tidy("a 5-\n6 range\n\n\n\nX-\nRay") == "a 5-\n6 range\n\nX-\nRay"


def test_full_chinese_lines_are_joined() -> None:
    head, first, second, last = (
        "第一章 总则",
        "本办法适用于公司全体员工，包括正式员工和试用",
        "期员工以及实习生。具体规定由人力资源部",
        "负责解释。",
    )
    tidy = _tidy("\n".join([head, first, second, last, "第二章"]))
    assert tidy == f"{head}\n{first}{second}{last}\n第二章"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf([["secret"]], encrypted=True), "password protected"),
        (pdf([[], []]), r"looks like a scan: no text on 2 page\(s\)"),
        (b"%PDF-1.4\n%broken", "damaged"),
        (pdf([["x"]])[:200], "damaged"),
        (b"no header at all", "damaged"),
    ],
)
def test_files_without_text_to_give(data: bytes, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        load_bytes(data, uri="a.pdf")


def test_a_page_tree_that_loops_ends() -> None:
    looped = pdf([["x"]]).replace(b"/Kids [4 0 R] /Count 1", b"/Kids [2 0 R] /Count 999999999")
    with pytest.raises(LoadError):
        load_bytes(looped, uri="loop.pdf")


def test_many_threads() -> None:
    files = [pdf([[f"file {number} page {page}"] for page in range(5)]) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(lambda data: load_bytes(data, uri="a.pdf"), files))
    for number, document in enumerate(documents):
        assert document.text.startswith(f"file {number} page 0\n\nfile {number} page 1")
