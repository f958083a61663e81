"""Files into documents and chunks, and a folder into changes. Imports nothing of ours.

`load` reads a file, `split` cuts it, `sync_folder` brings a `Sink` of your own in line with a
folder; `register` (or an entry point `kbqa.loaders`) adds a loader.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "chunking": ("split",),
    "documents": ("Chunk", "Document", "Failure", "Prepared", "Record"),
    "errors": ("KbqaError", "LoadError", "Unsupported"),
    "foreign": ("adopted",),
    "loaders": ("load", "load_bytes", "register"),
    "pipeline": ("prepare",),
    "planning": ("Plan", "plan"),
    "sync": ("Sink", "SyncReport", "apply", "sync_folder"),
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a worker process, of which there are many, needs the loaders."""
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"ingest.{module}"), name)
    raise AttributeError(f"module 'ingest' has no attribute '{name}'")
