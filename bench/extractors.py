"""Our loaders, unstructured and kreuzberg on a folder of documents with a manifest, by format.

python -m bench.extractors FOLDER [--formats docx,pptx]

The folder's manifest.tsv names for each file (path, format, tier, phrase) a phrase that must be
found; white space is collapsed for the comparison, and left out where there is Chinese in it.
Attachments count as part of their mail for us; the two others get no second call for them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.common import a_folder, parser, report, timed
from ingest.errors import KbqaError
from ingest.loaders import load_bytes
from ingest.loaders import media_types as mt
from ingest.loaders.offline_unstructured import elements
from ingest.loaders.ole import kreuzberg_markdown
from ingest.loaders.registry import Source, unpacker_of

FORMATS = [
    "docx",
    "doc",
    "pptx",
    "ppt",
    "xlsx",
    "xlsm",
    "xlsb",
    "xls",
    "odt",
    "ods",
    "odp",
    "rtf",
    "mhtml",
    "epub",
    "eml",
    "msg",
    "mbox",
    "ipynb",
    "ics",
    "fodt",
    "vsdx",
    "fb2",
]
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Found:
    """What one extractor made of one file."""

    text: str
    sections: int = 0
    tables: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A file of the manifest."""

    path: Path
    format: str
    phrase: str


def main() -> None:
    """Measure each extractor on each format and print."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder)
    arguments.add_argument("--formats", default=",".join(FORMATS))
    given = arguments.parse_args()
    if not (given.folder / "manifest.tsv").is_file():
        arguments.error(f"there is no manifest.tsv in {given.folder}")
    files = list(_files(given.folder, given.formats.split(",")))
    rows = []
    for kind in dict.fromkeys(file.format for file in files):
        chosen = [file for file in files if file.format == kind]
        row: dict[str, Any] = {"format": kind, "files": len(chosen)}
        for name, extract in _EXTRACTORS.items():
            row |= _measured(name, extract, chosen)
        rows.append(row)
    report("extractors: phrases, sections, tables, ms a file", rows, as_json=given.json)


def _files(folder: Path, formats: list[str]) -> Iterator[File]:
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            kind = line["path"].rpartition(".")[2].lower()
            if kind in formats:
                yield File(folder / line["path"], kind, line["phrase"])


def _measured(name: str, extract: Callable[[File], Found], files: list[File]) -> dict[str, Any]:
    phrases = sections = tables = 0
    seconds = 0.0
    for file in files:
        took, found = timed(lambda file=file: _attempt(extract, file))  # type: ignore[misc]
        seconds += took
        phrases += _said(file.phrase, found.text)
        sections += found.sections
        tables += found.tables
    return {name: f"{phrases} {sections:>4} {tables:>3} {1000 * seconds / len(files):>6.0f}"}


def _attempt(extract: Callable[[File], Found], file: File) -> Found:
    try:
        return extract(file)
    except Exception:  # noqa: BLE001 - a file that cannot be read scores nothing
        return Found("")


def _said(phrase: str, text: str) -> bool:
    glue = "" if _CHINESE.search(phrase) else " "
    return glue.join(phrase.split()) in glue.join(text.split())


def _ours(file: File) -> Found:
    data = file.path.read_bytes()
    return _loaded(data, file.path.name, mt.BY_SUFFIX[f".{file.format}"], 0)


def _loaded(data: bytes, uri: str, media_type: str, depth: int) -> Found:
    texts, sections, tables = [], 0, 0
    try:
        document = load_bytes(data, uri=uri, media_type=media_type)
    except KbqaError:
        pass  # an archive has no text of its own
    else:
        texts.append(document.text)
        sections = len(document.sections)
        tables = sum(mark.kind == "table" for mark in document.marks)
    unpack = unpacker_of(media_type)
    for member in unpack(Source(uri, data, media_type, "")) if unpack and depth < 3 else ():
        suffix = Path(member.path).suffix.lower()
        if member.data:
            inner = mt.BY_SUFFIX.get(suffix, mt.PLAIN)
            texts.append(_loaded(member.data, member.path, inner, depth + 1).text)
    return Found("\n".join(texts), sections, tables)


def _unstructured(file: File) -> Found:
    found = elements(file.path.read_bytes(), file.format)
    kinds = [type(element).__name__ for element in found]
    text = "\n".join(element.text for element in found)
    return Found(text, kinds.count("Title"), kinds.count("Table"))


def _kreuzberg(file: File) -> Found:
    media_type = mt.BY_SUFFIX[f".{file.format}"]
    text = kreuzberg_markdown(file.path.read_bytes(), media_type, file.path.name)
    lines = text.split("\n")
    tables = sum(bool(re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+\s*", line)) for line in lines)
    return Found(text, sum(line.startswith("#") for line in lines), tables)


_EXTRACTORS: dict[str, Callable[[File], Found]] = {
    "ours": _ours,
    "unstructured": _unstructured,
    "kreuzberg": _kreuzberg,
}

if __name__ == "__main__":
    main()
