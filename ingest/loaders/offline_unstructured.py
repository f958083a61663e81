"""unstructured 0.27 without network and without noise.

Left alone it (a) downloads spaCy's en_core_web_sm from a code host the first time it classifies a
paragraph, (b) pings its maker on import and on every call, (c) prints an advertisement, (d) detects
languages that nobody asked for, (e) writes warnings to the root logger, which prints them.
Classification only tells narrative text from other text, which the canonical text does not need:
a blank pipeline with a sentence splitter does, on every machine the same.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType, SimpleNamespace
from typing import Any

_import_lock = Lock()
_quiet = logging.getLogger("ingest.unstructured")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def docx_elements(package: bytes) -> list[Any]:
    """The elements of a .docx file, in reading order. Raises whatever unstructured raises."""
    elements: list[Any] = _docx_module().partition_docx(file=io.BytesIO(package), languages=[""])
    return elements


def elements(data: bytes, suffix: str) -> list[Any]:
    """The elements of a file whose name ends in `suffix`, for comparisons (bench/extractors.py).

    Some of its parsers start pandoc or LibreOffice; raises whatever unstructured raises.
    """
    _docx_module()
    module = import_module(f"unstructured.partition.{_PARTITIONERS.get(suffix, suffix)}")
    partition = getattr(module, f"partition_{_PARTITIONERS.get(suffix, suffix)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[Any] = partition(file=io.BytesIO(data), languages=[""])
    return found


_PARTITIONERS = {"eml": "email", "xlsm": "xlsx", "xls": "xlsx"}


@cache
def _docx_module() -> ModuleType:
    with _import_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in what it imports are not the user's
        _opt_out()
        from unstructured.nlp import tokenize
        from unstructured.partition import docx

        tokenize._load_spacy_model = _blank_english
        vars(docx)["logging"] = SimpleNamespace(warning=_quiet.warning)
        return docx


def _opt_out() -> None:
    """unstructured reads these on import and at each call; they bind no one else's behaviour."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("SCARF_NO_ANALYTICS", "true")
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"


def _blank_english() -> Any:
    import spacy

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    return pipeline
