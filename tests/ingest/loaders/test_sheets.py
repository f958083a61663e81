"""Workbooks: rows with the addresses of their cells, values as a person sees them."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904  # type: ignore[import-untyped]

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.loaders.media_types import XLSX
from ingest.loaders.number_format import render_number
from ingest.loaders.sheets import column_letters, column_number

from .office_builders import compound
from .test_sheets_contract import workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def raw_workbook(rows: str, *, prefix: str = "", prolog: str = "") -> bytes:
    """A workbook of one sheet with this XML inside its sheetData."""
    binding = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    sheets = '<sheets><sheet name="S" r:id="r1"/></sheets>'
    relation = f'<Relationship Id="r1" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        book = f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}">{sheets}</workbook>'
        archive.writestr("xl/workbook.xml", book)
        relations = f'<Relationships xmlns="{PACKAGE}">{relation}</Relationships>'
        archive.writestr("xl/_rels/workbook.xml.rels", relations)
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f'{prolog}<{prefix}worksheet {binding}="{MAIN}"><{prefix}sheetData>{rows}'
            f"</{prefix}sheetData></{prefix}worksheet>",
        )
    return buffer.getvalue()


def load(data: bytes) -> Document:
    return load_bytes(data, uri="book.xlsx", media_type=XLSX)


def spans(document: Document) -> dict[str, str]:
    return {m.label: document.text[m.start : m.end] for m in document.marks if m.kind == "rows"}


def test_values_as_a_person_sees_them() -> None:
    document = load(workbook())
    assert document.text == (
        "## Prices\n\nPrice list 2024\n\n"
        "| Part | Price | Discount | Since |\n| --- | --- | --- | --- |\n"
        "| Seal ring | $1,234.50 | 12.5% | 2024-03-01 |\n| 密封件 | 7 | 0 | 2024-03-01 14:30 |\n\n"
        "far away\n\nComment on Prices!A2: Numbers of 2023\n\n## Secret\n\n| hidden | text |"
    )


def test_lines_know_their_cells() -> None:
    assert spans(load(workbook())) == {
        "Prices!A1:A1": "Price list 2024",
        "Prices!A2:D2": "| Part | Price | Discount | Since |",
        "Prices!A3:D4": (
            "| Seal ring | $1,234.50 | 12.5% | 2024-03-01 |\n| 密封件 | 7 | 0 | 2024-03-01 14:30 |"
        ),
        "Prices!F6:F6": "far away",
        "Secret!A1:B1": "| hidden | text |",
    }


def test_pages_are_sheets_and_hidden_ones_are_marked() -> None:
    document = load(workbook())
    assert [(page.number, page.label) for page in document.pages] == [(1, "Prices"), (3, "Secret")]
    [hidden] = [mark for mark in document.marks if mark.kind == "hidden"]
    assert document.text[hidden.start : hidden.end] == "## Secret\n\n| hidden | text |"


def binary_workbook(cells: Sequence[tuple[int, bytes]], more: bytes = b"") -> bytes:
    """A .xlsb that counts from 1904, of one column of cells: their kinds and values, all dates.

    `more` records stand below them.
    """
    named = "r1".encode("utf-16-le"), "S".encode("utf-16-le")
    texts = b"".join((len(text) // 2).to_bytes(4, "little") + text for text in named)
    book = record(153, b"\1") + record(156, bytes(8) + texts)
    styles = record(617, b"") + record(47, bytes(2) + b"\x0e\0") + record(618, b"")
    sheet = b"".join(
        record(0, row.to_bytes(4, "little")) + record(kind, bytes(8) + value)
        for row, (kind, value) in enumerate(cells)
    )
    sheet += more
    links = "".join(
        f'<Relationship Id="r{n}" Type="{LINKS}/{name}" Target="{name}.bin"/>'
        for n, name in enumerate(("styles", "worksheet"))
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        relations = f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>'
        archive.writestr("xl/_rels/workbook.bin.rels", relations)
        for name, part in (("workbook", book), ("styles", styles), ("worksheet", sheet)):
            archive.writestr(f"xl/{name}.bin", part)
    return buffer.getvalue()


def record(kind: int, body: bytes) -> bytes:
    number = bytes([kind & 0x7F | 0x80, kind >> 7]) if kind > 0x7F else bytes([kind])
    return number + bytes([len(body)]) + body


def test_errors_and_late_dates_in_a_binary_workbook() -> None:
    errors = [(3, bytes([code])) for code in (0, 7, 15, 23, 29, 36, 42, 99)]
    dates = [(5, struct.pack("<d", day)) for day in (2_950_000, 2_958_000)]
    document = load_bytes(binary_workbook([*errors, *dates]), uri="book.xlsb")
    assert spans(document) == {
        "S!A1:A10": "#NULL!\n#DIV/0!\n#VALUE!\n#REF!\n#NAME?\n#NUM!\n#N/A\n#ERROR\n"
        "9980-10-28\n2958000"
    }


MERGED = "| Area | Part |\n| --- | --- |\n| North | Seal |\n| North | Oil |\n| South | Seal |"


def test_what_is_merged_downwards_stands_in_each_row() -> None:
    book = openpyxl.Workbook()
    [sheet] = book.worksheets
    rows = (["Area", "Part"], ["North", "Seal"], [None, "Oil"], ["South", "Seal"])
    for row in rows:
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    sheet.merge_cells("B4:B9")  # into rows that hold nothing
    buffer = io.BytesIO()
    book.save(buffer)
    assert load(buffer.getvalue()).text == f"## Sheet\n\n{MERGED}"


def test_what_is_merged_downwards_in_binary_workbooks() -> None:
    columns = ("Area", "North", "", "South"), ("Part", "Seal", "Oil", "Seal")
    new = b"".join(
        record(0, row.to_bytes(4, "little"))
        + b"".join(
            record(6, struct.pack("<III", column, 0, len(text)) + text.encode("utf-16-le"))
            for column, text in enumerate(texts)
            if text
        )
        for row, texts in enumerate(zip(*columns, strict=True))
    )
    data = binary_workbook((), new + record(176, struct.pack("<IIII", 1, 2, 0, 0)))
    assert load_bytes(data, uri="book.xlsb").text == f"## S\n\n{MERGED}"
    old = b"".join(
        old_record(0x204, struct.pack("<HHHHB", row, column, 0, len(text), 0) + text.encode())
        for column, texts in enumerate(columns)
        for row, text in enumerate(texts)
        if text
    )
    data = old_workbook(old + old_record(0xE5, struct.pack("<5H", 1, 1, 2, 0, 0)))
    assert load_bytes(data, uri="book.xls").text == f"## S\n\n{MERGED}"


def old_workbook(sheet: bytes) -> bytes:
    """A .xls of one sheet with these records (BIFF 8)."""
    start, end = struct.pack("<HHHHII", 0x600, 5, 0, 1997, 0, 0), old_record(10, b"")
    name = struct.pack("<IBBBB", 0, 0, 0, 1, 0) + b"S"
    size = len(old_record(0x809, start) + old_record(0x85, name) + end)
    book = old_record(0x809, start) + old_record(0x85, struct.pack("<I", size) + name[4:]) + end
    start = struct.pack("<HHHHII", 0x600, 16, 0, 1997, 0, 0)
    return compound({"Workbook": book + old_record(0x809, start) + sheet + end})


def old_record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def cell(address: str, text: str) -> str:
    return f'<c r="{address}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_two_cells_at_opposite_corners() -> None:
    rows = (
        f'<row r="1">{cell("A1", "top left")}</row>'
        f'<row r="1048576">{cell("XFD1048576", "bottom right")}</row>'
    )
    document = load(raw_workbook(rows))
    assert document.text == "## S\n\ntop left\n\nbottom right"
    assert spans(document) == {"S!A1:A1": "top left", "S!XFD1048576:XFD1048576": "bottom right"}


def test_an_empty_row_inside_data_does_not_start_a_new_header() -> None:
    rows = [["Part", "Price"], ["Seal", "7"], [], ["Gasket", "12"], [], [], ["Note", "end"]]
    markup = "".join(row_markup(number, row) for number, row in enumerate(rows, 1))
    assert load(raw_workbook(markup)).text == (
        "## S\n\n| Part | Price |\n| --- | --- |\n| Seal | 7 |\n| Gasket | 12 |\n\n| Note | end |"
    )


def row_markup(number: int, texts: list[str]) -> str:
    cells = "".join(cell(f"{'AB'[i]}{number}", text) for i, text in enumerate(texts))
    return f'<row r="{number}">{cells}</row>'


def test_prefixed_names_implicit_addresses_and_references() -> None:
    rows = "<x:row><x:c><x:v>1</x:v></x:c><x:c t='str'><x:v>a &lt; b &#x4E2D;</x:v></x:c></x:row>"
    assert load(raw_workbook(rows, prefix="x:")).text == "## S\n\n| 1 | a < b 中 |"


def test_long_numbers_are_names() -> None:
    rows = '<row><c r="A1"><v>6222021234567890123</v></c><c r="B1"><v>0.1234567890123</v></c></row>'
    assert load(raw_workbook(rows)).text.endswith("6222021234567890123 | 0.12345678901 |")


def test_entities_do_not_expand() -> None:
    laughs = '<!DOCTYPE d [<!ENTITY a "haha"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    rows = f'<row r="1">{cell("A1", "safe")}{cell("B1", "&a;&f;")}</row>'
    text = load(raw_workbook(rows, prolog=laughs)).text
    assert "haha" not in text
    assert "root" not in text


def test_protected_workbooks_say_so() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(LoadError, match="is password protected"):
        load(ole)


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (45123, "yyyy-mm-dd", "2023-07-16"),
        (45123.75, "m/d/yy h:mm", "2023-07-16 18:00"),
        (45123, 'yyyy"年"m"月"d"日"', "2023-07-16"),
        (45123, "[$-F800]dddd, mmmm dd, yyyy", "2023-07-16"),
        (0.5, "h:mm AM/PM", "12:00"),
        (1.5, "[h]:mm:ss", "36:00:00"),
        (0.1234, "0.0%", "12.3%"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-5, "#,##0;(#,##0)", "(5)"),
        (0, '0;-0;"-"', "-"),
        (12, '[$€-407]#,##0.00', "€12.00"),
        (12.5, '0.0" kg"', "12.5 kg"),
        (7, "00000", "00007"),
        (1234567, "#,##0,", "1,235"),
        (0.1 + 0.2, "General", "0.3"),
        (123456789012, "General", "123456789012"),
        (2_958_465, "yyyy-mm-dd", "9999-12-31"),
        (1e300, "yyyy-mm-dd", "1e+300"),
        (3, "@", "3"),
        (0.5, "0" + "%" * 400, "0.5"),
        (-1e300, "0;0" + "%" * 20, "-1e+300"),
        (1_500_000, '0.0,,"M"', "1.5M"),
        (1500, '#,##0.0,"K"', "1.5K"),
        (12_345_678, '0!.0,"万"', "1234.6万"),
        (123_456_789, "000-00-0000", "123-45-6789"),
        (5_551_234, "[<=9999999]###-####;(###) ###-####", "555-1234"),
        (5_551_234_567, "[<=9999999]###-####;(###) ###-####", "(555) 123-4567"),
        (20_240_315, '0000"年"00"月"00"日"', "2024年03月15日"),
        (3, 'General" pcs"', "3 pcs"),
        (-3, 'General" pcs"', "-3 pcs"),
        (1, '"Yes";"Yes";"No"', "Yes"),
        (0, '"Yes";"Yes";"No"', "No"),
        (5, '[>1]"high";"low"', "high"),
        (0.5, '[>1]"high";"low"', "low"),
        (3, '[<1]"few";[>5]"many"', "3"),
        (-5, "[>100]0;[<0]0.0;0.00", "5.0"),
        (-5, "[<100]0;0", "-5"),
        (5, '0" ;" 0', "0 ; 5"),
        (0, '_("$"* #,##0_);_("$"* \\(#,##0\\);_("$"* "-"??_);_(@_)', "$ -"),
        (-99, '_("$"* #,##0_);_("$"* \\(#,##0\\);_("$"* "-"??_);_(@_)', "$ (99)"),
        (12_345, "##0.0E+0", "12.3E+3"),
        (999_999, "##0.0E+0", "1.0E+6"),
        (0.000012345, "0.00E+00", "1.23E-05"),
        (2.675, "0.00", "2.68"),
        (0.285, "0%", "29%"),
        (1.5, "$#,##0.0#", "$1.5"),
        (12, "###-####", "-12"),
        (0.5, "# ?/?", "0.5"),
        (45123, "[>1]yyyy-mm-dd;0", "2023-07-16"),
        (-0.001, "0.00", "0.00"),
    ],
)  # fmt: skip
def test_number_formats(value: float, code: str, shown: str) -> None:
    assert render_number(value, code) == shown


PLACES = st.tuples(st.text("#0", max_size=9), st.text("0#", max_size=4), st.integers(0, 2))


@given(
    st.decimals(-(10**9), 10**9, places=5), PLACES, st.booleans(), st.sampled_from(["", "-", "年"])
)
def test_digits_stand_in_their_places(
    value: Decimal, places: tuple[str, str, int], grouped: bool, between: str
) -> None:
    """Against the number that Python writes: its digits, its zeros and its commas."""
    before, behind, thousands = places
    before = "#" * before.count("#") + "0" * before.count("0") or "0"
    behind = "0" * behind.count("0") + "#" * behind.count("#")
    parts = [before[:-3], before[-3:]] if len(before) > 3 else [before]
    joint = "," if grouped and len(parts) > 1 else f'"{between}"'
    code = f"{joint.join(parts)}.{behind}{',' * thousands}"
    scaled = (abs(value) / 1000**thousands).quantize(Decimal(1).scaleb(-len(behind)), ROUND_HALF_UP)
    whole, _, rest = f"{scaled:f}".partition(".")
    whole = whole.lstrip("0").rjust(before.count("0"), "0")
    if joint == ",":
        whole = ",".join(re.findall(r"\d{1,3}", whole[::-1]))[::-1]
    elif len(parts) > 1:
        whole = f"{whole[:-3]}{between}{whole[-3:]}"
    kept = rest[: behind.count("0")] + rest[behind.count("0") :].rstrip("0")
    minus = "-" if value < 0 and scaled else ""
    assert render_number(float(value), code) == f"{minus}{whole}{'.' if kept else ''}{kept}"


FORMATS = st.text(max_size=30) | st.text('0#?.,%;E+-/!<=>@"\\_*[]$hmsyd', max_size=30)


@given(st.floats() | st.floats(0, 3_000_000), FORMATS, st.booleans())
def test_any_number_in_any_format_is_some_text(value: float, code: str, from_1904: bool) -> None:
    assert isinstance(render_number(value, code, from_1904=from_1904), str)


def test_a_date_later_than_there_are_costs_no_addresses() -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    [sheet] = book.worksheets
    for row, value in enumerate((2_950_000, 2_958_000), 1):
        sheet.cell(row, 1, value).number_format = "yyyy-mm-dd"
    buffer = io.BytesIO()
    book.save(buffer)
    document = load(buffer.getvalue())
    assert spans(document) == {"Sheet!A1:A2": "9980-10-28\n2958000"}
    assert document.quality == {}


def test_names_of_columns() -> None:
    assert [column_letters(n) for n in (1, 26, 27, 702, 703)] == ["A", "Z", "AA", "ZZ", "AAA"]


@given(st.integers(1, 16_384))
def test_columns_there_and_back(column: int) -> None:
    assert column_number(column_letters(column)) == column


def test_a_formula_that_no_program_has_worked_out_is_shown_as_typed() -> None:
    rows = (
        '<row r="1"><c r="A1"><v>2</v></c><c r="B1"><f>A1*2&amp;"x"</f></c></row>'
        '<row r="2"><c r="A2"><f>A1*3</f><v>6</v></c>'
        '<c r="B2" t="str"><f>T(A9)</f><v></v></c></row>'
    )
    text = load_bytes(raw_workbook(rows), uri="a.xlsx").text
    assert '=A1*2&"x"' in text
    assert "6" in text
    assert "A1*3" not in text
    assert "T(A9)" not in text


def test_formulas_that_openpyxl_has_written_are_shown() -> None:
    book = openpyxl.Workbook()
    [sheet] = book.worksheets
    sheet.append(["Bolts", 3, "=1/0"])
    sheet.append(["Total", "=SUM(B1:B1)"])
    buffer = io.BytesIO()
    book.save(buffer)
    document = load(buffer.getvalue())
    assert spans(document) == {
        "Sheet!A1:C1": "| Bolts | 3 | =1/0 |",
        "Sheet!A2:C2": "| Total | =SUM(B1:B1) |  |",
    }


def test_a_bar_in_a_cell_begins_no_cell() -> None:
    cells = '<c r="A{0}" t="str"><v>X{0}</v></c><c r="B{0}" t="str"><v>on|off</v></c>'
    rows = "".join(f'<row r="{n}">{cells.format(n)}</row>' for n in (1, 2))
    lines = [r"| X1 | on\|off |", "| --- | --- |", r"| X2 | on\|off |"]
    assert load(raw_workbook(rows)).text.split("\n")[2:] == lines


@pytest.mark.parametrize(
    ("source", "shown"),
    [("S!$B$1:$B$2", False), ("[1]Other!$B$1:$B$2", True), ("", True)],
)
def test_values_of_charts_that_no_cell_has(source: str, shown: bool) -> None:
    point = '<c:pt idx="0"><c:v>4711</c:v></c:pt>'
    values = f"<c:numRef><c:f>{source}</c:f>{point}</c:numRef>" if source else point
    title = "<c:title><a:p><a:r><a:t>Sold</a:t></a:r></a:p></c:title>"
    chart = f"<c:chart>{title}<c:ser><c:val>{values}</c:val></c:ser></c:chart>"
    buffer = io.BytesIO(raw_workbook('<row r="1"><c r="A1"><v>7</v></c></row>'))
    link = f'<Relationship Id="r1" Type="{LINKS}/{{}}" Target="{{}}"/>'.format
    with zipfile.ZipFile(buffer, "a") as archive:
        for part, relation in (
            ("worksheets/_rels/sheet1.xml.rels", link("drawing", "/xl/drawing.xml")),
            ("_rels/drawing.xml.rels", link("chart", "chart.xml")),
        ):
            archive.writestr(
                f"xl/{part}", f'<Relationships xmlns="{PACKAGE}">{relation}</Relationships>'
            )
        archive.writestr("xl/drawing.xml", "<d/>")
        archive.writestr("xl/chart.xml", f'<c:cs xmlns:c="c" xmlns:a="a">{chart}</c:cs>')
    text = load(buffer.getvalue()).text
    assert text.startswith("## S\n\n7\n\nSold")
    assert text.count("1 | 4711") == shown
