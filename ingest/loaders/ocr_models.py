"""The two networks that ocr.py reads with, on OpenVINO: where lines stand, and what a line says.

rapidocr brings the networks and the geometry between them. Its own sessions are not used: they read
lines at one height, six at a time, filled up to the longest; that takes twice the memory. A network
is compiled once, for any width: compiling for each width costs half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.openvino_import import import_openvino

Pixels = NDArray[np.uint8]
"""Height x width x 3, or height x width."""

_HEIGHTS = (40, 48)  # of lines that are read; the network was made for the last, 33 would do
_DETECTION_SIDE = 1_024  # pixels of the longer side that lines are looked for in
_DETECTION_STEP = 32  # what its sides are multiples of
_MAX_LINES = 1_000  # of a picture
_FLAT = 8  # times as wide as high: then lines are found only with room above and below
_FLAT_HEIGHT = 30
_WIDTH_STEP = 32  # of the picture of a line: few widths, little filling
_MAX_WIDTH = 8_000
_THREADS = 2
_KEPT_SHAPES = 1_000  # steps of a network times sizes, about 10 of these: all take 100 MB more

Floats = NDArray[np.float32]


def lines_in(pixels: Pixels) -> tuple[list[Floats], list[Pixels]]:
    """Boxes (four corners each, from the upper left) from top to bottom, and their pictures."""
    from rapidocr.ch_ppocr_det.main import TextDetector
    from rapidocr.utils.process_img import apply_vertical_padding, get_rotate_crop_image

    room: dict[str, Any] = {}
    padded, room = apply_vertical_padding(pixels, room, _FLAT, _FLAT_HEIGHT)
    heat = _inferred("det", _for_detection(padded))
    boxes, _ = _outlines()(heat, padded.shape[:2])
    if not len(boxes):
        return [], []
    boxes = TextDetector.sorted_boxes(boxes)
    crops = [get_rotate_crop_image(padded, box.copy()) for box in boxes]
    above = room["padding_1"]["top"]
    return [box - np.array((0, above), np.float32) for box in boxes], crops


def line_text(crop: Pixels, height: int) -> tuple[str, float]:
    """The text of the picture of a line, and how surely, read at a height of 40 to 48 pixels."""
    chances = _inferred("rec", _for_recognition(crop, height))[0]
    best = chances.argmax(axis=1)
    changes = np.concatenate(([True], best[1:] != best[:-1]))
    kept = (best != 0) & changes  # 0 stands between letters
    if not kept.any():
        return "", 0.0
    letters = _letters()
    text = "".join(letters[number] for number in best[kept])
    return text, float(chances[kept, best[kept]].mean())


def _for_detection(pixels: Pixels) -> Floats:
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, _DETECTION_SIDE / max(height, width))
    step = _DETECTION_STEP
    sides = [max(round(int(side * scale) / step), 1) * step for side in (width, height)]
    return _as_input(cv2.resize(pixels, sides), sides[0])


def _for_recognition(crop: Pixels, height: int) -> Floats:
    import cv2

    width = min(max(-(-crop.shape[1] * height // crop.shape[0]), 8), _MAX_WIDTH)
    small = height < crop.shape[0]
    resized = cv2.resize(
        crop, (width, height), interpolation=cv2.INTER_AREA if small else cv2.INTER_LINEAR
    )
    return _as_input(resized, -(-width // _WIDTH_STEP) * _WIDTH_STEP)


def _as_input(pixels: Any, width: int) -> Floats:
    """Colours from -1 to 1, filled up with grey at the right."""
    filled = np.zeros((1, 3, pixels.shape[0], width), np.float32)
    filled[0, :, :, : pixels.shape[1]] = pixels.transpose(2, 0, 1)
    filled[0, :, :, : pixels.shape[1]] /= 127.5
    filled[0, :, :, : pixels.shape[1]] -= 1.0
    return filled


def _inferred(name: str, values: Floats) -> Any:
    request = _network(name)
    request.infer([values], share_inputs=True)
    return request.get_output_tensor(0).data


@cache
def _network(name: str) -> Any:
    """An infer request of the network "det" or "rec", for pictures of many sizes."""
    model = _model(name)
    model.reshape([1, 3, _HEIGHTS if name == "rec" else -1, -1])
    options = {
        "INFERENCE_NUM_THREADS": _THREADS,
        "PERFORMANCE_HINT": "LATENCY",
        "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES,
    }
    return _core().compile_model(model, "CPU", options).create_infer_request()


@cache
def _core() -> Any:
    return import_openvino().Core()


def _model(kind: str) -> Any:
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    return _core().read_model(next(iter(sorted(folder.glob(f"*_{kind}_small.onnx")))))


@cache
def _letters() -> Sequence[str]:
    """What the numbers that recognition gives stand for."""
    known = _model("rec").get_rt_info()["framework"]["character"].value
    return ["", *known.splitlines(), " "]


@cache
def _outlines() -> Any:
    from rapidocr.ch_ppocr_det.utils import DBPostProcess

    return DBPostProcess(
        thresh=0.3,
        box_thresh=0.5,
        max_candidates=_MAX_LINES,
        unclip_ratio=1.6,
        use_dilation=True,
        score_mode="fast",
    )
