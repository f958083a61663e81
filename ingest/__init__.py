"""Files into documents and chunks, and a folder into changes. Imports nothing of ours.

`load` reads a file, `split` cuts it, `sync_folder` brings a `Sink` of your own in line with a
folder; `register` (or an entry point `kbqa.loaders`) adds a loader.
"""

from ingest.chunking import split
from ingest.documents import Chunk, Document, Failure, Prepared, Record
from ingest.errors import KbqaError, LoadError, Unsupported
from ingest.foreign import adopted
from ingest.loaders import load, load_bytes, register
from ingest.pipeline import prepare
from ingest.planning import Plan, plan
from ingest.sync import Sink, SyncReport, apply, sync_folder

__all__ = [
    "Chunk",
    "Document",
    "Failure",
    "KbqaError",
    "LoadError",
    "Plan",
    "Prepared",
    "Record",
    "Sink",
    "SyncReport",
    "Unsupported",
    "adopted",
    "apply",
    "load",
    "load_bytes",
    "plan",
    "prepare",
    "register",
    "split",
    "sync_folder",
]
