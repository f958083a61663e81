"""Compound files (OLE), in which .doc, .ppt and .msg keep their streams; and kreuzberg for them."""

from __future__ import annotations

import io
from typing import Any

from ingest.errors import LoadError
from ingest.loaders.extractors import no_panic
from ingest.loaders.office_zip import OLE

_MAX_STREAM = 200_000_000
_EXTRACTED = "EncryptedPackage"


class OleFile:
    """The streams of a compound file, by path (`a/b`). Use it as a context manager."""

    def __init__(self, data: bytes, uri: str) -> None:
        """Raises LoadError: damaged, encrypted."""
        import olefile  # type: ignore[import-untyped]

        if not data.startswith(OLE):
            raise LoadError(uri, "is damaged: no compound file inside")
        try:
            self._file: Any = olefile.OleFileIO(
                io.BytesIO(data), raise_defects=olefile.DEFECT_FATAL
            )
            self.names = {"/".join(path): path for path in self._file.listdir()}
        except Exception as exc:
            raise LoadError(uri, "is damaged: its compound file is broken") from exc
        if _EXTRACTED in self.names:
            self._file.close()
            raise LoadError(uri, "is password protected")

    def __enter__(self) -> OleFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, name: str) -> bytes:
        """The bytes of a stream; b"" where it is missing or broken."""
        if name not in self.names:
            return b""
        try:
            with self._file.openstream(self.names[name]) as stream:
                return bytes(stream.read(_MAX_STREAM))
        except Exception:  # noqa: BLE001 - a broken stream is a missing one
            return b""

    def title(self) -> str:
        """What the properties call it."""
        try:
            raw = self._file.get_metadata().title
        except Exception:  # noqa: BLE001 - titles are optional
            return ""
        if isinstance(raw, bytes):
            from ingest.loaders.encoding import NotText, decode

            try:
                return decode(raw).text.strip() if raw.strip(b"\0 ") else ""
            except NotText:
                return ""
        return str(raw or "")


def kreuzberg_markdown(data: bytes, media_type: str, uri: str) -> str:
    """The text that kreuzberg finds, as Markdown. No cache, no OCR, no chunks, no languages.

    Raises LoadError where it fails, panics included.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False, enable_quality_processing=False, output_format="markdown",
        ocr=None, chunking=None, images=None, language_detection=None, keywords=None,
        extraction_timeout_secs=40,
    )  # fmt: skip
    with no_panic(uri):
        try:
            found = kreuzberg.extract_bytes_sync(data, media_type, config=config)
        except Exception as exc:
            reason = " ".join(str(exc).split())[:120]
            raise LoadError(uri, f"cannot be read: {reason}") from exc
    return str(found.content)
