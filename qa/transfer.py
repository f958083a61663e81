"""A knowledge base as one file: for backups, for another machine, for another version of kbqa.

The file is a ZIP with the points of the base (see `retrieval.transfer`), its own prompts, and
`manifest.json`, which says what made it and holds a checksum of everything else. An import trusts
nothing in it: all is checked before the first point is written, and the base is built beside the
place where it is to lie, which it takes once it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest.errors import BadRequest, StorageError
from qa.opening import open_base
from qa.prompting import FOLDER, NAMES
from qa.settings import Settings, is_url, kb_folder
from retrieval.edge_folders import require_ours, take_place
from retrieval.edge_store import EdgeStore
from retrieval.embedding import DEFAULT_EMBEDDER
from retrieval.points import FORMAT, Base
from retrieval.reembedding import Fingerprint
from retrieval.store import Store
from retrieval.transfer import Amount, check_files, read_points, write_points

MANIFEST = "manifest.json"
FILE_FORMAT = 1
MAX_MANIFEST, MAX_PROMPT = 1_000_000, 200_000  # bytes


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a file holds: documents' passages among its points; its size in bytes."""

    points: int
    chunks: int
    size: int


def export_base(store: Store, base: Base, folder: Path | None, target: Path) -> Transferred:
    """Write the base to the file `target`, which is there whole or not at all.

    `folder`: where its prompts are. Nobody may write to the base meanwhile. Raises BadRequest if
    `target` exists, StorageError if it cannot be written.
    """
    if target.exists():
        raise BadRequest(f"{target} exists already: name another file")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _storage(target):
            with (
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
                tempfile.TemporaryFile(dir=target.parent) as spool,
            ):
                said = write_points(store, archive, spool)
                said["files"] |= dict(_put_prompts(folder, archive))
                archive.writestr(MANIFEST, json.dumps({**_origin(base), **said}, indent=1))
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, target)
        return Transferred(said["points"], said["chunks"], target.stat().st_size)
    finally:
        temporary.unlink(missing_ok=True)


def import_base(source: Path, settings: Settings, *, replace: bool = False) -> Transferred:
    """Make the base `settings.kb` out of a file. `replace`: in the place of one that is there.

    Raises BadRequest for a file that is none, is damaged, or comes from a newer kbqa or another
    model; for a base that is there, a folder that holds other things, a base on a server. Locked,
    StorageError.
    """
    if is_url(settings.kb):
        raise BadRequest("a file is imported into a folder; name the base with --kb NAME")
    target = kb_folder(settings.kb, settings)
    if target.is_file():
        raise BadRequest(f"{target} is a file; a knowledge base is a folder")
    if target.exists():
        require_ours(target)
    if EdgeStore.exists(target) and not replace:
        raise BadRequest(
            f"there is a knowledge base at {target} already: --replace takes its place"
        )
    with _opened(source) as archive:
        said = _manifest(archive)
        base = Base(**said["base"])
        check_files(archive, said["files"])
        _check_model(base, settings)
        beside = target.with_name(f".{target.name}.importing-{os.getpid()}")
        try:
            with _storage(target):
                amount = _build(archive, said, base, beside, settings)
                take_place(beside, target, lock_timeout=settings.lock_timeout)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Transferred(amount.points, amount.chunks, source.stat().st_size)


def amount_in(file: Path) -> Transferred:
    """What a file says that it holds. Raises BadRequest for one that is none, or damaged."""
    with _opened(file) as archive:
        said = _manifest(archive)
    return Transferred(said["points"], said["chunks"], file.stat().st_size)


# --- out ---


def _origin(base: Base) -> dict[str, Any]:
    return {
        "file_format": FILE_FORMAT,
        "kbqa": version("kbqa"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "base": asdict(base),
    }


def _put_prompts(folder: Path | None, archive: zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
    for name in NAMES if folder is not None else ():
        assert folder is not None
        file = folder / FOLDER / name
        if file.is_file():
            content = file.read_bytes()
            archive.writestr(f"{FOLDER}/{name}", content)
            digest = hashlib.sha256(content).hexdigest()
            yield f"{FOLDER}/{name}", {"size": len(content), "sha256": digest}


# --- in ---


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except FileNotFoundError as exc:
        if exc.filename is not None and Path(exc.filename) != source:
            raise
        raise BadRequest(f"no such file: {source}") from exc
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as exc:
        raise BadRequest(f"{source} is damaged, or not what `kbqa export` writes: {exc}") from exc
    except BadRequest as exc:
        raise BadRequest(f"{source}: {exc}") from exc


def _manifest(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    """What the file says of itself, so far as it can be relied on."""
    try:
        if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
            raise ValueError("too long")
        said = json.loads(archive.read(MANIFEST))
        newer = said["file_format"] > FILE_FORMAT or said["base"]["format"] > FORMAT
        known = {"points.jsonl", "vectors.f32", *(f"{FOLDER}/{name}" for name in NAMES)}
        base = Base(**said["base"])
        sound = (
            set(said["files"]) <= known
            and all(isinstance(file["size"], int) for file in said["files"].values())
            and all(isinstance(file["sha256"], str) for file in said["files"].values())
            and all(isinstance(said[name], int) for name in ("points", "chunks"))
            and isinstance(base.embedder, str)
            and isinstance(base.dimension, int)
            and 0 < base.dimension <= 65_536
            and {"points.jsonl", "vectors.f32"} <= set(said["files"])
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise BadRequest("it has no manifest that can be understood") from exc
    if newer:
        raise BadRequest(f"it was written by a newer kbqa ({said.get('kbqa')}): upgrade kbqa")
    if not sound:
        raise BadRequest("its manifest does not fit what it holds")
    return dict(said)


def _check_model(base: Base, settings: Settings) -> None:
    """The default embedder is always here; any other tells at its first use that it is not."""
    if base.embedder != DEFAULT_EMBEDDER:
        return
    from retrieval.minilm import HIDDEN, WEIGHTS_SHA256

    ours = Fingerprint(DEFAULT_EMBEDDER, WEIGHTS_SHA256, HIDDEN)
    if (base.fingerprint and base.fingerprint != ours.tag) or base.dimension != HIDDEN:
        raise BadRequest("its vectors are those of another model than the embedder 'minilm' here")


def _build(
    archive: zipfile.ZipFile,
    said: Mapping[str, Any],
    base: Base,
    folder: Path,
    settings: Settings,
) -> Amount:
    store = EdgeStore(folder, dimension=base.dimension, lock_timeout=settings.lock_timeout)
    try:
        amount = read_points(archive, base.dimension, store)
    finally:
        store.close()
    if (amount.points, amount.chunks) != (said["points"], said["chunks"]):
        raise BadRequest("it does not hold as many points as it says")
    for name in said["files"]:
        if name.startswith(f"{FOLDER}/") and said["files"][name]["size"] <= MAX_PROMPT:
            (folder / FOLDER).mkdir(exist_ok=True)
            (folder / name).write_bytes(archive.read(name))
    opened = open_base(folder, None, settings, create=False)  # does it say what it is?
    opened.store.close()
    return amount


@contextlib.contextmanager
def _storage(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"cannot write {target}: {exc.strerror or exc}") from exc
