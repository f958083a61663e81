from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ingest.errors import BadRequest
from qa.images import MAX_BYTES, Image, images_of, in_words, with_text
from qa.knowledge_base import KnowledgeBase
from qa.plugins.read_images import LOOKED_UP, read_images
from qa.settings import load_settings
from qa.turn import Turn
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.qa.conftest import OpenLibrary
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.integration

SCREEN = Image("screen.png", "image/png", b"PNG", "Alarm E-17")


def drawn(words: str = "", size: tuple[int, int] = (900, 120), kind: str = "PNG") -> bytes:
    """A picture with words on white."""
    picture = Pillow.new("RGB", size, "white")
    ImageDraw.Draw(picture).text((20, 30), words, "black", font=ImageFont.load_default(size=48))
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def decoded(image: Image) -> Pillow.Image:
    return Pillow.open(io.BytesIO(image.data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_every_kind_is_sent_as_one_that_models_take(kind: str) -> None:
    (image,) = images_of([drawn(kind=kind)])
    assert (image.name, image.media_type) == ("image 1", "image/png")
    assert decoded(image).size == (900, 120)
    assert image.url.startswith("data:image/png;base64,iVBOR")


def test_a_large_picture_is_made_smaller_and_a_photo_is_a_jpeg() -> None:
    noise = Pillow.effect_noise((2_100, 700), 90)
    file = io.BytesIO()
    noise.save(file, "PNG")
    (image,) = images_of([file.getvalue()])
    assert image.media_type == "image/jpeg"
    assert decoded(image).size == (2_000, 667)


def test_a_picture_is_sent_upright_and_without_what_the_file_says_of_it() -> None:
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera of Ann"  # turned to the right; maker
    file = io.BytesIO()
    Pillow.new("RGB", (800, 400), "white").save(file, "JPEG", exif=exif)
    (image,) = images_of([file.getvalue()])
    assert decoded(image).size == (400, 800)
    assert b"Ann" not in image.data


def test_a_file_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "图.png").write_bytes(drawn())
    assert [image.name for image in images_of([tmp_path / "图.png", SCREEN])] == [
        "图.png",
        "screen.png",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7\n", "is no image"),
        (b"only text", "is no image (text/plain)"),
        (b"", "is no image (empty)"),
        (drawn()[:60], "is damaged"),
        (b"\0" * (MAX_BYTES + 1), "larger than an image may be"),
    ],
)
def test_what_is_no_image_is_told(data: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=r"^image image 1 ") as caught:
        images_of([data])
    assert words in str(caught.value)


def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no such image: nowhere"):
        images_of(["nowhere.png"])
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadRequest, match=r"huge\.png is larger"):
        images_of([tmp_path / "huge.png"])
    with pytest.raises(BadRequest, match="9 images with one question; the limit is 8"):
        images_of([SCREEN] * 9)


def test_what_is_written_in_it_is_read() -> None:
    (image,) = images_of([drawn("Alarm E-17 open")])
    assert with_text(image).text == "Alarm E-17 open"
    blank = Image("blank.png", "image/png", drawn())
    assert with_text(blank) == blank


def test_small_print_of_a_long_picture_is_read_before_it_is_made_small() -> None:
    (image,) = images_of([drawn("Alarm E-17 open", size=(16_000, 120))])
    assert decoded(image).size == (2_000, 15)
    assert with_text(image).text == "Alarm E-17 open"


def test_words_for_who_cannot_see() -> None:
    assert (
        in_words("What?", [SCREEN, replace(SCREEN, text="")]) == "What?\n\nscreen.png:\nAlarm E-17"
    )


# --- the plugin ---


def through(turn: Turn) -> Turn:
    return read_images(turn, lambda turn: turn)


def test_a_question_without_images_is_left_alone() -> None:
    turn = Turn("What?")
    assert through(turn) is turn


def test_the_text_joins_what_is_looked_up() -> None:
    turn = through(Turn("What?", query="What then?", images=(SCREEN,)))
    assert (turn.question, turn.query) == ("What?", "What then? Alarm E-17")
    assert turn.notes == ("screen.png: the text in it was looked up with the question",)


def test_small_print_does_not_drown_the_question() -> None:
    turn = through(Turn("What?", images=(replace(SCREEN, text="fine print " * 200),)))
    assert len(turn.query) <= len("What? ") + LOOKED_UP


def test_a_picture_without_words_is_told() -> None:
    turn = through(Turn("What?", images=(Image("blank.png", "image/png", drawn()),)))
    assert (turn.query, turn.notes) == (
        "What?",
        ("blank.png: no text was found in it, so the search knows the question only",),
    )


# --- the whole way ---


def test_without_a_model_the_text_of_the_image_is_answered(kb: KnowledgeBase) -> None:
    answer = kb.ask("What does it mean?", images=[SCREEN])
    assert "the door is open" in answer.text
    assert answer.notes == ("screen.png: the text in it was looked up with the question",)


def test_a_model_sees_the_image(open_library: OpenLibrary) -> None:
    with ScriptedServer(lambda messages: "The door is open [1]") as server:
        base = open_library(model="openai:m", settings=load_settings(base_url=server.base_url))
        answer = base.ask("What does it mean?", images=[SCREEN])
    *_, last = server.requests[0].body["messages"]
    assert [part["type"] for part in last["content"]] == ["text", "image_url"]
    assert "Alarm E-17 means" in last["content"][0]["text"]  # found by the text in the image
    assert answer.citations[0].uri == "furnace.pdf"


def test_kbqa_ask_takes_images(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "screen.png"
    file.write_bytes(drawn("Alarm E-17"))
    ask = ("ask", "What does it mean?", "--kb", base_folder, "--image")
    done = kbqa(*ask, file, "--image", file)
    assert "the door is open" in done.out
    assert done.err.count("screen.png: the text in it was looked up with the question") == 2
    is_one_clear_line(kbqa(*ask, tmp_path / "nothing.png"), 2, "no such image")
