"""Follow-up questions without an LLM, over the sample documents.

python -m bench.followups

Dialogues in bench/data/followups.jsonl: each turn is a question and what its answer must hold
(null: it must be refused). Per language and kind of turn: share answered right in the first
sentence, and anywhere in the answer. The `seen` part may be looked at while the rules are written,
the `unseen` one not.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser, report, temporary_base
from bench.extractive import holds_answer
from qa import KnowledgeBase
from qa.turn import Message

DIALOGUES = Path(__file__).parent / "data" / "followups.jsonl"
SAMPLES = Path(__file__).parent.parent / "sample_docs"
LIMITS = {"anywhere (follow-up)": ">= .90"}


def main() -> None:
    """Ask all dialogues and print."""
    as_json = parser(__doc__).parse_args().json
    turns: defaultdict[tuple[str, str, str], list[tuple[bool, bool]]] = defaultdict(list)
    with temporary_base() as base:
        base.ingest(SAMPLES)
        for line in DIALOGUES.read_text("utf-8").splitlines():
            dialogue = json.loads(line)
            for kind, *right in asked(base, dialogue["turns"]):
                turns[dialogue["part"], dialogue["language"], kind].append((right[0], right[1]))
    rows = [_row(*key, np.array(right)) for key, right in sorted(turns.items())]
    report("follow-up questions", rows, as_json=as_json, limits=LIMITS)


def asked(
    base: KnowledgeBase, turns: list[tuple[str, str | None]]
) -> Iterator[tuple[str, bool, bool]]:
    """(kind of turn, right in the first sentence, right anywhere) for each turn of a dialogue."""
    history: list[Message] = []
    for question, wanted in turns:
        answer = base.ask(question, history=history)
        kind = "unanswerable" if wanted is None else "follow-up" if history else "first"
        history += [Message("user", question), Message("assistant", answer.text)]
        if wanted is None:
            yield kind, answer.abstained, answer.abstained
        else:
            texts = answer.text, answer.text.partition(" [1]")[0]
            anywhere, first = (
                not answer.abstained and holds_answer([text], [wanted]) for text in texts
            )
            yield kind, first, anywhere


def _row(part: str, language: str, kind: str, right: Any) -> dict[str, Any]:
    first, anywhere = (float(share) for share in right.mean(axis=0))
    about = {"part": part, "language": language, "turn": kind, "turns": len(right)}
    return {**about, "first": first, "anywhere": anywhere}


if __name__ == "__main__":
    main()
