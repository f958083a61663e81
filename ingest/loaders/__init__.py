"""Files to documents: one module per family of formats, found by media type, imported when needed.

`load(path)` and `load_bytes(data, uri=...)` return a Document or raise LoadError with one line for
people. A loader of another format is registered with `register("media/type")`.
"""

from ingest.loaders.detection import (
    detect_media_type,
    promises_document,
    supported_suffixes,
)
from ingest.loaders.registry import Loader, Source, load, load_bytes, register

__all__ = [
    "Loader",
    "Source",
    "detect_media_type",
    "load",
    "load_bytes",
    "promises_document",
    "register",
    "supported_suffixes",
]
