"""Answers from documents, each statement tied to its passage.

>>> from qa import KnowledgeBase
>>> with KnowledgeBase.open("handbook") as kb:
...     kb.ingest("docs/")
...     print(kb.ask("How many days of leave do I have?").text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.documents import Chunk, Document
    from ingest.errors import KbqaError
    from ingest.sync import SyncReport
    from qa.knowledge_base import KnowledgeBase
    from qa.parts import Parts, WithParts
    from qa.turn import Answer, Citation, Handler, Message, Plugin, Statement, Turn
    from retrieval.hits import Hit

__all__ = [
    "Answer",
    "Chunk",
    "Citation",
    "Document",
    "Handler",
    "Hit",
    "KbqaError",
    "KnowledgeBase",
    "Message",
    "Parts",
    "Plugin",
    "Statement",
    "SyncReport",
    "Turn",
    "WithParts",
]

_MODULES = {
    "ingest.documents": ("Chunk", "Document"),
    "ingest.errors": ("KbqaError",),
    "ingest.sync": ("SyncReport",),
    "qa.knowledge_base": ("KnowledgeBase",),
    "qa.parts": ("Parts", "WithParts"),
    "qa.turn": ("Answer", "Citation", "Handler", "Message", "Plugin", "Statement", "Turn"),
    "retrieval.hits": ("Hit",),
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: `kbqa --help` needs none of it."""
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'qa' has no attribute '{name}'")
