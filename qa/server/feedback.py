"""What people said of answers, kept for evaluation and tuning."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ingest.errors import BadRequest
from qa.server.database import Database


@dataclass(frozen=True, slots=True)
class Cited:
    """A passage that an answer rested on; `sha256` is the version of its document."""

    uri: str
    page: int | None
    start: int
    end: int
    quote: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer helped. `created` in seconds since 1970."""

    question: str
    answer: str
    helpful: bool
    citations: tuple[Cited, ...]
    created: float


class Feedback:
    """The verdicts on the answers of all bases, in the server's records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kb: str, caller: str, verdict: Verdict) -> None:
        """Keep a verdict; durable on return."""
        cited = json.dumps([asdict(one) for one in verdict.citations], ensure_ascii=False)
        self._database.write(
            "INSERT INTO feedback (kb, caller, question, answer, helpful, citations, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(kb, caller, verdict.question, verdict.answer, verdict.helpful, cited),
            verdict.created,
        )

    def forget(self, kb: str) -> None:
        """Forget all verdicts on answers of a base."""
        self._database.write("DELETE FROM feedback WHERE kb = ?", kb)

    def list(self, kb: str, limit: int) -> list[Verdict]:
        """Those on answers of a base, the newest first."""
        rows = self._database.read(
            "SELECT * FROM feedback WHERE kb = ? ORDER BY id DESC LIMIT ?", kb, limit
        )
        return [
            Verdict(
                row["question"],
                row["answer"],
                bool(row["helpful"]),
                tuple(Cited(**one) for one in json.loads(row["citations"])),
                row["created"],
            )
            for row in rows
        ]


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def questions(verdicts: Sequence[Verdict]) -> Iterator[dict[str, Any]]:
    """Lines for `kbqa eval`: questions whose answers helped, with the passage first cited.

    What `kbqa eval` would refuse, as older servers kept it, is passed over.
    """
    for verdict in verdicts:
        if verdict.helpful and verdict.citations:
            cited = verdict.citations[0]
            page = {} if cited.page is None else {"page": cited.page}
            line = {
                "question": verdict.question,
                "document": cited.uri,
                **page,
                "span": cited.quote,
                "metadata": {"from": "feedback"},
            }
            if _is_question(line):
                yield line


def _is_question(line: Mapping[str, Any]) -> bool:
    from qa.evaluation.questions import question_of  # the client needs none of that package

    try:
        question_of(line, "feedback")
    except BadRequest:
        return False
    return True
