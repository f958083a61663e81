"""Does the support figure tell true statements from false ones?

python -m bench.support [--json] [--misses]

The statements of `bench/data/support.jsonl`, written for this bench about sample_docs: true ones in
other words, and false ones with a number or a unit changed, a denial added or removed, an opposite,
an entity or a role swapped, a name of the passage brought in, or taken from elsewhere. Each is
checked against the passage that holds its source. The rules were written with the first of them in
view; those marked `held` came after, and nothing was changed for them. Prints, per language and
kind of falsehood, the AUROC against the true statements and the share told rightly at `SUPPORTED`;
and the processor time that citing and checking takes for answers of three statements without marks
from eight passages, the dearest case: at first, and once again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.common import parser, quantiles, report, temporary_base
from qa import Hit, KnowledgeBase, Statement, Turn
from qa.chain import build_chain
from qa.citing.support import SUPPORTED
from qa.language import language_of
from qa.plugins.check_support import check_support, judged
from qa.plugins.cite_sources import cite, cite_sources
from retrieval.embedding import Embedder

DATA = Path(__file__).parent / "data" / "support.jsonl"
DOCS = Path(__file__).parents[1] / "sample_docs"
SOURCES = 8
FALSE = ("number", "negated", "opposite", "entity", "roles", "unit", "name", "elsewhere")
LIMITS = {"AUROC (all)": ">= .90"}


class Case(NamedTuple):
    """A statement with the passage that should bear it out; `kind` is `true` or one of FALSE."""

    kind: str
    held: bool
    statement: str
    hit: Hit


class Checked(NamedTuple):
    """A case with its figure."""

    case: Case
    support: float


def main() -> None:
    """Check every statement and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--misses", action="store_true", help="list what is told wrongly")
    given = arguments.parse_args()
    with temporary_base() as base:
        base.ingest(DOCS)
        embedder = base._embedder
        stated = list(cases(base))
        first, again = costs(stated, embedder), costs(stated, embedder)
        checked = [Checked(case, check(case, embedder)) for case in stated]
    rows = [
        row(language, kind, held, [c for c in checked if c.case.held == held])
        for held in (False, True)
        for language in ("en", "zh", "both")
        for kind in (*FALSE, "all")
    ]
    report("support of statements", rows, as_json=given.json, limits=LIMITS)
    if not given.json:
        print(f"an answer, CPU: first {quantiles(first)}, again {quantiles(again)}")
    for miss in misses(checked) if given.misses else ():
        print(f"{miss.support:.2f} {miss.case.kind:<9} {miss.case.statement}")


def check(case: Case, embedder: Embedder) -> float:
    """Support of a statement by its passage, as an answer with that one source is checked."""
    cited = cite(1, case.hit, case.statement)
    statement = Statement(0, len(case.statement), case.statement, (cited,))
    return judged(statement, [case.hit.chunk], embedder).support or 0.0


def costs(stated: Sequence[Case], embedder: Embedder) -> list[float]:
    """Processor seconds for each answer made of three true statements."""
    true = [case for case in stated if case.kind == "true"]
    every = list(dict.fromkeys(case.hit.chunk for case in stated))
    plugins = (check_support(embedder), cite_sources(lambda uri: None))
    seconds = []
    for three in zip(true[::3], true[1::3], true[2::3], strict=False):
        own = [case.hit.chunk for case in three]
        sources = list(dict.fromkeys([*own, *every]))[:SOURCES]
        turn = Turn("?", hits=tuple(Hit(chunk, 0.5) for chunk in sources))
        text = "\n".join(case.statement for case in three)
        handler = build_chain(plugins, partial(_saying, text))
        started = time.process_time()
        handler(turn)
        seconds.append(time.process_time() - started)
    return seconds


def _saying(text: str, turn: Turn) -> Turn:
    return replace(turn, text=text)


def cases(base: KnowledgeBase) -> Iterator[Case]:
    """All statements, with the passages that hold their sources."""
    items = [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]
    hits = [passage(base, item) for item in items]
    for number, (item, hit) in enumerate(zip(items, hits, strict=True)):
        held = item.get("held", False)
        for statement in item["true"]:
            yield Case("true", held, statement, hit)
        for kind in FALSE:
            if kind in item:
                yield Case(kind, held, item[kind], hit)
        other = next(
            hits[(number + step) % len(hits)]
            for step in range(1, len(hits))
            if hits[(number + step) % len(hits)].uri != hit.uri
        )
        yield Case("elsewhere", held, item["true"][0], other)


def passage(base: KnowledgeBase, item: dict[str, Any]) -> Hit:
    """The passage of a document that holds the quote."""
    found = base.search(item["quote"], 50, {"uri": item["file"]})
    for hit in found:
        if item["quote"] in hit.text:
            return hit
    raise SystemExit(f"{item['file']} has no passage with {item['quote']!r}")


def row(language: str, kind: str, held: bool, checked: Sequence[Checked]) -> dict[str, Any]:
    """Figures of one language and kind of falsehood."""
    spoken = [c for c in checked if language in ("both", language_of(c.case.statement))]
    true = np.array([c.support for c in spoken if c.case.kind == "true"])
    false = np.array([c.support for c in spoken if c.case.kind in (FALSE if kind == "all" else
                                                                   (kind,))])  # fmt: skip
    higher = (true[:, None] > false).mean() + (true[:, None] == false).mean() / 2
    kept, caught = (true >= SUPPORTED).mean(), (false < SUPPORTED).mean()
    return {
        "held out": "yes" if held else "no",
        "language": language,
        "false by": kind,
        "true": len(true),
        "false": len(false),
        "AUROC": float(higher),
        "true kept": float(kept),
        "false caught": float(caught),
        "accuracy": float((kept + caught) / 2),
    }


def misses(checked: Sequence[Checked]) -> list[Checked]:
    """What is told wrongly at the threshold."""
    return [c for c in checked if (c.support >= SUPPORTED) != (c.case.kind == "true")]


if __name__ == "__main__":
    main()
