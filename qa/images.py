"""Images that come with a question: looked at, made small enough to be sent, read.

What is sent is decoded and encoded again: upright, at most 2,000 pixels wide and high, without the
file's metadata (where a phone notes the place).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import BadRequest, LoadError

if TYPE_CHECKING:
    from ingest.loaders import Source

MAX_IMAGES = 8  # with one question
MAX_BYTES = 30_000_000  # of a file; what is sent is far smaller
OCR_SECONDS = 10.0
_PNG_BYTES = 1_000_000  # screenshots stay sharp below this; photos would be larger, and go as JPEG
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model: `data` of `media_type`, and the `text` that was read in it.

    `file` are the bytes that it was made of, for OCR: what is small in a long picture, and further
    pages, are lost in `data`. b"": as `data`.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)
    text: str = ""
    file: bytes = field(default=b"", repr=False, compare=False)

    @property
    def url(self) -> str:
        """The picture as a `data:` URL."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


Pictured = str | os.PathLike[str] | bytes | Image


def images_of(given: Sequence[Pictured]) -> tuple[Image, ...]:
    """Files, or the bytes of some, as images. Raises BadRequest for what is none."""
    if len(given) > MAX_IMAGES:
        raise BadRequest(f"{len(given)} images with one question; the limit is {MAX_IMAGES}")
    return tuple(_image(one, number) for number, one in enumerate(given, 1))


def with_text(image: Image) -> Image:
    """The image with what is written in it, by OCR; as it is where that is known already."""
    if image.text:
        return image
    from ingest.loaders.image import load_image

    try:
        source = _source(image.name, image.file or image.data)
        document = load_image(source, ocr_seconds=OCR_SECONDS)
    except LoadError:  # nothing is written in it
        return image
    return replace(image, text=document.text.strip())


def in_words(text: str, images: Sequence[Image]) -> str:
    """`text` with what is written in the images after it: for who cannot see them."""
    return "\n\n".join([text, *(f"{image.name}:\n{image.text}" for image in images if image.text)])


def _image(given: Pictured, number: int) -> Image:
    if isinstance(given, Image):
        return given
    if isinstance(given, bytes):
        return sendable(f"image {number}", given)
    return sendable(Path(given).name, _file(Path(os.path.expanduser(given))))


def _file(path: Path) -> bytes:
    if not path.is_file():
        raise BadRequest(f"no such image: {path}")
    if path.stat().st_size > MAX_BYTES:
        raise BadRequest(f"{path} is larger than an image may be ({MAX_BYTES:,} bytes)")
    return path.read_bytes()


def sendable(name: str, data: bytes) -> Image:
    """The picture in a file's bytes as it can be sent. Raises BadRequest for what is none."""
    from PIL import Image as Pillow

    from ingest.loaders.image import picture

    try:
        source = _source(name, data)
        pixels = picture(source)
    except LoadError as exc:
        raise BadRequest(f"image {name} {exc.reason}") from exc
    upright = Pillow.fromarray(pixels)
    png, jpeg = io.BytesIO(), io.BytesIO()
    upright.save(png, "PNG")
    if png.tell() <= _PNG_BYTES:
        return Image(name, "image/png", png.getvalue(), file=data)
    upright.save(jpeg, "JPEG", quality=_QUALITY)
    return Image(name, "image/jpeg", jpeg.getvalue(), file=data)


def _source(name: str, data: bytes) -> Source:
    """Raises LoadError for bytes that are of no image, or too many."""
    from ingest.loaders import Source, detect_media_type
    from ingest.loaders.media_types import IMAGES

    if len(data) > MAX_BYTES:
        raise LoadError(name, f"is larger than an image may be ({MAX_BYTES:,} bytes)")
    media_type = detect_media_type(data, name) if data else "empty"
    if media_type not in IMAGES:
        raise LoadError(name, f"is no image ({media_type})")
    return Source(name, data, media_type, hashlib.sha256(data).hexdigest())
