from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.cures import cure_of
from ingest.documents import Document, Page
from ingest.quality import complaints, cure, garbled_share, is_poor, judged, refusal

CLEAN = (
    "The pump is started by hand. Its seal lasts two years, at 38 € each.",
    "水泵每运行五百小时需要加注润滑油。密封件的寿命为两年，备用密封件每个三十八元，运费十二元，"
    "自收到订单之日起三个工作日内发货。",
    "Les élèves de l'école étudient à l'étranger; où était-il? «Déjà vu», dit-elle, près du café.",
    "Größe und Länge des Rohres: 5 µm ± 2, Übergröße für Ärmel, süß, naïve Façade, señor, 20 °C.",
    "Việt Nam là một quốc gia nằm ở cực đông của bán đảo Đông Dương thuộc khu vực Đông Nam Á.",
)


def document(text: str, **options: object) -> Document:
    return replace(Document.from_text(text, uri="a.txt"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", CLEAN)
def test_what_people_write_is_clean(text: str) -> None:
    assert garbled_share(text * 3) == 0
    assert judged(document(text)).quality == {}


@pytest.mark.parametrize(
    ("text", "least"),
    [
        (CLEAN[2].encode().decode("latin-1"), 0.1),
        (CLEAN[0].replace("e", "\ufffd"), 0.07),
        ("\ue001\ue023\uf0a7 \ue012" * 20, 0.7),
        ("\x01\x02\x03\x04 a" * 20, 0.6),
        (CLEAN[1].encode().decode("latin-1"), 0.15),
    ],
)
def test_what_nobody_writes_is_garbled(text: str, least: float) -> None:
    assert garbled_share(text) >= least
    assert is_poor(judged(document(text)).quality)


def test_a_text_that_is_mostly_garbled_is_refused_with_a_cure() -> None:
    bad = judged(document("\ue001\ue023\uf0a7 \ue012" * 20))
    assert "80%" in refusal(bad)
    assert "UTF-8" in refusal(bad)
    scan = replace(bad, pages=(Page(1, 0, 5),))
    assert "OCR" in refusal(scan)
    assert refusal(judged(document(CLEAN[2].encode().decode("latin-1")))) == ""


def test_the_worse_of_two_shares_counts() -> None:
    assert refusal(judged(document(CLEAN[0], quality={"garbled_share": 0.5})))
    assert judged(document(CLEAN[0], quality={"garbled_share": 0.5})).quality == {
        "garbled_share": 0.5
    }


def test_poor_pages_are_counted() -> None:
    pages = (
        Page(1, 0, 9, quality={"characters": 9}),
        Page(2, 10, 19, quality={"ocr": True, "ocr_confidence": 0.5}),
        Page(3, 20, 29, quality={"tables_lost": 2}),
        Page(4, 30, 39, quality={"ocr": True, "ocr_confidence": 0.95}),
        Page(5, 39, 39, quality={"ocr_left": True}),
    )
    judged_document = judged(document(CLEAN[0], pages=pages))
    assert judged_document.quality == {"poor_pages": 3}
    assert [complaints(page.quality) for page in pages] == [
        [], ["read by OCR with 50% confidence"], ["2 tables lost"], [],
        ["not read, for lack of time"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("is password protected", "password"),
        ("took longer than 60 s", "parse_timeout"),
        ("needed more memory than 1536 MB", "parse_memory_mb"),
        ("permission denied", "right to read"),
        ("files of type .xyz are not supported", "PDF"),
        ("is damaged: no cross-reference table", "backup"),
        ("is a broken link", "mend the link"),
        ("no text found in the image, and it was not described: no answer", "vision model"),
        ("who knows", "kbqa retry"),
    ],
)
def test_each_failure_has_a_cure(reason: str, word: str) -> None:
    assert word in cure_of(reason)


def test_the_cure_is_that_of_the_complaint() -> None:
    read = {"ocr_confidence": 0.99, "images_undescribed": 1}
    assert "not described" in complaints(read)[0]
    assert "vision model answers" in cure(None, read)
    assert "300 dpi" in cure(None, {"ocr_confidence": 0.5})
