"""Which shard of an embedded base counts: a small file that is replaced in one step.

FOLDER/current.json   {"current": TAG, "previous": TAG or null}; not there: "" counts
FOLDER/shard          the version "", as every base begins
FOLDER/shard-TAG      another version
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.errors import StorageError

FILE = "current.json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """The version that counts and the one before it."""

    current: str = ""
    previous: str | None = None


def read_pointer(folder: Path) -> Pointer:
    """What the base in `folder` says. Raises StorageError if it cannot be understood."""
    file = folder / FILE
    try:
        said = json.loads(file.read_text("utf-8"))
        pointer = Pointer(said["current"], said["previous"])
    except FileNotFoundError:
        return Pointer()
    except NotADirectoryError:
        return Pointer()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise StorageError(
            f"{file} is damaged; it should say which shard counts: "
            f'{{"current": "", "previous": null}} is the folder shard, one of {_shards(folder)}'
        ) from exc
    return pointer


def write_pointer(folder: Path, pointer: Pointer) -> None:
    """Replace the record, durable on return."""
    temporary = folder / f"{FILE}.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(pointer), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / FILE)


def shard_folder(folder: Path, tag: str) -> Path:
    """Where a version lies."""
    return folder / (f"shard-{tag}" if tag else "shard")


def tags_in(folder: Path) -> list[str]:
    """The versions in a folder, finished or not."""
    return [name.partition("-")[2] for name in _shards(folder)]


def _shards(folder: Path) -> list[str]:
    found = (path.name for path in folder.iterdir() if path.is_dir())
    return sorted(name for name in found if name == "shard" or name.startswith("shard-"))
