"""Rows too wide for a chunk: cut between cells, with the header cells above them."""

from __future__ import annotations

import io
from collections.abc import Callable

import openpyxl  # type: ignore[import-untyped]
import pytest

from ingest.chunking import HEADER_TOKENS, split
from ingest.documents import Chunk
from ingest.loaders import load_bytes
from tests.fakes import HashEmbedder

starts_of = HashEmbedder().token_starts
COLUMNS = 100
NAMES = [f"name {n}" for n in range(COLUMNS)]
ROWS = [[f"v{row}of{n}" for n in range(COLUMNS)] for row in (2, 3)]


def cut(data: bytes, uri: str) -> list[Chunk]:
    document = load_bytes(data, uri=uri)
    return split(document, token_starts=starts_of, max_tokens=HEADER_TOKENS + 60)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    [sheet] = book.worksheets
    for row in (NAMES, *ROWS):
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def comma_separated() -> bytes:
    quoted = [[f'"{cell}"' if cell.endswith("7") else cell for cell in row] for row in ROWS]
    return "".join(",".join(row) + "\n" for row in (NAMES, *quoted)).encode()


def markdown() -> bytes:
    lines = ["|".join(["", *row, ""]) for row in (NAMES, ["-"] * COLUMNS, *ROWS)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("make", "uri"), [(workbook, "a.xlsx"), (comma_separated, "a.csv"), (markdown, "a.md")]
)
def test_each_piece_of_a_wide_row_has_the_header_cells_above_it(
    make: Callable[[], bytes], uri: str
) -> None:
    seen = set()
    for chunk in cut(make(), uri):
        for row in (2, 3):
            own = [n for n in range(COLUMNS) if f"v{row}of{n}" in _words(chunk.text)]
            if not own:
                continue
            seen |= {(row, n) for n in own}
            assert own == list(range(own[0], own[-1] + 1))
            assert not any(name in chunk.text for name in NAMES)
            header = chunk.context.split("\n")[-1]
            assert _cells(header) == NAMES[own[0] : own[-1] + 1]
            assert chunk.context.startswith(f"name 0: v{row}of0\n") == (own[0] > 0)
            assert len(starts_of(f"{chunk.context}\n{chunk.text}")) <= 60
    assert len(seen) == 2 * COLUMNS


def test_pieces_of_a_sheet_know_their_cells() -> None:
    chunks = cut(workbook(), "a.xlsx")
    assert not any("---" in chunk.kept_text for chunk in chunks)
    assert chunks[0].text.startswith("## Sheet\n\n| name 0 |")
    for row in (1, 2, 3):
        cells = [chunk.cells for chunk in chunks if f"{row}:" in chunk.cells]
        assert cells[0].startswith(f"Sheet!A{row}:")
        assert cells[-1].endswith(f":CV{row}")
        assert len(set(cells)) == len(cells) > 3


def test_a_row_whose_cells_do_not_fit_its_header_is_cut_like_text() -> None:
    lines = ["|".join(["", *NAMES, ""]), "|-" * COLUMNS + "|", "|x" * (COLUMNS - 1) + "|"]
    chunks = cut("\n".join(lines).encode(), "a.md")
    assert {chunk.context for chunk in chunks} == {""}


def _words(text: str) -> list[str]:
    return text.replace("|", " ").replace(",", " ").replace('"', " ").split()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").replace(",", "|").split("|") if cell.strip()]
