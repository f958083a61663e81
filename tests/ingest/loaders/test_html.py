"""HTML pages: what is kept, in which form, and what is left out."""

from __future__ import annotations

import pytest

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes


def html(body: str) -> Document:
    return load_bytes(f"<!doctype html><html><body>{body}".encode(), uri="page.html")


def test_blocks_become_markdown() -> None:
    text = html(
        "<h1>Top <em>title</em></h1><p>A <a href='x'>link</a>,\n a&nbsp;b &lt;c&gt;<br>new  line"
        "<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p><p>more</p></li></ul>"
        "<ol start=3><li>c<li>d<li value=9>e</ol><h3>Next</h3>end"
    ).text
    assert text == (
        "# Top title\n\nA link, a b <c>\nnew line\n\n- one\n  - inner\n- two\n  more\n\n"
        "3. c\n4. d\n9. e\n\n### Next\n\nend"
    )


def test_tables_become_rows() -> None:
    text = html(
        "<table><caption>Prices</caption><thead><tr><th>Part<th></th><th>Price</thead>"
        "<tr><td rowspan=2>Seal<td><td><p>12</p><tr><td><td>7<tr><td colspan=3>none</table>"
    ).text
    assert text == (
        "Prices\n\n| Part | Price |\n| --- | --- |\n| Seal | 12 |\n| Seal | 7 |\n| none |  |"
    )


def test_layout_tables_are_blocks() -> None:
    page = "<table><tr><td><h2>Left</h2><p>words</td><td><table><tr><td>a<td>b</table></table>"
    assert html(page).text == "## Left\n\nwords\n\n| a | b |\n| --- | --- |"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            "<tr><th><h3>Part</h3><th>Steps<tr><td>Seal<td><ol><li>Clean<li>Press</ol>"
            "<tr><td>Code<td><pre>a | b</pre>",
            "| Part | Steps |\n| --- | --- |\n| Seal | 1. Clean 2. Press |\n| Code | a \\| b |",
        ),
        (
            "<tr><td>Part<td>Kinds<tr><td>Seal<td><ul><li>flat<li>round</ul><tr><td>Nut<td>hex",
            "| Part | Kinds |\n| --- | --- |\n| Seal | - flat - round |\n| Nut | hex |",
        ),
        ("<tr><td><ul><li>Home<li>About</ul><td>Words", "- Home\n- About\n\nWords"),
        (
            "<tr><th>Part<th>Sizes<tr><td>Seal<td><table><tr><td>10<td>12</table><tr><td>Nut<td>8",
            "| Part | Sizes |\n| --- | --- |\n| Seal | 10 12 |\n| Nut | 8 |",
        ),
        (
            "<tr><th>Part<td><table><tr><td>10<td>12</table>",
            "Part\n\n| 10 | 12 |\n| --- | --- |",
        ),
    ],
)
def test_lists_and_code_in_tables_of_data(table: str, text: str) -> None:
    assert html(f"<table>{table}</table>").text == text


def test_code_is_fenced_and_its_hashes_are_no_headings() -> None:
    page = html("<h1>x</h1><pre><code class='language-sh'># install\n  make  \n```\n</code></pre>")
    assert page.text == "# x\n\n````sh\n# install\n  make\n```\n````"
    assert [s.title for s in page.sections] == ["x"]


@pytest.mark.parametrize(
    "noise",
    [
        "<script>alert('no')</script>",
        "<style>no</style><noscript>no</noscript><template>no</template><svg><text>no</text></svg>",
        "<nav>no</nav><footer>no</footer><aside>no</aside><header>no</header>",
        "<div role=navigation>no</div><div role='search'>no</div>",
        "<button>no</button><select><option>no</select><textarea>no</textarea>",
        "<p hidden>no</p><p style='display: none'>no</p><p style='font-size:0;color:#fff'>no</p>",
        "<div id='cookie-banner'>no</div><div class='x cookie-consent'>no</div>",
        "<!-- no -->",
    ],
)
def test_what_is_no_content_is_left_out(noise: str) -> None:
    assert html(f"<p>yes</p>{noise}<p>too</p>").text == "yes\n\ntoo"


def test_content_in_suspicious_places_stays() -> None:
    page = html(
        "<header><h1>Title</h1></header><form><p>in a form</p></form>"
        "<aside class='admonition note'>a note</aside><p>cookies are baked</p>"
    )
    assert page.text == "# Title\n\nin a form\n\na note\n\ncookies are baked"
    assert html("<nav><a>only</a> a menu</nav>").text == "only a menu"


@pytest.mark.parametrize("kind", ['role="doc-footnote"', 'epub:type="endnote"', "class=tip"])
def test_notes_beside_the_text_stay(kind: str) -> None:
    page = html(f"<p>Free.<aside {kind}>Only for members.</aside><aside>Related</aside>")
    assert page.text == "Free.\n\nOnly for members."


def test_title_and_metadata() -> None:
    head = "<head><title> The\n title </title><meta name=description content='About  it'></head>"
    page = load_bytes(f"<html lang=zh>{head}<h1>Other</h1>".encode(), uri="p.html")
    assert page.title == "The title"
    assert page.metadata == {"language": "zh", "description": "About it", "encoding": "utf-8"}
    assert html("<h2>b</h2><h1>First</h1>").title == "First"
    assert html("<p>x").title == "page"


@pytest.mark.parametrize("encoding", ["gbk", "big5", "utf-8", "utf-16", "cp1251", "shift_jis"])
def test_declared_encodings(encoding: str) -> None:
    words = {"cp1251": "Короткий", "shift_jis": "日本"}.get(encoding, "中文")
    declared = f"<html><head><meta charset='{encoding}'></head><p>{words}"
    page = load_bytes(declared.encode(encoding), uri="p.html")
    assert page.text == words


def test_a_wrong_declaration_is_ignored() -> None:
    text = "本合同自双方签字之日起生效，有效期为三年。"
    for said, real in (("utf-8", "gbk"), ("gb2312", "utf-8"), ("iso-8859-1", "utf-8")):
        page = f"<html><meta http-equiv=x content='text/html; charset={said}'><p>{text}"
        assert load_bytes(page.encode(real), uri="p.html").text == text


@pytest.mark.parametrize("tag", ["div", "ul><li", "table><tr><td", "b", "blockquote", "section"])
def test_deep_nesting_is_no_problem(tag: str) -> None:
    assert "deep" in html(f"<{tag}>" * 50_000 + "deep").text


def test_huge_spans_and_broken_markup() -> None:
    page = html(
        "<table><tr><td colspan=999999999 rowspan=99999>a<td>b<tr><td>c</table><p>&#xD800;<b"
    )
    assert "| a | b |" in page.text


def test_a_page_without_words() -> None:
    with pytest.raises(LoadError, match="holds no text"):
        html("<script>x</script><img src=x>")


def test_text_that_looks_like_markdown_is_text() -> None:
    page = html("<p># 1 hash<p>```<p>Title?<br>===<h2>List&lt;T&gt;</h2><p>words")
    assert [(section.title, section.level) for section in page.sections] == [("List<T>", 2)]
    assert html("<p># 1 hash").sections == ()


def test_a_bar_in_a_cell_begins_no_cell() -> None:
    page = html("<table><tr><td>X1<td>--mode=on|off<tr><td>|<td>b</table>")
    assert page.text == "| X1 | --mode=on\\|off |\n| --- | --- |\n| \\| | b |"


@pytest.mark.parametrize(
    ("alt", "shown"),
    [
        ("A pump with [two] seals", "on ![A pump with (two) seals] page"),
        ("水泵和两个密封件", "on ![水泵和两个密封件] page"),
        ("Search icon", "on page"),
        ("首页", "on page"),
        ("{\\displaystyle x^{2}}", "on {\\displaystyle x^{2}} page"),
    ],
)
def test_what_images_are_said_to_show(alt: str, shown: str) -> None:
    assert html(f"<p>on <img src='1.png' alt='{alt}'> page</p>").text == shown
