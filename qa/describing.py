"""Images inside documents, described by a vision model while a folder is ingested; off by default.

Covered: image files, and the pictures in Word, PowerPoint and OpenDocument files; not those in PDFs
and in members of archives. A description is text of the document, says that it is one, and has a
mark of the kind `image`. It is kept by the picture's hash, so that reading a file again costs
nothing. A model that fails costs descriptions and nothing else: among the document's figures,
`images_undescribed` counts what is missing and `images_error` says why. A server that does not
answer is asked no more in that run.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from ingest.documents import Chunk, Document, Failure, Mark, Page, Prepared, Scalar
from ingest.errors import BadRequest, KbqaError, Unreachable
from ingest.loaders import detect_media_type
from ingest.loaders.image import NO_TEXT
from ingest.loaders.media_types import DOCX, IMAGES, ODP, ODS, ODT, PPTX
from ingest.sync import Item
from qa.images import MAX_BYTES, Image, sendable
from qa.insertions import inserted
from qa.language import Language, language_of
from qa.models import ChatModel
from qa.turn import Message

MAX_DESCRIBED = 50  # pictures of one document
_SMALLEST = 2_000  # bytes; below are bullets, rules and logos
_PACKAGES = {DOCX, PPTX, ODT, ODP, ODS}
_ASKS = {
    "en": "Describe this image for someone who searches for it and cannot see it: what it shows, "
    "every name, label and number in it, and what a diagram or chart says. At most six sentences, "
    "no introduction.",
    "zh": "请为看不到这张图片、但要检索它的人描述它：画面内容，图中所有的名称、标签和数字，"
    "以及图表所表达的意思。最多六句话，不要开场白。",
}
_SAYS = {
    "en": "[Image {name}, described by {model}: {text}]",
    "zh": "[图片 {name}，由 {model} 描述：{text}]",
}
_UNREADABLE = (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)

Split = Callable[[Document], list[Chunk]]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a document, and the offset after which its description goes."""

    image: Image
    after: int


class Describer:
    """Describes images with `model`; what it said is kept in `folder`."""

    def __init__(self, model: ChatModel, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._error = ""  # of a server that does not answer

    def described(self, items: Iterable[Item], split: Split) -> Iterator[Item]:
        """The items of an ingest; documents with pictures get descriptions of these."""
        self._error = ""
        for item in items:
            if isinstance(item, Prepared):
                yield self._document(item, split)
            elif isinstance(item, Failure) and item.reason == NO_TEXT and not item.container:
                yield self._wordless(item, split)
            else:
                yield item

    def _document(self, item: Prepared, split: Split) -> Prepared:
        if item.entry is None or item.container:
            return item
        document = item.document
        found = pictures(document, Path(item.entry.path))
        if not found:
            return item
        additions, errors = [], []
        for picture in found:
            try:
                said = self._said(picture.image, language_of(document.text))
            except KbqaError as exc:
                errors.append(str(exc))
            else:
                additions.append((picture.after, f"\n\n{said}", f"{picture.image.name} described"))
        document = inserted(document, additions)
        figures = {**document.quality, **_figures(len(additions), errors)}
        document = replace(document, quality=figures)
        return replace(item, document=document, chunks=split(document))

    def _wordless(self, failure: Failure, split: Split) -> Item:
        """The document of a picture in which nothing is written; else the failure, with why."""
        name = failure.uri.rpartition("/")[2]
        try:
            data = Path(failure.path).read_bytes()
            text = self._said(sendable(name, data), language_of(name))
        except OSError:
            return failure
        except KbqaError as exc:
            return replace(failure, reason=f"{NO_TEXT}, and it was not described: {exc}")
        document = Document(
            failure.uri,
            hashlib.sha256(data).hexdigest(),
            text,
            title=name.rpartition(".")[0] or name,
            media_type=detect_media_type(data, name),
            pages=(Page(1, 0, len(text)),),
            quality=_figures(1, []),
            marks=(Mark("image", 0, len(text), f"{name} described"),),
        )
        return Prepared(document, split(document), failure.entry)

    def _said(self, image: Image, language: Language) -> str:
        """A picture in words that say whose they are. Raises what the model raises."""
        asked = _ASKS[language]
        key = repr((self._model.name, asked, hashlib.sha256(image.data).hexdigest()))
        kept = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.txt"
        if kept.is_file():
            told = kept.read_text("utf-8")
        else:
            told = self._asked(image, asked)
            _keep(kept, told)
        return _SAYS[language].format(name=image.name, model=self._model.name, text=told)

    def _asked(self, image: Image, asked: str) -> str:
        if self._error:
            raise Unreachable(self._error)
        try:
            reply = self._model.generate([Message("user", asked, (image,))])
        except BadRequest:  # of this picture
            raise
        except KbqaError as exc:
            self._error = str(exc)
            raise
        return " ".join(reply.text.split())


def pictures(document: Document, path: Path) -> list[Picture]:
    """The pictures of a file that can be had: itself, or the parts that its marks name."""
    try:
        found = (
            Picture(image, after)
            for name, after, data in _parts(document, path)
            if (image := _seen(name, data)) is not None
        )
        return list(islice(found, MAX_DESCRIBED))
    except _UNREADABLE:  # gone or changed since it was loaded
        return []


def _parts(document: Document, path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Name, place and bytes of each."""
    if document.media_type in IMAGES:
        yield path.name, len(document.text), path.read_bytes()
        return
    marks = [mark for mark in document.marks if mark.kind == "image"]
    if not marks or document.media_type not in _PACKAGES:
        return
    with zipfile.ZipFile(path) as package:
        sizes = {member.filename: member.file_size for member in package.infolist()}
        for mark in marks:
            part = unquote(mark.label)
            if _SMALLEST <= sizes.get(part, 0) <= MAX_BYTES:
                yield part.rpartition("/")[2], _end_of_block(document, mark), package.read(part)


def _seen(name: str, data: bytes) -> Image | None:
    """None for a drawing of a kind that is not known here, and for a damaged picture."""
    try:
        return sendable(name, data)
    except BadRequest:
        return None


def _end_of_block(document: Document, mark: Mark) -> int:
    """Where the paragraph or table ends that a picture stands in."""
    tables = [m.end for m in document.marks if m.kind == "table" and m.start <= mark.start < m.end]
    if tables:
        return max(tables)
    end = document.text.find("\n", mark.end)
    return end if end >= 0 else len(document.text)


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(text, "utf-8")
    new.replace(path)


def _figures(described: int, errors: Sequence[str]) -> dict[str, Scalar]:
    figures: dict[str, Scalar] = {}
    if described:
        figures["images_described"] = described
    if errors:
        figures |= {"images_undescribed": len(errors), "images_error": errors[0]}
    return figures
