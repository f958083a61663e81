"""Words of a PDF page that its reader cannot see: invisible, white on white, tiny, outside."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import pypdfium2

from ingest.loaders.pdf_pieces import Word
from ingest.loaders.pdf_raw import ADDRESS, address, direct

_SEEN, _UNSEEN, _PALE = 0, 1, 2
_INVISIBLE_MODES = (3, 7)  # PDF 1.7, table 106: neither fill nor stroke; only a clipping path
_PALE_FROM = 245  # of 255 in each colour: white to the eye on white paper
_SMALLEST = 1.0  # points; no printer sets, and no reader sees, such type
_MAX_SIDE = 1_500  # pixels of the rendering in which such words are looked for
_COLOUR = (ctypes.c_uint * 4)()  # filled by PDFium; used under the lock only
_COLOUR_PLACES = [ctypes.addressof(_COLOUR) + 4 * number for number in range(4)]
_CONTRAST = 12  # of 255 between darkest and brightest pixel: less is not seen


@dataclass(frozen=True, slots=True)
class Concealed:
    """For each word whether it is hidden, and how many invisible characters lie on something seen.

    Those (`on_ink`) are what OCR wrote over a scan, or a browser over letters drawn as curves.
    """

    hidden: list[bool]
    on_ink: int = 0


def concealed_words(
    page: pypdfium2.PdfPage, textpage: pypdfium2.PdfTextPage, words: Sequence[Word]
) -> Concealed:
    """Which words nobody sees. Words that may be seen nevertheless are looked at in pixels."""
    looks: dict[int, int] = {}
    found = [_look(handle, looks) for handle in _objects(textpage, words)]
    hidden = _out_of_sight(page, words)
    doubtful = [number for number, look in enumerate(found) if look and not hidden[number]]
    on_ink = 0
    if doubtful:
        shown = [
            w for w, look, gone in zip(words, found, hidden, strict=True) if not look and not gone
        ]
        inked = _inked(page, [words[number] for number in doubtful])
        for number, ink in zip(doubtful, inked, strict=True):
            unseen = found[number] == _UNSEEN
            covered = unseen and any(_overlap(words[number], other) for other in shown)
            hidden[number] = not ink or covered
            on_ink += len(words[number].text) if unseen and not hidden[number] else 0
    return Concealed(hidden, on_ink)


def _out_of_sight(page: pypdfium2.PdfPage, words: Sequence[Word]) -> list[bool]:
    """Whether each word is outside of the page, or tiny."""
    left, bottom, right, top = page.get_bbox()
    left, bottom, right, top = 2 * left - 2, 2 * bottom - 2, 2 * right + 2, 2 * top + 2
    hidden = []
    for word in words:
        low, high = word.bottom, word.top
        if left <= word.left + word.right <= right and bottom <= low + high <= top:
            thick = word.right - word.left if word.direction % 2 else high - low
            hidden.append(0 < thick < _SMALLEST)
        else:
            hidden.append(True)
    return hidden


def _overlap(one: Word, two: Word) -> bool:
    """Whether the middle of one word lies in the other: the ink there is that of the other."""
    x, y = (one.left + one.right) / 2, (one.bottom + one.top) / 2
    return two.left <= x <= two.right and two.bottom <= y <= two.top


def _objects(textpage: pypdfium2.PdfTextPage, words: Sequence[Word]) -> Iterator[int | None]:
    """Where the object that draws each word is."""
    object_of = direct("FPDFText_GetTextObject", ADDRESS, ADDRESS, ctypes.c_int)
    return map(object_of, repeat(address(textpage.raw)), [word.start for word in words])


def _look(handle: int | None, looks: dict[int, int]) -> int:
    if not handle:
        return _SEEN
    look = looks.get(handle)
    if look is None:
        look = looks[handle] = _look_of(handle)
    return look


def _look_of(handle: int) -> int:
    mode_of = direct("FPDFTextObj_GetTextRenderMode", ctypes.c_int, ADDRESS)
    colour_of = direct("FPDFPageObj_GetFillColor", ctypes.c_int, *[ADDRESS] * 5)
    if mode_of(handle) in _INVISIBLE_MODES:
        return _UNSEEN
    if not colour_of(handle, *_COLOUR_PLACES):
        return _SEEN
    red, green, blue, alpha = _COLOUR
    if alpha <= 5:
        return _UNSEEN
    return _PALE if min(red, green, blue) >= _PALE_FROM else _SEEN


def _inked(page: pypdfium2.PdfPage, words: Sequence[Word]) -> list[bool]:
    """Whether the pixels at each word differ from each other."""
    width, height = page.get_size()
    scale = min(1.0, _MAX_SIDE / max(width, height, 1.0))
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        pixels = bitmap.to_numpy()
        place = bitmap.get_posconv(page)
        seen = []
        for word in words:
            one = place.to_bitmap(word.left, word.bottom)
            two = place.to_bitmap(word.right, word.top)
            (x, right), (y, bottom) = sorted((one[0], two[0])), sorted((one[1], two[1]))
            part = pixels[max(y, 0) : bottom + 1, max(x, 0) : right + 1]
            seen.append(bool(part.size) and int(part.max()) - int(part.min()) >= _CONTRAST)
        return seen
    finally:
        bitmap.close()
