"""Answers without an LLM to questions as people ask them, over documents of many kinds.

python -m bench.answers [--docs FOLDER] [--questions FILE] [--half seen|unseen] [--misses]

The documents and questions of `bench/data/answers` were written for this bench: handbooks,
contracts, manuals, prices, mail, minutes, settings. Per language and kind of question: the share
whose answer stands in the first sentence, or anywhere in what is shown; in the passages found; the
share refused and the mean number of sentences. Of questions without an answer the share refused,
and the share answered without a doubt. `seen` is a half, by hash, on which rules may be made.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.common import a_file, a_folder, parser, report, temporary_base
from qa import Answer, KnowledgeBase

DATA = Path(__file__).parent / "data" / "answers"
HALVES = ("seen", "unseen")
PASSAGES = 5  # hits among which the answer is looked for
_SHORT = re.compile(r"[\w.,%$€£]{1,5}", re.ASCII)


class Asked(NamedTuple):
    """A question, the texts that all have to stand in its answer (none: it has no answer)."""

    text: str
    wanted: tuple[str, ...]
    group: str
    half: str


class Told(NamedTuple):
    """What came of a question."""

    asked: Asked
    answer: Answer
    first: bool
    whole: bool
    found: bool

    @property
    def missed(self) -> bool:
        """Whether the first sentence does not answer, or is shown where nothing answers."""
        return not self.first if self.asked.wanted else not self.answer.abstained


def main() -> None:
    """Ask every question and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--docs", type=a_folder, default=DATA / "docs")
    arguments.add_argument("--questions", type=a_file, default=DATA / "questions.jsonl")
    arguments.add_argument("--half", choices=HALVES, help="only the questions of one half")
    arguments.add_argument("--misses", action="store_true", help="show what went wrong")
    given = arguments.parse_args()
    questions = [q for q in read(given.questions) if given.half in (None, q.half)]
    with temporary_base() as base:
        base.ingest(given.docs)
        told = [tell(base, question) for question in questions]
    report("answers", list(_rows(told)), as_json=given.json)
    for row in told if given.misses else ():
        if not row.missed:
            continue
        print(f"\n{row.asked.group}: {row.asked.text} => {', '.join(row.asked.wanted) or '-'}")
        print(row.answer.text)


def read(path: Path) -> Iterator[Asked]:
    """The questions of a file: `question`, `answer`, `also`, `language`, `kind`."""
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        wanted = (row["answer"], *row.get("also", ())) if row["answer"] is not None else ()
        half = HALVES[sha256(row["question"].encode()).digest()[0] % 2]
        group = f"{row['language']} {row.get('kind', '')}".strip()
        yield Asked(row["question"], wanted, group, half)


def tell(base: KnowledgeBase, asked: Asked) -> Told:
    """Ask, and see where the answer stands."""
    answer = base.ask(asked.text)
    first = answer.text.split("[1]")[0]
    answered = bool(asked.wanted) and not answer.abstained
    return Told(
        asked,
        answer,
        first=answered and _all_in(first, asked.wanted),
        whole=answered and _all_in(answer.text, asked.wanted),
        found=any(_all_in(hit.text, asked.wanted) for hit in answer.hits[:PASSAGES]),
    )


def _rows(told: Sequence[Told]) -> Iterator[dict[str, Any]]:
    for wanted in (True, False):
        some = [row for row in told if bool(row.asked.wanted) is wanted]
        groups: dict[str, list[Told]] = {}
        for row in some:
            language = row.asked.group.split()[0]
            groups.setdefault(language, []).append(row)
            groups.setdefault(f"{language} {row.asked.half}", []).append(row)
        for row in sorted(some, key=lambda row: row.asked.group):
            groups.setdefault(row.asked.group, []).append(row)
        for group, rows in groups.items():
            yield {"questions": group, **(_right(rows) if wanted else _refused(rows))}


def _right(rows: Sequence[Told]) -> dict[str, Any]:
    return {
        "number": len(rows),
        "first": _share(row.first for row in rows),
        "shown": _share(row.whole for row in rows),
        "found": _share(row.found for row in rows),
        "refused": _share(row.answer.abstained for row in rows),
        "sentences": float(np.mean([len(row.answer.citations) for row in rows])),
    }


def _refused(rows: Sequence[Told]) -> Mapping[str, Any]:
    sure = [not row.answer.abstained and not row.answer.doubtful for row in rows]
    return {
        "number": len(rows),
        "refused": _share(row.answer.abstained for row in rows),
        "sure though there is none": _share(sure),
    }


def _share(flags: Iterable[bool]) -> float:
    return round(float(np.mean(list(flags))), 3)


def _all_in(text: str, wanted: Sequence[str]) -> bool:
    return all(_is_in(text, one) for one in wanted)


def _is_in(text: str, wanted: str) -> bool:
    """Whether it stands there, whatever the case and white space; a short one as a whole word."""
    text, wanted = _plain(text), _plain(wanted)
    if _SHORT.fullmatch(wanted):
        alone = rf"(?<!\w)(?<!\d[.,]){re.escape(wanted)}(?!\w|[.,]\d)"
        return bool(re.search(alone, text, re.ASCII))
    return wanted.replace(" ", "") in text.replace(" ", "")


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).lower()).strip()


if __name__ == "__main__":
    main()
