"""Word documents keep the contract of loaders."""

from __future__ import annotations

from ingest.loaders.media_types import DOCX
from tests.contracts.loader_contract import LoaderContract

from .builders import word_document


class TestDocx(LoaderContract):
    name, media_type = "folder/pump.docx", DOCX

    def sample(self) -> bytes:
        return word_document()
