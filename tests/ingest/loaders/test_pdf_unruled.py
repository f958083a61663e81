"""Tables of PDF pages without ruled lines: which lines are one row, and where a table ends."""

from __future__ import annotations

import pytest

from ingest.loaders import load_bytes

from .pdf_builders import Page, pages_pdf, placed

Placed = list[tuple[float, float, str]]
HEAD: Placed = [(60, 700, "Part"), (160, 700, "Price"), (260, 700, "Use")]
LAST: Placed = [(60, 640, "Nut"), (160, 640, "7.00"), (260, 640, "Holds")]


def text_of(lines: Placed) -> str:
    page = Page(placed(sorted(lines, key=lambda line: -line[1])))
    return load_bytes(pages_pdf([page]), uri="a.pdf").text


def table(*rows: tuple[str, ...]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"| {' | '.join(['---'] * len(rows[0]))} |", *body])


@pytest.mark.parametrize("name", [676, 670, 664], ids=["top", "middle", "bottom"])
def test_lines_of_a_cell_are_one_whatever_stands_beside_them(name: float) -> None:
    cell = [(260, 676, "Keeps the water in"), (260, 664, "and the dust out")]
    beside = [(60, name, "Seal"), (160, name, "12.50")]
    rows = table(
        ("Part", "Price", "Use"),
        ("Seal", "12.50", "Keeps the water in and the dust out"),
        ("Nut", "7.00", "Holds"),
    )
    assert text_of([*HEAD, *cell, *beside, *LAST]) == rows


def test_each_row_may_have_a_cell_of_two_lines() -> None:
    lines, rows = [*HEAD], [("Part", "Price", "Use")]
    for number, name in enumerate(("Seal", "Nut", "Cap")):
        y = 670 - 40 * number
        lines += [
            (60, y, name),
            (160, y, "1.00"),
            (260, y + 6, f"{name} keeps"),
            (260, y - 6, "on"),
        ]
        rows.append((name, "1.00", f"{name} keeps on"))
    assert text_of(lines) == table(*rows)


def test_the_last_cell_goes_on() -> None:
    rows = table(
        ("Part", "Price", "Use"), ("Seal", "12.50", "Tight"), ("Nut", "7.00", "Holds and turns")
    )
    seal = [(60, 670, "Seal"), (160, 670, "12.50"), (260, 670, "Tight")]
    assert text_of([*HEAD, *seal, *LAST, (260, 628, "and turns")]) == rows


def test_a_heading_parts_two_tables_of_other_columns() -> None:
    names = [[("A", "B"), ("C", "D"), ("E", "F"), ("G", "H")], [("One", "Two"), ("3", "4")] * 2]
    above = [(60 + 200 * n, 700 - 16 * m, t) for m, row in enumerate(names[0])
             for n, t in enumerate(row)]  # fmt: skip
    below = [(60 + 130 * n, 590 - 16 * m, t) for m, row in enumerate(names[1])
             for n, t in enumerate(row)]  # fmt: skip
    text = text_of([*above, (60, 618, "Sizes"), *below])
    assert text == f"{table(*names[0])}\n\nSizes\n\n{table(*names[1])}"


def test_rows_close_to_each_other_stay_rows() -> None:
    """Groups of rows with a gap between: figures below each other are no lines of one cell."""
    values = [("Cash", "10"), ("Stock", "20"), ("Loans", "30"), ("Capital", "40")]
    places = [700, 688, 660, 648]
    lines = [(60 + 130 * n, y, t) for y, row in zip(places, values, strict=True)
             for n, t in enumerate(row)]  # fmt: skip
    assert text_of([*lines]) == table(*values)


def test_a_header_beside_its_column_stands_over_it() -> None:
    head = [(60, 700, "No"), (160, 700, "Name")]
    rows = [("1", "Seal"), ("2", "Nut"), ("3", "Cap")]
    body = [(x, 680 - 18 * n, t) for n, row in enumerate(rows)
            for x, t in zip((85, 160), row, strict=True)]  # fmt: skip
    assert text_of([*head, *body]) == table(("No", "Name"), *rows)


def test_sums_below_a_table_are_rows_of_their_own() -> None:
    rows = [("Item", "Qty", "Price", "Amount"), ("Seal", "4", "12.50", "50.00")]
    rows += [("Labour", "3", "90.00", "270.00"), ("Pipe", "1", "70.00", "70.00")]
    sums = [("", "", "Subtotal", "390.00"), ("", "", "VAT", "74.10"), ("", "", "Total", "464.10")]
    places = [700, 680, 660, 640, 615, 601, 587]
    lines = [(60 + 110 * n, y, t) for y, row in zip(places, [*rows, *sums], strict=True)
             for n, t in enumerate(row) if t]  # fmt: skip
    assert text_of([*lines]) == table(*rows, *sums).replace("|  |  |", "| | |")
