"""The prompts: templates in files, one for each language, of which a base may have its own.

A template `NAME.LANGUAGE.txt` holds places such as `{question}`. All of `PLACES` must be there;
other braces are text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from ingest.errors import BadRequest
from qa.language import LANGUAGES, Language

PLACES: Mapping[str, tuple[str, ...]] = {
    "system": (),
    "user": ("sources", "question"),
    "rewrite_query": ("history", "question"),
    "multi_query": ("question",),
    "hyde": ("question",),
    "decompose": ("question",),
    "translate_answer": ("text",),
    "judge_answer": ("question", "expected", "answer"),
    "judge_support": ("question", "sources", "answer"),
}
NAMES = tuple(f"{name}.{language}.txt" for name in PLACES for language in LANGUAGES)
FOLDER = "prompts"  # in the folder of a base


class Prompts:
    """kbqa's templates, with those of `folder` in their place."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises BadRequest for a folder or a template that will not do, naming the file."""
        self._own = _read(folder) if folder is not None else {}

    def fill(self, name: str, language: Language, **values: str) -> str:
        """The template with `values` in their places; what they hold is not looked at again."""
        template = self._own.get(f"{name}.{language}.txt") or _shipped(name, language)
        if not values:
            return template
        places = re.compile(r"\{(" + "|".join(values) + r")\}")
        return places.sub(lambda match: values[match[1]], template)

    @property
    def version(self) -> str:
        """Differs where a template does."""
        return hashlib.sha256(repr(sorted(self._own.items())).encode()).hexdigest()[:16]


def prompts_of(base: Path | None, configured: Path | None) -> Prompts:
    """Those of the setting, else of the folder `prompts` in the base's folder, else kbqa's own."""
    if configured is not None:
        if not configured.is_dir():
            raise BadRequest(f"setting prompts: there is no folder {configured}")
        return Prompts(configured)
    own = base / FOLDER if base is not None else None
    return Prompts(own if own is not None and own.is_dir() else None)


def _read(folder: Path) -> dict[str, str]:
    templates = {}
    for file in sorted(folder.glob("*.txt")):
        if file.name not in NAMES:
            raise BadRequest(f"{file} is no prompt; there are {', '.join(NAMES)}")
        templates[file.name] = _checked(file)
    return templates


def _checked(file: Path) -> str:
    try:
        template = file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadRequest(f"the prompt {file} cannot be read as UTF-8: {exc}") from exc
    if not template:
        raise BadRequest(f"the prompt {file} is empty: write one, or remove the file")
    missing = [f"{{{place}}}" for place in PLACES[file.name.split(".")[0]]
               if f"{{{place}}}" not in template]  # fmt: skip
    if missing:
        raise BadRequest(f"the prompt {file} lacks {' and '.join(missing)}: write it where it goes")
    return template


@cache
def _shipped(name: str, language: Language) -> str:
    return (files("qa") / "prompts" / f"{name}.{language}.txt").read_text("utf-8").strip()
