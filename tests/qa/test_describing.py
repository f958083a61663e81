from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import docx
import pptx
import pytest
from PIL import Image as Pillow

from ingest.documents import Document, Failure, FileEntry, Prepared
from ingest.errors import BadRequest, KbqaError, Unreachable
from ingest.loaders import load
from ingest.loaders.image import NO_TEXT
from ingest.sync import Item
from qa.commands.ingest import explain
from qa.configured import describer_of
from qa.describing import Describer
from qa.knowledge_base import KnowledgeBase
from qa.models import Reply
from qa.settings import load_settings
from qa.turn import Message
from tests.fakes import HashEmbedder
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.integration


class Seeing:
    """A `ChatModel` that says what `say` says, and counts."""

    name = "see:m"

    def __init__(self, say: Callable[[Message], str] = lambda message: "A red valve.") -> None:
        self._say = say
        self.asked: list[Message] = []

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        self.asked += messages
        return Reply(self._say(messages[0]))


def photo(path: Path, seed: int = 0) -> Path:
    """A picture of noise, in which nothing is written."""
    pixels = random.Random(seed).randbytes(60 * 60 * 3)
    Pillow.frombytes("RGB", (60, 60), pixels).save(path)
    return path


def word_file(path: Path, *pictures: Path) -> Path:
    """A Word document with pictures in its first chapter."""
    file = docx.Document()
    file.add_heading("Valves", 1)
    file.add_paragraph("This valve closes the main line.")
    for picture in pictures:
        file.add_picture(str(picture))
    file.add_heading("Pumps", 1)
    file.add_paragraph("Pumps are told of elsewhere.")
    file.save(str(path))
    return path


def entry(path: Path) -> FileEntry:
    return FileEntry(path.name, str(path), str(path.parent), 0, 0, 0)


def loaded(path: Path) -> Prepared:
    return Prepared(load(path), [], entry(path))


def describe(
    item: Prepared | Failure, model: Seeing, folder: Path
) -> tuple[Document, Prepared | Failure]:
    (described,) = Describer(model, folder).described([item], lambda document: [])
    assert isinstance(described, Prepared)
    return described.document, described


def test_a_picture_is_described_in_its_chapter(tmp_path: Path) -> None:
    file = word_file(tmp_path / "a.docx", photo(tmp_path / "valve.png"))
    model = Seeing()
    document, _ = describe(loaded(file), model, tmp_path / "kept")
    said = "[Image image1.png, described by see:m: A red valve.]"
    assert said in document.text
    assert document.heading_at(document.text.index(said)) == ("Valves",)
    assert [document.text[m.start : m.end].strip() for m in document.marks][-1] == said
    assert document.quality["images_described"] == 1
    (asked,) = model.asked
    assert "Describe this image" in asked.content
    assert asked.images[0].media_type == "image/png"


def test_pictures_of_slides_are_described_on_theirs(tmp_path: Path) -> None:
    show = pptx.Presentation()
    for number in (1, 2):
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = f"Slide {number}"
        slide.shapes.add_picture(str(photo(tmp_path / f"{number}.png", number)), 0, 0)
    show.save(str(tmp_path / "a.pptx"))
    document, _ = describe(loaded(tmp_path / "a.pptx"), Seeing(), tmp_path / "kept")
    for page in document.pages:
        assert document.text[page.start : page.end].count("A red valve.") == 1


def test_a_picture_without_words_becomes_a_document(tmp_path: Path) -> None:
    path = photo(tmp_path / "阀门.png")
    failure = Failure("阀门.png", NO_TEXT, str(path), entry=entry(path))
    document, item = describe(failure, Seeing(lambda message: "红色的阀门。"), tmp_path / "kept")
    assert document.text == "[图片 阀门.png，由 see:m 描述：红色的阀门。]"
    assert (document.title, document.media_type) == ("阀门", "image/png")
    assert isinstance(item, Prepared)
    assert item.entry == entry(path)


def test_a_picture_is_described_once(tmp_path: Path) -> None:
    one, two = photo(tmp_path / "1.png", 1), photo(tmp_path / "2.png", 2)
    model = Seeing(lambda message: f"Number {len(model.asked)}.")
    for name, pictures in (("a.docx", (one, two)), ("b.docx", (two,))):
        item = loaded(word_file(tmp_path / name, *pictures))
        document, _ = describe(item, model, tmp_path / "kept")
        assert "Number 2." in document.text
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("error", "asked"), [(Unreachable("nobody there"), 1), (BadRequest("no cats"), 2)]
)
def test_a_model_that_fails_costs_descriptions_only(
    tmp_path: Path, error: KbqaError, asked: int
) -> None:
    def fail(message: Message) -> str:
        raise error

    pictures = (photo(tmp_path / "1.png", 1), photo(tmp_path / "2.png", 2))
    item, model = loaded(word_file(tmp_path / "a.docx", *pictures)), Seeing(fail)
    document, _ = describe(item, model, tmp_path / "kept")
    assert document == replace(
        item.document,
        quality={
            **item.document.quality, "images_undescribed": 2, "images_error": str(error),
        },
    )  # fmt: skip
    assert len(model.asked) == asked
    assert describe(item, Seeing(), tmp_path / "kept")[0].quality["images_described"] == 2


def test_an_ingest_tells_of_images_that_were_not_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    photo(docs / "wordless.png")
    word_file(docs / "a.docx", photo(tmp_path / "1.png", 1))
    monkeypatch.setenv("KBQA_DESCRIBE_IMAGES", "openai:m")
    monkeypatch.setenv("KBQA_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("KBQA_MODEL_ATTEMPTS", "1")
    monkeypatch.setenv("KBQA_CACHE_DIR", str(tmp_path / "cache"))
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as base:
        report = base.ingest(docs)
        assert (report.added, report.poor, report.failed) == (1, 1, 1)
        assert "was not described: nothing answers" in report.failures[0].reason
        found = {finding.uri: finding.cure for finding in base.diagnose()}
    assert "vision model" in found["a.docx"]
    assert found["wordless.png"] == "`kbqa retry` once the vision model answers"
    explain(report)
    assert "read poorly: 1; `kbqa doctor`" in capsys.readouterr().err


def test_what_has_no_pictures_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Text.", "utf-8")
    plain = loaded(tmp_path / "a.md")
    gone = replace(loaded(word_file(tmp_path / "a.docx", photo(tmp_path / "1.png"))))
    (tmp_path / "a.docx").write_bytes(b"changed meanwhile")
    member = replace(plain, container="a.zip")
    other = Failure("b.png", "is damaged", str(tmp_path / "b.png"))
    lost = Failure("c.png", NO_TEXT, str(tmp_path / "c.png"))
    items: list[Item] = [plain, gone, member, other, lost]
    assert list(Describer(Seeing(), tmp_path).described(items, lambda document: [])) == items


def test_only_a_model_that_sees_may_describe() -> None:
    for spec in ("extractive", "hf:some/model", "deepseek:deepseek-chat"):
        with pytest.raises(BadRequest, match=rf"describe_images '{spec}' takes no images"):
            describer_of(spec, load_settings())


def test_a_folder_of_pictures_answers(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    photo(docs / "valve.png")
    with ScriptedServer(lambda messages: "A red valve on the main line.") as server:
        settings = load_settings(
            describe_images="openai:m", base_url=server.base_url, cache_dir=tmp_path, workers=1
        )
        with KnowledgeBase.open(
            tmp_path / "kb", embedder=HashEmbedder(), settings=settings
        ) as base:
            report = base.ingest(docs)
            assert (report.added, report.failed) == (1, 0)
            assert base.ingest(docs).unchanged == 1
            answer = base.ask("What colour is the valve on the main line?")
            (row,) = base.documents()
    assert "A red valve on the main line." in answer.text
    assert answer.citations[0].verified
    assert row.quality["images_described"] == 1
    assert row.parser.startswith("image/")
    assert len(server.requests) == 1
