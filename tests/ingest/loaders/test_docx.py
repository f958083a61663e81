"""Word documents, through unstructured and without it."""

from __future__ import annotations

import io
import logging
import zipfile

import pytest

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.quality import is_poor

from .builders import CHINESE, ENGLISH, WORD, paragraph, raw_word_document, word_document
from .office_builders import old_word, price_list


def word(body: str, **options: bool | str) -> Document:
    return load_bytes(raw_word_document(body, **options), uri="a/file.docx")  # type: ignore[arg-type]


def grid(rows: list[list[str]]) -> str:
    """A table of these cells, each its paragraphs."""
    lines = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{line}</w:tr>' for line in lines)}</w:tbl>"


def test_a_document_of_python_docx() -> None:
    document = load_bytes(word_document(), uri="pump.docx")
    assert document.text == (
        f"# Pump manual\n\n{ENGLISH}\n\n## 保养\n\n{CHINESE}\n\n- First item\n- Second item\n\n"
        "| Part | Price |\n| --- | --- |\n| Seal | 12 |\n| Gasket | 7 |\n\nOn the second page."
    )
    assert [(s.title, s.level) for s in document.sections] == [("Pump manual", 1), ("保养", 2)]
    assert document.heading_at(document.text.index("First")) == ("Pump manual", "保养")
    assert document.page_at(document.text.index("Gasket")) == 1
    assert document.page_at(document.text.index("second page")) == 2
    assert document.title == "Pump manual"


def test_titles() -> None:
    assert load_bytes(word_document("差旅管理办法"), uri="a.docx").title == "差旅管理办法"
    assert load_bytes(word_document("Microsoft Word - x.doc"), uri="a.docx").title == "Pump manual"
    assert word(paragraph("no heading")).title == "file"


def test_outline_levels_are_headings() -> None:
    body = paragraph("第一章 总则", '<w:outlineLvl w:val="0"/>') + paragraph("正文。")
    assert word(body).text == "# 第一章 总则\n\n正文。"


def test_tables_that_lay_out_a_page() -> None:
    head = paragraph("Duties", '<w:outlineLvl w:val="0"/>')
    cells = [head + paragraph("Seals first."), paragraph("Beside")]
    framed = grid([[paragraph("Warning") + paragraph("It is hot.")]])
    inner = grid([[paragraph(text) for text in row] for row in ("ab", "cd")])
    outer = grid([[paragraph("Prices"), inner + "<w:p/>"]])
    assert word(grid([cells]) + framed + outer).text == (
        "# Duties\n\nSeals first.\n\nBeside\n\nWarning\n\nIt is hot.\n\n"
        "Prices\n\n| a | b |\n| --- | --- |\n| c | d |"
    )


def test_data_stays_in_rows_where_cells_hold_several_paragraphs() -> None:
    cells = [[paragraph("Part"), paragraph("Steps")]]
    cells += [[paragraph("Seal"), paragraph("Clean.") + paragraph("Press.")]]
    assert word(grid(cells)).text == "| Part | Steps |\n| --- | --- |\n| Seal | Clean. Press. |"


def test_forms_say_what_was_chosen() -> None:
    def field(inside: str) -> str:
        data = f"<w:ffData>{inside}</w:ffData>"
        return f'<w:r><w:fldChar w:fldCharType="begin">{data}</w:fldChar></w:r>'

    entries = '<w:listEntry w:val="Nantes"/><w:listEntry w:val="Lyon"/>'
    chosen = field(f'<w:ddList><w:result w:val="1"/>{entries}</w:ddList>')
    ticked, empty = field("<w:checkBox><w:checked/></w:checkBox>"), field("<w:checkBox/>")
    text = "<w:r><w:t> paid</w:t></w:r>"
    assert word(f"<w:p>{chosen}</w:p><w:p>{ticked}{text}</w:p><w:p>{empty}{text}</w:p>").text == (
        "Lyon\n\n☒ paid\n\n☐ paid"
    )


def test_strict_ooxml() -> None:
    assert word(paragraph("Strict text"), strict=True).text == "Strict text"


def test_text_that_hides_in_the_markup() -> None:
    wrapped = paragraph("in a control")
    run = "<w:r><w:t>{}</w:t></w:r>"
    changed = (
        f"<w:p><w:ins>{run.format('inserted')}</w:ins><w:del>{run.format('gone')}</w:del></w:p>"
    )
    boxed = f"<w:txbxContent>{paragraph('in a box')}</w:txbxContent>"
    box = f"<w:p><w:r><w:pict>{boxed}</w:pict></w:r></w:p>"
    text = word(f"<w:sdt><w:sdtContent>{wrapped}</w:sdtContent></w:sdt>{changed}{box}").text
    assert text == "in a control\n\ninserted\n\nin a box"


def test_headers_and_notes_are_read_once() -> None:
    """A text box stands twice in the markup, each time within a paragraph of its own."""
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    choice = f"<mc:Choice><w:drawing>{box}</w:drawing></mc:Choice>"
    both = f"{choice}<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
    forms = f"<w:r><mc:AlternateContent>{both}</mc:AlternateContent></w:r>"
    moved = "<w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom>"
    text = f"<w:p><w:r><w:t>Ann's pumps</w:t></w:r>{moved}{forms}</w:p>"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/header"
    relation = f'<Relationship Id="h" Type="{kind}" Target="header1.xml"/>'
    names = f'{WORD} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    buffer = io.BytesIO(raw_word_document(paragraph("body")))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("word/header1.xml", f"<w:hdr {names}>{text}</w:hdr>")
        notes = f"<w:footnotes {names}><w:footnote>{text}</w:footnote></w:footnotes>"
        archive.writestr("word/footnotes.xml", notes)
        relations = "http://schemas.openxmlformats.org/package/2006/relationships"
        links = f'<Relationships xmlns="{relations}">{relation}</Relationships>'
        archive.writestr("word/_rels/document.xml.rels", links)
    document = load_bytes(buffer.getvalue(), uri="a.docx")
    assert document.text == "Ann's pumps boxed\n\nbody\n\nAnn's pumps boxed"


def test_damaged_numbering_is_no_reason_to_fail() -> None:
    broken_level = paragraph("item", '<w:numPr><w:ilvl w:val="x"/><w:numId w:val="1"/></w:numPr>')
    cells = f"<w:tc>{paragraph('Seal')}</w:tc><w:tc>{paragraph('12')}</w:tc>"
    heading = paragraph("保养", '<w:outlineLvl w:val="1"/>')
    document = word(
        f"{heading}{broken_level}<w:tbl><w:tr>{cells}</w:tr></w:tbl>{paragraph(CHINESE)}"
    )
    assert document.text == f"## 保养\n\n- item\n\n| Seal | 12 |\n| --- | --- |\n\n{CHINESE}"


def test_merged_cells() -> None:
    wide = '<w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>'
    start, more = (
        f'<w:tc><w:tcPr><w:vMerge w:val="{v}"/></w:tcPr>' for v in ("restart", "continue")
    )
    rows = (
        f"<w:tr>{wide}{paragraph('Parts')}</w:tc><w:tc>{paragraph('Price')}</w:tc></w:tr>"
        f"<w:tr>{start}{paragraph('Seal')}</w:tc><w:tc>{paragraph('a')}</w:tc>"
        f"<w:tc>{paragraph('1')}</w:tc></w:tr>"
        f"<w:tr>{more}{paragraph('')}</w:tc><w:tc>{paragraph('b')}</w:tc>"
        f"<w:tc>{paragraph('2')}</w:tc></w:tr>"
    )
    assert word(f"<w:tbl>{rows}</w:tbl>").text == (
        "| Parts |  | Price |\n| --- | --- | --- |\n| Seal | a | 1 |\n| Seal | b | 2 |"
    )


def test_entities_are_not_resolved() -> None:
    laughs = '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">'
    passwd = '<!ENTITY c SYSTEM "file:///etc/passwd">'
    body = paragraph("safe") + paragraph("&b;") + paragraph("&c;")
    assert word(body, prolog=f"<!DOCTYPE d [{laughs}{passwd}]>").text == "safe"


def test_bombs_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"A" * 30_000_000)
    with pytest.raises(LoadError, match="refused as a bomb"):
        load_bytes(buffer.getvalue(), uri="bomb.docx")


@pytest.mark.parametrize("part", [b"", b"<nonsense", b"<a/>", b"\0\1\2"])
def test_damaged_documents(part: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", part)
    with pytest.raises(LoadError):
        load_bytes(buffer.getvalue(), uri="a.docx")
    with pytest.raises(LoadError, match="damaged"):
        load_bytes(word_document()[:-300], uri="a.docx")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    load_bytes(word_document(), uri="pump.docx")
    huge = '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="x"/></w:tcPr>'
    word(f"{huge}{paragraph('cell')}</w:tc></w:tr></w:tbl>{paragraph('text')}")
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("unstructured").handlers


def test_text_that_looks_like_markdown_is_text() -> None:
    top = '<w:outlineLvl w:val="0"/>'
    body = "".join(map(paragraph, ("# 1 hash", "```", "~~~", "Title?", "---")))
    document = word(body + paragraph("Prices of *all*", top) + paragraph("The price is 99 EUR."))
    assert [(s.title, s.level) for s in document.sections] == [("Prices of *all*", 1)]
    assert document.title == "Prices of *all*"
    assert document.text.startswith("# 1 hash\n\n```\n\n")
    assert word(paragraph("# 1 hash") + paragraph("body")).sections == ()


def test_a_bar_in_a_cell_begins_no_cell() -> None:
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("X1", "--mode=on|off"))
    assert word(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>").text.startswith(r"| X1 | --mode=on\|off |")


def test_hidden_text_is_left_out() -> None:
    run = "<w:r><w:rPr>{}</w:rPr><w:t>{}</w:t></w:r>"
    shown = run.format('<w:vanish w:val="0"/>', "shown")
    styled = run.format('<w:rStyle w:val="Deep"/>', "styled")
    secret = paragraph("secret", '<w:pStyle w:val="Deep"/>')
    row = f"<w:tr>{{}}<w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('{}')}</w:tc></w:tr>"
    rows = row.format("", "b") + row.format("<w:trPr><w:hidden/></w:trPr>", "hidden row")
    body = f"<w:p>{run.format('<w:vanish/>', 'gone')}{shown}{styled}</w:p>{secret}"
    style = '<w:style w:styleId="{}"><w:basedOn w:val="{}"/><w:rPr>{}</w:rPr></w:style>'
    styles = style.format("Hidden", "Deep", "<w:vanish/>") + style.format("Deep", "Hidden", "")
    buffer = io.BytesIO(raw_word_document(f"{body}<w:tbl>{rows}</w:tbl>"))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("word/styles.xml", f"<w:styles {WORD}>{styles}</w:styles>")
        archive.writestr(
            "word/footnotes.xml",
            f"<w:footnotes {WORD}><w:footnote><w:p>{run.format('<w:vanish/>', 'gone')}</w:p>"
            "</w:footnote></w:footnotes>",
        )
    document = load_bytes(buffer.getvalue(), uri="a.docx")
    assert document.text == "shown\n\n| a | b |\n| --- | --- |"


PAGE = "<w:lastRenderedPageBreak/>"


def test_rows_and_lines_know_their_page() -> None:
    def cells(*texts: str) -> str:
        return "".join(f"<w:tc><w:p><w:r>{text}</w:r></w:p></w:tc>" for text in texts)

    text = "<w:t>{}</w:t>".format
    rows = [cells(text("Part"), text("Price"))]
    rows += [
        cells((PAGE if n % 4 == 0 else "") + text(f"P-{n}"), text(f"{n} EUR")) for n in range(1, 9)
    ]
    rows.insert(2, cells("", ""))
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    line = f"<w:p><w:r>{text('Begun here')}{PAGE}{text(' and ended there')}{PAGE}</w:r></w:p>"
    document = word(f"<w:tbl>{table}</w:tbl>{line}{paragraph('last')}")
    words = ["P-3", "P-4", "P-7", "P-8", "Begun", "and ended", "last"]
    pages = [document.page_at(document.text.index(word)) for word in words]
    assert pages == [1, 2, 2, 3, 3, 4, 5]
    assert [document.text[page.start :].split()[0] for page in document.pages] == [
        "|", "|", "|", "and", "last",
    ]  # fmt: skip
    single = "".join(f"<w:tr>{cells(row)}</w:tr>" for row in (text("a"), PAGE + text("b")))
    document = word(f"<w:tbl>{single}</w:tbl>")
    assert [document.text[page.start : page.end] for page in document.pages] == ["a\n", "b"]


def test_a_row_that_begins_in_a_later_column() -> None:
    rows = "<w:tr>{}</w:tr><w:tr><w:trPr><w:gridBefore w:val='1'/></w:trPr>{}</w:tr>".format(
        *("".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in row) for row in ("abc", "de"))
    )
    assert word(f"<w:tbl>{rows}</w:tbl>").text.split("\n")[2] == "|  | d | e |"


def test_symbols_are_read_by_their_font() -> None:
    sign = '<w:r><w:sym w:font="{}" w:char="{}"/></w:r>'.format
    run = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>".format
    body = [run("Pressure "), sign("Symbol", "F0A3"), run(" 5 bar "), sign("Symbol", "00B1")]
    body += [run("2 % at 25"), sign("Symbol", "F0B0"), run("C "), sign("Wingdings", "F0FE")]
    body += [sign("Times New Roman", "03A9"), sign("Webdings", "F041"), sign("Symbol", "?")]
    typed = '<w:r><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr><w:t>\uf0b3 5</w:t></w:r>'
    document = word(f"<w:p>{''.join(body)}</w:p><w:p>{typed}</w:p>")
    assert document.text == "Pressure ≤ 5 bar ±2 % at 25°C ☑Ω\ufffd\ufffd\n\n≥ 5"


def test_reading_aids_are_not_read() -> None:
    ruby = "<w:ruby><w:rt>{}</w:rt><w:rubyBase>{}</w:rubyBase></w:ruby>".format(
        *(f"<w:r><w:t>{text}</w:t></w:r>" for text in ("とうきょう", "東京"))
    )
    assert word(f"<w:p><w:r>{ruby}</w:r><w:r><w:t>駅</w:t></w:r></w:p>").text == "東京駅"


CHART = (
    "<c:chartSpace xmlns:c='c' xmlns:a='a'><c:chart><c:title><a:p><a:r><a:t>Sales</a:t></a:r></a:p>"
    "</c:title><c:ser><c:tx><c:v>2024</c:v></c:tx><c:cat><c:pt idx='0'><c:v>Q1</c:v></c:pt></c:cat>"
    "<c:val><c:pt idx='0'><c:v>4711</c:v></c:pt></c:val></c:ser></c:chart></c:chartSpace>"
)
DIAGRAM = (
    "<d:dataModel xmlns:d='d' xmlns:a='a'><a:p><a:r><a:t>Order</a:t></a:r></a:p></d:dataModel>"
)
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def test_charts_diagrams_and_pages_inside() -> None:
    names = f'xmlns:r="{LINKS}"'
    drawing = (
        f'<w:p><w:r><w:t>{{}}</w:t><w:drawing {names}><x {{}}="{{}}"/></w:drawing></w:r></w:p>'
    )
    body = drawing.format("See", "r:id", "chart") * 2 + drawing.format(
        "Steps", "r:dm", "diagramData"
    )
    body += f'<w:altChunk {names} r:id="page"/><w:altChunk {names} r:id="page"/>'
    body += f'<w:altChunk {names} r:id="inner"/>'
    body += f'<w:altChunk {names} r:id="other"/>' + drawing.format("Lost", "r:id", "gone")
    targets: dict[str, tuple[str, str | bytes]] = {
        "chart": ("chart", CHART),
        "diagramData": ("diagramData", DIAGRAM),
        "page": ("aFChunk", "<h2>Terms</h2><p># 1 of <b>all</b></p>"),
        "inner": ("aFChunk", raw_word_document(paragraph("inserted"))),
        "other": ("aFChunk", "rtf"),
        "gone": ("chart", ""),
    }
    relations = ""
    buffer = io.BytesIO(raw_word_document(body + paragraph("end")))
    with zipfile.ZipFile(buffer, "a") as archive:
        for identity, (kind, content) in targets.items():
            suffixes = {"page": "html", "inner": "docx"}
            name = f"{identity}.{suffixes.get(identity, 'xml')}"
            relations += f'<Relationship Id="{identity}" Type="{LINKS}/{kind}" Target="{name}"/>'
            archive.writestr(f"word/{name}", content)
        package = "http://schemas.openxmlformats.org/package/2006/relationships"
        links = f'<Relationships xmlns="{package}">{relations}</Relationships>'
        archive.writestr("word/_rels/document.xml.rels", links)
    document = load_bytes(buffer.getvalue(), uri="a.docx")
    assert document.text == (
        "See\n\nSales\n\n|  | 2024 |\n| --- | --- |\n| Q1 | 4711 |\n\nSee\n\nSteps\n\nOrder\n\n"
        "## Terms\n\n# 1 of all\n\ninserted\n\nLost\n\nend"
    )
    assert [section.title for section in document.sections] == ["Terms"]
    assert document.quality == {"parts_lost": 2}
    assert is_poor(document.quality)


def with_parts(body: str, parts: dict[str, tuple[str, bytes]]) -> bytes:
    """A document with parts by relation: (kind and file name, content)."""
    buffer = io.BytesIO(raw_word_document(body))
    relations = ""
    with zipfile.ZipFile(buffer, "a") as archive:
        for identity, (kind, content) in parts.items():
            name = f"embeddings/{identity}"
            relations += f'<Relationship Id="{identity}" Type="{LINKS}/{kind}" Target="{name}"/>'
            archive.writestr(f"word/{name}", content)
        package = "http://schemas.openxmlformats.org/package/2006/relationships"
        links = f'<Relationships xmlns="{package}">{relations}</Relationships>'
        archive.writestr("word/_rels/document.xml.rels", links)
    return buffer.getvalue()


def test_workbooks_inside_are_tables() -> None:
    item = (
        f'<w:r><w:object><o:OLEObject xmlns:o="urn:schemas-microsoft-com:office:office" '
        f'xmlns:r="{LINKS}" Type="Embed" r:id="{{}}"/></w:object></w:r>'
    ).format
    cell = f"<w:tr><w:tc>{paragraph('price')}</w:tc><w:tc><w:p>{item('b.bin')}</w:p></w:tc></w:tr>"
    body = f"{paragraph('Above')}<w:p>{item('a.xlsx')}{item('bad.xlsx')}{item('gone')}</w:p>"
    body += f"{paragraph('Between')}<w:tbl>{cell}</w:tbl>{paragraph('Below')}"
    parts = {
        "a.xlsx": ("package", price_list()),
        "bad.xlsx": ("package", b"PK"),
        "b.bin": ("oleObject", old_word("An old text")),
    }
    document = load_bytes(with_parts(body, parts), uri="a.docx")
    rows = "| Part | Price |\n| --- | --- |\n| Seal | 12 |"
    assert document.text == f"Above\n\n{rows}\n\nBetween\n\nprice\n\nAn old text\n\nBelow"
    assert [document.text[m.start : m.end] for m in document.marks] == [rows]
    assert document.quality == {"tables_lost": 1}


def test_links_that_lead_nowhere_are_told() -> None:
    body = f'<w:p><w:r><w:drawing><c:chart xmlns:c="c" xmlns:r="{LINKS}" r:id="x"/></w:drawing>'
    body += f'</w:r></w:p><w:altChunk xmlns:r="{LINKS}" r:id="y"/>{paragraph("end")}'
    assert load_bytes(with_parts(body, {}), uri="a.docx").quality == {"parts_lost": 2}


def test_prompts_of_empty_controls_are_not_read() -> None:
    control = (
        "<w:sdt><w:sdtPr>{}</w:sdtPr><w:sdtContent><w:r><w:t>{}</w:t></w:r></w:sdtContent></w:sdt>"
    )
    filled = control.format('<w:showingPlcHdr w:val="0"/>', "Ann")
    empty = control.format("<w:showingPlcHdr/>", "Click or tap here to enter text.")
    name = "<w:r><w:t xml:space='preserve'>Name: </w:t></w:r>"
    assert word(f"<w:p>{name}{filled}</w:p><w:p>{name}{empty}</w:p>").text == "Name: Ann\n\nName:"


def typed(text: str, properties: str = "", style: str = "") -> str:
    """A paragraph whose run has these properties."""
    run = f"<w:r><w:rPr>{properties}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"
    return f"<w:p>{f'<w:pPr><w:pStyle w:val={style!r}/></w:pPr>' if style else ''}{run}</w:p>"


COURIER = '<w:rFonts w:ascii="Courier New"/>'


def test_code_keeps_its_lines_and_blanks() -> None:
    lines = "".join(typed(line, COURIER) for line in ("def f(x):", "    if x:", "        return 1"))
    body = typed("Call it:") + lines + paragraph("") + paragraph("")
    body += typed("  return 2", COURIER) + typed(ENGLISH) + typed(" ls ", COURIER) + typed("end")
    document = word(body)
    assert document.text == (
        "Call it:\n\n```\ndef f(x):\n    if x:\n        return 1\n\n\n  return 2\n```\n\n"
        f"{ENGLISH}\n\nls\n\nend"
    )


def test_code_by_its_style_and_on_its_pages() -> None:
    font = f"<w:rPr>{COURIER}</w:rPr>"
    styles = (
        f'<w:style w:styleId="Code"><w:name w:val="Code"/>{font}</w:style>'
        '<w:style w:styleId="Token"><w:basedOn w:val="Code"/></w:style>'
    )
    token = '<w:rStyle w:val="Token"/>'
    body = typed("a\xa0b", token) + typed("  c", style="Code")
    body += typed("d", style="Code").replace("<w:t ", f"{PAGE}<w:t ")
    buffer = io.BytesIO(raw_word_document(body + typed(ENGLISH)))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("word/styles.xml", f"<w:styles {WORD}>{styles}</w:styles>")
    document = load_bytes(buffer.getvalue(), uri="a.docx")
    assert document.text == f"```\na b\n  c\nd\n```\n\n{ENGLISH}"
    assert [document.text[page.start :][:5] for page in document.pages] == ["```\na", "d\n```"]


def test_what_a_typewriter_wrote_is_no_code() -> None:
    body = "".join(typed(line, COURIER) for line in ("Dear Ann,", "  the pumps", "are sealed."))
    assert word(body).text == "Dear Ann,\n\nthe pumps\n\nare sealed."
