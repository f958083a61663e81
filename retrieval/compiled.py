"""Graphs as OpenVINO has compiled them, kept beside the graph: compiling takes a process .2 s, what
was compiled is there in .06 s.

OpenVINO keeps them by model, version, processor and options, and compiles anew what it cannot read.
It takes a changed byte for a weight, however: so each is kept with its hash.

    FOLDER/compiled/*.blob, hashes.json
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_HASHES = "hashes.json"


def with_compiled(folder: Path, compile_: Callable[[Mapping[str, str]], Any]) -> Any:
    """What `compile_` makes with options for OpenVINO under which it keeps in `folder` what it
    compiles. Without, where that cannot be written. Raises what `compile_` raises."""
    kept = folder / "compiled"
    try:
        kept.mkdir(exist_ok=True)
        noted = _noted(kept)
        for blob in _blobs(kept):
            if noted.get(blob.name) != _hash(blob):
                blob.unlink()
    except OSError:
        return compile_({})
    try:
        made = compile_({"CACHE_DIR": str(kept), "CACHE_MODE": "OPTIMIZE_SIZE"})
    except RuntimeError:  # a full disk, say
        return compile_({})
    with suppress(OSError):
        _note(kept, noted)
    return made


def _blobs(kept: Path) -> list[Path]:
    return sorted(kept.glob("*.blob"))


def _noted(kept: Path) -> dict[str, str]:
    try:
        said = json.loads((kept / _HASHES).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _note(kept: Path, noted: Mapping[str, str]) -> None:
    """Another process may be at it: what it has not noted, the next one compiles again."""
    hashes = {blob.name: _hash(blob) for blob in _blobs(kept)}
    if hashes == noted:
        return
    temporary = kept / f"{_HASHES}-{os.getpid()}"
    temporary.write_text(json.dumps(hashes), "utf-8")
    temporary.replace(kept / _HASHES)


def _hash(blob: Path) -> str:
    return hashlib.sha256(blob.read_bytes()).hexdigest()
