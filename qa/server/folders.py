"""The folders of the server that clients may have ingested. They know them by name only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ingest.errors import BadRequest
from qa.server.problems import Forbidden, NotFound


class Folders:
    """The folders that the setting `serve_folders` lists, each under its own name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises BadRequest if two have the same name, or one is none."""
        self._folders: dict[str, Path] = {}
        for folder in folders:
            path = Path(os.path.realpath(folder.expanduser()))
            if not path.is_dir():
                raise BadRequest(f"serve_folders: {folder} is not a folder")
            if path.name in self._folders:
                raise BadRequest(f"serve_folders: two are called '{path.name}'; rename one")
            self._folders[path.name] = path

    def resolve(self, name: str, below: str) -> Path:
        """A folder, or what is `below` it, links followed. Raises NotFound, Forbidden."""
        if name not in self._folders:
            raise NotFound(f"there is no folder '{name}' that may be ingested")
        if "\0" in below or os.path.isabs(below):
            raise Forbidden("the path leads out of the folder")
        path = Path(os.path.realpath(self._folders[name] / below))
        if not path.is_relative_to(self._folders[name]):
            raise Forbidden("the path leads out of the folder")
        if not path.exists():
            raise NotFound(f"there is nothing at '{below}' in the folder '{name}'")
        return path

    def holds(self, path: str) -> bool:
        """Whether a file lies in one of them, links followed."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) for folder in self._folders.values())
