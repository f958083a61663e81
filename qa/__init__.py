"""Answers from documents, each statement tied to its passage.

>>> from qa import KnowledgeBase
>>> with KnowledgeBase.open("handbook") as kb:
...     kb.ingest("docs/")
...     print(kb.ask("How many days of leave do I have?").text)
"""

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
