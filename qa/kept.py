"""Answers on disk: without their hits, but with all that is needed to show what they rest on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ingest.errors import BadRequest
from qa.rendering import answer_json
from qa.turn import Answer, Citation, Statement


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer; `asked` is when, in seconds since 1970."""

    question: str
    answer: Answer
    asked: float


def exchange_json(exchange: Exchange) -> dict[str, Any]:
    """An exchange as it is kept."""
    answer = {name: value for name, value in answer_json(exchange.answer).items() if name != "hits"}
    return {"question": exchange.question, "asked": exchange.asked, **answer}


def exchange_of(kept: Mapping[str, Any]) -> Exchange:
    """The exchange that `kept` describes. Raises KeyError, TypeError, ValueError for another."""
    return Exchange(kept["question"], answer_of(kept), kept["asked"])


def answer_of(told: Mapping[str, Any]) -> Answer:
    """The answer that `answer_json` told, without its hits; what is not known of it is left out.

    Raises KeyError, TypeError, ValueError for something else.
    """
    citations = tuple(
        Citation(**{**_known(Citation, cited), "heading": tuple(cited["heading"])})
        for cited in told["citations"]
    )
    statements = tuple(
        Statement(
            **{
                **_known(Statement, said),
                "citations": tuple(citations[place] for place in said["citations"]),
            }
        )
        for said in told["statements"]
    )
    return Answer(
        text=told["text"],
        citations=citations,
        hits=(),
        abstained=told["abstained"],
        model=told["model"],
        usage=told["usage"],
        timings=told["timings"],
        cost=told["cost"],
        notes=tuple(told["notes"]),
        statements=statements,
        evidence=told.get("evidence"),  # older answers and servers lack these
        doubtful=told.get("doubtful", False),
        query=told.get("query", ""),
    )


def _known(kind: Any, told: Mapping[str, Any]) -> dict[str, Any]:
    """What of `told` a class has fields for: a server may be newer and say more."""
    return {field.name: told[field.name] for field in fields(kind) if field.name in told}


def private_folder(folder: Path) -> Path:
    """`folder`, made for its owner only where it does not exist."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


class LastAnswers:
    """The last answer that each base gave, one small file for each in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, location: str, exchange: Exchange) -> None:
        """Replace what is kept for the base at `location`, at once or not at all."""
        kept = json.dumps(exchange_json(exchange), ensure_ascii=False)
        file, name = tempfile.mkstemp(dir=private_folder(self._folder))  # readable by its owner
        try:
            with open(file, "w", encoding="utf-8", errors="replace") as opened:
                opened.write(kept)
            os.replace(name, self._path(location))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def load(self, location: str) -> Exchange:
        """The last exchange with the base at `location`. Raises BadRequest if there is none."""
        try:
            return exchange_of(json.loads(self._path(location).read_text("utf-8")))
        except (OSError, KeyError, TypeError, ValueError) as exc:
            raise BadRequest(
                f"no answer of {location} is kept: ask it something first (`kbqa ask QUESTION`)"
            ) from exc

    def _path(self, location: str) -> Path:
        return self._folder / f"{hashlib.sha256(location.encode()).hexdigest()[:16]}.json"
