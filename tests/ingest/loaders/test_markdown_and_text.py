"""Markdown and plain text: titles, sections, front matter, pages."""

from __future__ import annotations

import pytest

from ingest.documents import Document
from ingest.loaders import load_bytes
from ingest.loaders.sections import sections_of

from .child import Child


def markdown(text: str, uri: str = "docs/file.md") -> Document:
    return load_bytes(text.encode(), uri=uri)


def test_headings_and_their_spans() -> None:
    text = "intro\n\n# One\n\na\n\n## Two\n\nb\n\nThree\n=====\n\nc\n"
    one, two, three = sections_of(text)
    assert (one.title, one.level, text[one.start : one.start + 5]) == ("One", 1, "# One")
    assert (one.end, two.end, three.end) == (three.start, three.start, len(text))
    assert text[three.start :].startswith("Three\n===")


def test_headings_in_code_are_none() -> None:
    text = "```sh\n# not one\n```\n\n    # nor this\n\n~~~\n# nor that\n~~~\n\n- a\n---\n\n# real\n"
    assert [s.title for s in sections_of(text)] == ["real"]


def test_heading_titles_lose_their_markup() -> None:
    text = "# **Big** [idea](http://x.y) with `code` &amp; ![pic](p.png) ##\n## \n## 中文 *标题*\n"
    assert [s.title for s in sections_of(text)] == ["Big idea with code & pic", "中文 标题"]


def test_front_matter_gives_title_and_metadata() -> None:
    document = markdown(
        '---\ntitle: "手册: one"\nweight: 3 # x\ntags: [a]\n---\n\n# Head\n\ntext\n'
    )
    assert document.title == "手册: one"
    assert document.metadata == {
        "title": "手册: one",
        "weight": 3,
        "tags": ["a"],
        "encoding": "utf-8",
    }
    assert document.text == "# Head\n\ntext\n"
    assert document.sections[0].start == 0


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3),
        ("0", 0),
        ("-12", -12),
        ("4.5", 4.5),
        ("true", True),
        ("False", False),
        ("'3'", "3"),
        ('"true"', "true"),
        ("007", "007"),
        ("1.10", "1.10"),
        ("1.2.3", "1.2.3"),
        ("1e5", "1e5"),
        ("3 days", "3 days"),
        ("2024-03-15", "2024-03-15"),
        ("9" * 30, "9" * 30),
        ("٣", "٣"),
    ],
)
def test_numbers_and_truth_values_in_front_matter(written: str, value: object) -> None:
    found = markdown(f"---\nx: {written}\n---\ntext\n").metadata["x"]
    assert (found, type(found)) == (value, type(value))


def test_a_number_in_front_matter_may_be_the_title() -> None:
    assert markdown("---\ntitle: 1984\n---\ntext\n").title == "1984"


def test_lists_in_front_matter() -> None:
    front = (
        'tags: [hr, "a, b", 假期]  # x\nkeywords:\n  - one\n- "two" # y\nnone: []\nmore: {a: [1]}\n'
    )
    metadata = dict(markdown(f"---\n{front}---\ntext\n").metadata)
    del metadata["encoding"]
    assert metadata == {"tags": ["hr", "a, b", "假期"], "keywords": ["one", "two"]}


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert markdown("---\njust text\n---\nmore\n").text.startswith("---\njust")


def test_titles_fall_back() -> None:
    assert markdown("## second\n\n# first\n").title == "first"
    assert markdown("## second\n\ntext\n").title == "second"
    assert markdown("text\n").title == "file"


@pytest.mark.parametrize(
    ("written", "title"),
    [("2024", "2024"), ("2024-03-01", "2024-03-01"), ("' Guide '", "Guide"),
     ("[Guide]", "head"), ("\n  - Guide", "head"), ("{en: Guide}", "head"), ("' '", "head")],
)  # fmt: skip
def test_a_title_in_front_matter_is_one_value(written: str, title: str) -> None:
    assert markdown(f"---\ntitle: {written}\n---\n# head\n").title == title


@pytest.mark.integration
def test_pathological_markdown_is_read_in_one_pass(child: Child) -> None:
    """To end is the test."""
    text = ">" * 20_000 + " q\n\n" + "*" * 50_000 + "\n\n# " + "[" * 50_000 + "\n\n" + "- " * 5_000
    assert child.run(markdown, text).text == text
    assert len(child.run(markdown, "# h\n" * 20_000).sections) == 20_000


def test_plain_text_titles() -> None:
    assert load_bytes("劳动合同\n\n甲方：".encode(), uri="a/b.txt").title == "劳动合同"
    assert load_bytes(b"LEASE AGREEMENT\n====\n\nThis", uri="a/b.txt").title == "LEASE AGREEMENT"
    assert load_bytes("今天下雨。\n\n明天晴。".encode(), uri="a/b.c.txt").title == "b.c"
    assert load_bytes(b"one\ntwo\n", uri="b.txt").title == "b"
    assert load_bytes(b"name\n\n1\n", uri="data.csv").title == "data"


def test_form_feeds_make_pages() -> None:
    document = load_bytes(b"page one\n\x0cpage two\n", uri="rfc.txt")
    texts = [document.text[page.start : page.end] for page in document.pages]
    assert texts == ["page one\n", "page two\n"]
    assert document.page_at(document.text.index("two")) == 2
