"""Pages per second of PDF text beside plain pypdfium2, seconds per page of OCR, phrases found.

The folder has a `manifest.tsv` with the columns path, format, tier and phrase, or none: then only
times are told. OCR is measured on the pages that need it and on images, one process, after a first
page that loads the models.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2

from bench.common import a_folder, parser, peak_memory_mb, report
from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.media_types import BY_SUFFIX, IMAGES, PDF
from ingest.loaders.registry import load_bytes

LIMITS = {"pages/CPU s": ">= 150 on PDFs with text", "found": "all of core, 4 in 5 of ocr"}
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Sample:
    """A file, the phrase that must be found in it, and the tier of that."""

    path: Path
    media_type: str
    tier: str
    phrase: str


@dataclass
class Run:
    """What a file took: ours and plain pypdfium2's text, clock and CPU; pages in all and by OCR."""

    sample: Sample
    seconds: float
    cpu: float
    plain: float
    plain_cpu: float
    pages: int
    read: int
    found: bool


def main() -> None:
    """Measure the PDFs and images of a folder."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder)
    given = arguments.parse_args()
    runs = [_run(sample) for sample in _samples(given.folder)]
    texts = [run for run in runs if run.sample.media_type == PDF and not run.read]
    scans = [run for run in runs if run.read]
    plain = [(run.plain, run.plain_cpu) for run in texts]
    rows = [_text_row("plain pypdfium2", texts, plain)]
    rows.append(_text_row("kbqa", texts, [(run.seconds, run.cpu) for run in texts]))
    rows.append(_ocr_row(scans[1:]))
    tiers = sorted({run.sample.tier for run in runs if run.sample.tier})
    rows += [_found_row(tier, [run for run in runs if run.sample.tier == tier]) for tier in tiers]
    report("ocr", rows, as_json=given.json, limits=LIMITS)


def _samples(folder: Path) -> Iterator[Sample]:
    phrases: dict[str, tuple[str, str]] = {}
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                phrases[row["path"]] = (row["tier"], row["phrase"])
    for path in sorted(folder.rglob("*")):
        media_type = BY_SUFFIX.get(path.suffix.lower(), "")
        if path.is_file() and (media_type == PDF or media_type in IMAGES):
            tier, phrase = phrases.get(path.relative_to(folder).as_posix(), ("", ""))
            yield Sample(path, media_type, tier, phrase)


def _run(sample: Sample) -> Run:
    data = sample.path.read_bytes()
    plain, plain_cpu = _plain_seconds(data) if sample.media_type == PDF else (0.0, 0.0)
    started, cpu = time.perf_counter(), time.process_time()
    try:
        document = load_bytes(data, uri=sample.path.name, media_type=sample.media_type)
    except LoadError:
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        return Run(sample, seconds, cpu, plain, plain_cpu, 0, 0, False)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    read = int(document.quality.get("pages_ocr", 0))
    found = _flat(sample.phrase) in _flat(document.text)
    return Run(sample, seconds, cpu, plain, plain_cpu, _pages(document), read, found)


def _plain_seconds(data: bytes) -> tuple[float, float]:
    """What PDFium's own text of every page takes, unordered: on the clock, and of the CPU."""
    started, cpu = time.perf_counter(), time.process_time()
    try:
        with closing(pypdfium2.PdfDocument(data)) as pdf:
            for page in pdf:
                with closing(page), closing(page.get_textpage()) as textpage:
                    textpage.get_text_range()
    except pypdfium2.PdfiumError:
        return 0.0, 0.0
    return time.perf_counter() - started, time.process_time() - cpu


def _pages(document: Document) -> int:
    return max(len(document.pages), 1)


def _text_row(name: str, runs: list[Run], times: list[tuple[float, float]]) -> dict[str, Any]:
    pages, total = sum(run.pages for run in runs), sum(seconds for seconds, _ in times)
    cpu = sum(seconds for _, seconds in times)
    return {
        "run": f"text of PDFs, {name}",
        "files": len(runs),
        "pages": pages,
        "seconds": round(total, 3),
        "pages/s": round(pages / total, 1) if total else 0.0,
        "pages/CPU s": round(pages / cpu, 1) if cpu else 0.0,
    }


def _ocr_row(runs: list[Run]) -> dict[str, Any]:
    pages, seconds = sum(run.read for run in runs), sum(run.seconds for run in runs)
    return {
        "run": "OCR",
        "files": len(runs),
        "pages": pages,
        "seconds": round(seconds, 3),
        "s/page": round(seconds / pages, 2) if pages else 0.0,
        "CPU s/page": round(sum(run.cpu for run in runs) / pages, 2) if pages else 0.0,
        "peak MB": peak_memory_mb(),
    }


def _found_row(tier: str, runs: list[Run]) -> dict[str, Any]:
    found = sum(run.found for run in runs)
    return {"run": f"phrases, {tier}", "files": len(runs), "found": f"{found} of {len(runs)}"}


def _flat(text: str) -> str:
    return _BLANKS.sub("", text)


if __name__ == "__main__":
    main()
