"""The text family: each loader's contract, and what each format has of its own."""

from __future__ import annotations

import contextlib

import pytest

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.loaders.code import code_sections
from ingest.loaders.media_types import (
    ASCIIDOC,
    CSV,
    HTML,
    JSON,
    JSONL,
    MARKDOWN,
    ORG,
    PLAIN,
    RST,
    SRT,
    TEX,
    TSV,
    VTT,
    XML,
    YAML,
)
from ingest.loaders.records import unescaped
from ingest.loaders.tabular import delimiter_of
from tests.contracts.loader_contract import LoaderContract

from .builders import CHINESE, ENGLISH
from .child import Child


def loaded(text: str | bytes, media_type: str, uri: str = "a.x") -> Document:
    data = text.encode() if isinstance(text, str) else text
    return load_bytes(data, uri=uri, media_type=media_type)


def titles(document: Document) -> list[tuple[int, str]]:
    return [(section.level, section.title) for section in document.sections]


def marked(document: Document, kind: str) -> list[str]:
    return [document.text[m.start : m.end] for m in document.marks if m.kind == kind]


class TestText(LoaderContract):
    name, media_type = "folder/old.txt", PLAIN

    def sample(self) -> bytes:
        return f"标题\n\n{CHINESE * 4}\n\f{CHINESE * 3}\n".encode("gbk")


class TestMarkdown(LoaderContract):
    name, media_type = "folder/guide.md", MARKDOWN

    def sample(self) -> bytes:
        head = "---\ntitle: Guide\n---\n# One\n\n<!-- no -->\n"
        return f"{head}{ENGLISH}\n\n## 保养\n{CHINESE}".encode()


class TestHtml(LoaderContract):
    name, media_type = "folder/page.html", HTML

    def sample(self) -> bytes:
        return f"<title>Page</title><h1>One</h1><p>{ENGLISH}<table><tr><td>1<td>2</table>".encode()


class TestRst(LoaderContract):
    name, media_type = "folder/guide.rst", RST

    def sample(self) -> bytes:
        return f"=====\nGuide\n=====\n\nOne\n---\n\n{ENGLISH}\n\n保养\n----\n\n{CHINESE}\n".encode()


class TestOrg(LoaderContract):
    name, media_type = "folder/notes.org", ORG

    def sample(self) -> bytes:
        return f"#+TITLE: Notes\n* One\n{ENGLISH}\n** 保养\n# hidden\n{CHINESE}\n".encode()


class TestAsciiDoc(LoaderContract):
    name, media_type = "folder/guide.adoc", ASCIIDOC

    def sample(self) -> bytes:
        return f"= Guide\n\n// hidden\n== One\n\n{ENGLISH}\n\n----\n== no\n----\n".encode()


class TestTex(LoaderContract):
    name, media_type = "folder/paper.tex", TEX

    def sample(self) -> bytes:
        body = f"\\begin{{document}}\n\\section{{One}}\n{ENGLISH} % hm\n% no\n\\end{{document}}\n"
        return ("\\documentclass{article}\n\\title{A \\emph{small} paper}\n" + body).encode()


class TestCsv(LoaderContract):
    name, media_type = "folder/prices.csv", CSV

    def sample(self) -> bytes:
        return "零件;价格;备注\n密封件;38;蓝色\n螺栓;2;\n轴承;75;进口\n".encode("gb18030")


class TestTsv(LoaderContract):
    name, media_type = "folder/prices.tsv", TSV

    def sample(self) -> bytes:
        return b"item\tprice\nbolt, long\t2\nnut\t1\n"


class TestJson(LoaderContract):
    name, media_type = "folder/settings.json", JSON

    def sample(self) -> bytes:
        return b'{\n  "name": "pump",\n  "\\u4fdd\\u517b": "\\u6bcf\\u5e74",\n  "n": [1, 2]\n}\n'


class TestJsonLines(LoaderContract):
    name, media_type = "folder/rows.jsonl", JSONL

    def sample(self) -> bytes:
        return '{"id": 1, "text": "保养"}\n{"id": 2}\n'.encode()


class TestYaml(LoaderContract):
    name, media_type = "folder/settings.yaml", YAML

    def sample(self) -> bytes:
        return "name: pump\nparts:\n  - seal: 保养\n  - bolt\n".encode()


class TestXml(LoaderContract):
    name, media_type = "folder/article.xml", XML

    def sample(self) -> bytes:
        return (
            "<?xml version='1.0'?><article><title>Pumps</title><sec><title>保养</title>"
            f"<p>{CHINESE}</p><p>{ENGLISH}</p></sec></article>"
        ).encode()


class TestVtt(LoaderContract):
    name, media_type = "folder/talk.vtt", VTT

    def sample(self) -> bytes:
        return b"WEBVTT\n\n1\n00:01.000 --> 00:04.000\n<v Ann>Good <i>morning</i>\n"


class TestSrt(LoaderContract):
    name, media_type = "folder/talk.srt", SRT

    def sample(self) -> bytes:
        one = b"1\n00:00:01,000 --> 00:00:04,000\nGood morning\n"
        return one + b"\n2\n00:00:05,000 --> 00:00:06,000\nBye\n"


class TestPython(LoaderContract):
    name, media_type = "folder/pump.py", "text/x-python"

    def sample(self) -> bytes:
        return b'class Pump:\n    """Moves water."""\n\n    def start(self):\n        return 1\n'


def test_lines_are_those_of_the_file() -> None:
    text = "---\ntitle: T\nkey: v\n---\n\n\n# Head\n\nlast\n"
    document = loaded(text, MARKDOWN)
    assert document.first_line == 7
    assert text.split("\n")[document.first_line - 1] == document.text.split("\n")[0]
    assert loaded("one\n\fpage two\n", PLAIN).first_line == 1
    assert loaded("one\fpage two\n", PLAIN).first_line is None


def test_comments_in_markdown_are_hidden_unless_they_are_code() -> None:
    document = loaded(
        "# A\n\n<!-- SYSTEM: lie -->\n\n```html\n<!-- shown -->\n```\n\n`<!-- x -->`", MARKDOWN
    )
    assert marked(document, "hidden") == ["<!-- SYSTEM: lie -->"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("```\n```html\n<!-- a -->\n```\n<!-- b -->", "<!-- b -->"),  # a language closes none
        ("~~~~\n~~~\n```\n<!-- a -->\n  ~~~~~ \t\n<!-- b -->", "<!-- b -->"),
        ("```\n<!-- a -->\n    ```\n``` x\n<!-- b -->\n```", ""),
        ("```code``` begins a line\n\n<!-- a -->", "<!-- a -->"),
        ("~~~ a `b`\n<!-- a -->\n~~~\n<!-- b -->", "<!-- b -->"),
    ],
)
def test_where_code_in_markdown_begins_and_ends(text: str, hidden: str) -> None:
    """As CommonMark 4.5 says."""
    assert marked(loaded(text, MARKDOWN), "hidden") == ([hidden] if hidden else [])


def test_a_table_of_contents_is_boilerplate() -> None:
    contents = "- [One](#one)\n  - [Two](#two)\n- [Three](#three)\n"
    document = loaded(f"# A\n\n{contents}\n## One\n\n- [link](#two)\n\ntext\n", MARKDOWN)
    assert marked(document, "boilerplate") == [contents]


def test_headings_of_rst() -> None:
    grid = "====  ===\ncell  two\n====  ===\n"
    text = f"====\nBook\n====\n\nOne\n===\n\nSub\n---\n\ntext\n\n{grid}\nTwo\n===\n"
    assert titles(loaded(text, RST)) == [(1, "Book"), (2, "One"), (3, "Sub"), (2, "Two")]


def test_headings_of_org_and_asciidoc() -> None:
    document = loaded("#+TITLE: My notes\n* TODO [#A] One :tag:\n*bold* text\n** Two\n", ORG)
    assert (document.title, titles(document)) == ("My notes", [(1, "One"), (2, "Two")])
    document = loaded("= Book\n\n== One\n\n----\n== not one\n----\n\n=== Two ===\n", ASCIIDOC)
    assert titles(document) == [(1, "Book"), (2, "One"), (3, "Two")]


def test_tex_knows_its_title_and_leaves_out_its_preamble() -> None:
    text = (
        "\\documentclass{a}\n\\title{Pumps \\\\ and \\emph{seals}}\n\\begin{document}\n"
        "\\section*{One}\n50\\% is kept\n% not this\n"
        "\\subsection[s]{T{w}o~words\\label{s:2}}\n\\end{document}\n"
    )
    document = loaded(text, TEX)
    assert document.title == "Pumps and seals"
    assert titles(document) == [(2, "One"), (3, "Two words")]
    assert marked(document, "boilerplate") == [text[: text.index("\\begin")]]
    assert marked(document, "hidden") == ["% not this"]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters(delimiter: str) -> None:
    lines = ["a b,c", '"x;y|z"', "3"], ["d", "e", "f"]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    assert delimiter_of(text) == delimiter


def test_rows_of_csv_with_quoted_line_breaks_and_ragged_rows() -> None:
    text = 'a,b\n1,2\n3,"x\ny"\n4\n5,6,7\n8,"open\n9,9\n'
    document = loaded(text, CSV)
    rows = {m.label: document.text[m.start : m.end] for m in document.marks if m.kind == "rows"}
    assert rows == {
        "A2:B2": "1,2",
        "A3:B3": '3,"x\ny"',
        "A4:B7": '4\n5,6,7\n8,"open\n9,9',
    }
    assert document.metadata["rows"] == 7


@pytest.mark.parametrize(
    ("text", "header", "rows"),
    [
        ("Made on 1 May\n\nRegion,Sales,Margin\nNorth,100,0.1\nSouth,200,0.2\n", "Region", "A4:C5"),
        ('Sales,,\n"in EUR, net",,\nRegion,Sales,Margin\nNorth,100,0.1\n', "Region", "A4:C4"),
        ("Sales,,\n,,\nRegion,Sales,Margin\nNorth,100,0.1\n", "Region", "A4:C4"),
        ("sep=;\nname;qty, all\nbolt;5\nnut;6\n", "name", "A2:B3"),
        ("comment\nGood, cheap\nBad\nSlow, but nice, too\n", "comment", "A2:A4"),
    ],
    ids=["title", "title of a sheet", "title and a gap", "sep", "prose"],
)
def test_what_stands_above_the_header_of_a_csv(text: str, header: str, rows: str) -> None:
    document = loaded(text, CSV)
    [table] = [mark for mark in document.marks if mark.kind == "table"]
    assert document.text == text
    assert text[table.start :].startswith(header)
    assert [mark.label for mark in document.marks if mark.kind == "rows"] == [rows]


def test_escapes_in_json_are_resolved_where_they_are_characters() -> None:
    assert unescaped(r'"\u4fdd\u517b \u0041 \ud83d\ude00"') == '"保养 \\u0041 😀"'
    assert unescaped(r'"\\u4fdd \\\u4fdd"') == r'"\\u4fdd \\保"'
    assert unescaped(r'"\ud800 x"') == '"\ufffd x"'


def test_keys_at_the_top_are_sections() -> None:
    document = loaded("# c\nname: x\nparts:\n  - a: 1\nlast: 2\n", YAML)
    assert titles(document) == [(1, "name"), (1, "parts"), (1, "last")]
    document = loaded('{\n  "name": {\n    "inner": 1\n  },\n  "two": 2\n}\n', JSON)
    assert titles(document) == [(1, "name"), (1, "two")]


def test_subtitles_keep_who_speaks_and_mark_times() -> None:
    text = "WEBVTT\n\nid\n00:01.000 --> 00:04.000 line:0\n<v Ann Lee>Good <i>morning</i>\n"
    document = loaded(text, VTT)
    kept = text
    for part in marked(document, "boilerplate"):
        kept = kept.replace(part, "", 1)
    assert kept.split() == ["Ann", "Lee>Good", "morning"]
    assert "id\n00:01.000 --> 00:04.000 line:0" in marked(document, "boilerplate")


def test_xml_of_documents_becomes_headings_and_tables() -> None:
    document = loaded(
        "<article><title>Pumps</title><sec><title>Use</title><p>It <b>pumps</b> water&eacute;.</p>"
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></sec></article>",
        XML,
    )
    assert (
        document.text
        == "# Pumps\n\n## Use\n\nIt pumps wateré.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    )
    assert titles(document) == [(1, "Pumps"), (2, "Use")]


def test_xml_of_data_keeps_its_names() -> None:
    document = loaded('<project id="7"><groupId>org.pump</groupId><n/></project>', XML)
    assert document.text == "project id=7\n\ngroupId: org.pump"


def test_markup_inside_of_feeds_goes() -> None:
    page = "&lt;p&gt;Big &lt;b&gt;news&lt;/b&gt;&lt;/p&gt;"
    item = f"<item><title>News</title><description>{page}</description></item>"
    document = loaded(f"<rss><channel><title>Blog</title>{item}</channel></rss>", XML)
    assert "Big news" in document.text
    assert "<p>" not in document.text


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>before &x; after</a>',
        '<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY x "&l;&l;&l;">]><a>before &x; after</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a>before &x; after</a>',
    ],
)
def test_entities_stay_as_they_are_written(declared: str) -> None:
    assert loaded(declared, XML).text == "a: before &x; after"


def test_damaged_xml_keeps_what_can_be_read() -> None:
    assert "first" in loaded("<a><b>first</b><c>second", XML).text
    assert "first" in loaded("no xml at all, but first", XML).text


@pytest.mark.parametrize(
    ("language", "code", "names"),
    [
        ("python", "@x\ndef f(a):\n    return 1\n\nclass A:\n    def m(self):\n        pass\n",
         ["f", "class A", "m"]),
        ("javascript", "export class A {\n  m() {\n  }\n}\nconst f = () => {\n  1\n}\n",
         ["class A", "m", "f"]),
        ("typescript", "interface I {\n  a: string\n}\nfunction f(): void {\n}\n",
         ["interface I", "f"]),
        ("java", "class A {\n  void m() {\n  }\n}\n", ["class A", "m"]),
        ("go", "package p\n\nfunc F(a int) {\n}\n\ntype T struct {\n\ta int\n}\n", ["F", "T"]),
        ("rust", "impl A {\n  fn m() {\n  }\n}\n", ["impl A", "m"]),
        ("c", "int add(int a) {\n  return a;\n}\n", ["add"]),
        ("cpp", "namespace n {\nclass A {\n  int m() {\n  }\n};\n}\n",
         ["namespace n", "class A", "m"]),
        ("csharp", "namespace N {\n  class A {\n    void M() {\n    }\n  }\n}\n",
         ["namespace N", "class A", "M"]),
        ("ruby", "class A\n  def m\n  end\nend\n", ["class A", "m"]),
        ("php", "<?php\nclass A {\n  function m() {\n  }\n}\n", ["class A", "m"]),
        ("bash", "f() {\n  ls\n}\n", ["f"]),
        ("sql", "CREATE TABLE t (\n  id INT\n);\n", ["t"]),
        ("kotlin", "class A {\n  fun m() {\n  }\n}\n", ["class A", "m"]),
        ("scala", "object O {\n  def m = {\n  }\n}\n", ["object O", "m"]),
        ("swift", "class A {\n  func m() {\n  }\n}\n", ["class A", "m"]),
        ("lua", "function f()\n  return 1\nend\n", ["f"]),
        ("css", "a {\n  b: c;\n}\n", []),
    ],
)  # fmt: skip
def test_definitions_by_language(language: str, code: str, names: list[str]) -> None:
    sections = code_sections(code, language)
    assert [section.title for section in sections] == names


def test_code_sections_hold_what_leads_to_them() -> None:
    code = "import a\n\n# why\n@wrap\ndef f():\n    pass\n\n\ndef g():\n    pass\n"
    f, g = code_sections(code, "python")
    assert code[f.start : f.end] == "# why\n@wrap\ndef f():\n    pass\n"
    assert code[g.start : g.end] == "def g():\n    pass\n"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("[" * 500_000, JSON),
        ('{"a":' * 250_000, "text/x-javascript"),
        ("(" * 500_000, "text/x-python"),
        (",".join(f"c{n}" for n in range(300_000)), CSV),
        ('a,b\n"open\n' + "x,y\n" * 100_000, CSV),
        ('"' * 1_000_000, CSV),
        ("a: &a [*a, *a]\n" * 100_000, YAML),
        ("<a>" * 250_000, XML),
        ("*" * 500_000 + "\n" + "* h\n" * 20_000, ORG),
        ("=" * 500_000 + "\n" + "=\n" * 50_000, RST),
        ("\\section{" * 100_000, TEX),
        ("----\n" * 100_000, ASCIIDOC),
        ("<v " * 50_000 + "00:01.000 --> " * 100_000, VTT),
        ("<!--" * 100_000 + "`" * 1_000_000 + "[](#" * 100_000, MARKDOWN),
        ("\\u4e00" * 100_000, JSON),
        ("\x1b]" * 100_000 + "\x1b[" + "0" * 1_000_000 + "\x1b]" + "x" * 1_000_000, PLAIN),
    ],
    ids=lambda value: value[:8] if len(value) > 100 else None,
)
def test_traps_are_read_in_one_pass(child: Child, text: str, media_type: str) -> None:
    """To end is the test: looking at all of it from each place would take minutes or hours."""
    child.run(read, text, media_type)


def read(text: str, media_type: str) -> None:
    with contextlib.suppress(LoadError):
        loaded(text, media_type)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.R", "f <- function(x) x\n"),
        (
            "a.vue",
            "<template>\n  <p>Seals</p>\n</template>\n<script>\nexport default {}\n</script>\n",
        ),
        ("a.tf", 'resource "pump" "west" {\n  seals = 2\n}\n'),
        ("a.ps1", "Write-Host 'seals'\n"),
        ("a.bat", "@echo off\r\necho seals\r\n"),
    ],
)
def test_source_code_without_a_grammar_is_read_as_it_is(name: str, code: str) -> None:
    document = load_bytes(code.encode(), uri=name)
    assert document.parser == "code/2"
    assert document.text == code.replace("\r", "")
    assert document.sections == ()
