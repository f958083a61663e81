"""The commands `kbqa tune ...`: models that learn from the documents of a base."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.errors import BadRequest
from qa.command import Json, Kb, Quiet, app, print_json, say
from qa.settings import load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.evaluation.statistics import Difference
    from qa.tuning.embedder import Estimate, Prospect, Tuned
    from qa.tuning.pairs import Pair

LINE_EVERY = 10.0  # seconds between lines of progress
SHOWN = 10  # pairs of a dry run

Seed = Annotated[  # of what numpy takes
    int, typer.Option(min=0, max=2**32 - 1, help="Of all that is drawn by chance.")
]

tune = typer.Typer(help="Teach a model from the documents: an embedder, or a chat model.")
app.add_typer(tune, name="tune")


@tune.callback(invoke_without_command=True)
def tune_options(
    context: typer.Context,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the embedder before the last tuning.")
    ] = False,
    kb: Kb = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Teach a model from the documents: an embedder, or a chat model."""
    if (command := context.invoked_subcommand) is not None:
        if rollback:
            raise BadRequest("--rollback stands alone: kbqa tune --rollback")
        if kb or json_ or quiet:
            raise BadRequest(
                f"--kb, --json and --quiet stand behind the command: kbqa tune {command} --kb NAME"
            )
        return
    if not rollback:
        raise BadRequest("tune takes a command: kbqa tune embedder, or kbqa tune --rollback")
    from qa.command_base import local
    from retrieval.adapter import parted

    with local(load_settings(kb=kb).model_copy(update={"embedder": None}), "tune") as base:
        if not parted(base.embedder.name)[1]:
            raise BadRequest(f"the embedder of {base.location} has not been tuned")
        base.rollback()
        name = base.embedder.name
    if json_:
        print_json({"done": "rolled back", "embedder": name})
    else:
        print(f"rolled back: the embedder is {name}")
    if not (json_ or quiet):
        say("run `kbqa ingest` for what has changed since")


@tune.command("embedder")
def tune_embedder(
    kb: Kb = None,
    minutes: Annotated[float, typer.Option(help="Time for the training.")] = 10.0,
    questions: Annotated[
        Path | None, typer.Option(help="Labelled questions, in the form of `kbqa eval`.")
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Let the configured LLM ask questions as well.")
    ] = False,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what there is to learn from, and stop.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Teach the embedder from the documents of the base; adopt it only if it finds more.

    No labels, no LLM and no GPU are needed. Documents are held out: questions about them, before
    and after, decide. Interrupted, it goes on when it is called again. `kbqa tune --rollback`
    goes back.
    """
    if not 0 < minutes < 100_000:
        raise BadRequest(f"--minutes {minutes:g}: above 0 and below 100,000 is expected")
    from qa.command_base import local
    from qa.configured import model_of
    from qa.evaluation.questions import load_questions
    from qa.tuning import embedder as tuning
    from qa.tuning.training import require_packages

    settings = load_settings(kb=kb).model_copy(update={"embedder": None})  # that of the base
    labelled = load_questions(questions).questions if questions else ()
    model = model_of(settings.model, settings) if generate else None
    if generate and model is None:
        raise BadRequest("--generate needs an LLM: set KBQA_MODEL, or model in kbqa.toml")
    if not dry_run:
        require_packages()
    with local(settings, "tune") as base:
        found = tuning.prospect(
            base, settings, questions=labelled, model=model, minutes=minutes, seed=seed
        )
        if not found.fits:
            say(_warning(found))
        if found.unused:
            say(f"{found.unused} questions of {questions} name no passage of {base.location}")
        if dry_run:
            _tell_prospect(found, tuning.estimate(base, found, seed), minutes, seed, json_)
            return
        left = tuning.interrupted(base, settings, seed, found)
        if left and not quiet:
            say(
                "going on with the training that was interrupted"
                if left == "resumes"
                else "documents or questions have changed since the training that was "
                "interrupted: it begins anew"
            )
        stage = None if quiet else _Lines()
        done = tuning.tune(base, found, settings, minutes=minutes, seed=seed, on_stage=stage)
    _tell(done, json_)


class _Lines:
    """Progress as lines on stderr, one for each stage and every `LINE_EVERY` seconds."""

    def __init__(self) -> None:
        self._last, self._stage = 0.0, ""

    def __call__(self, what: str, share: float, left: float | None) -> None:
        stage, now = what.split(",")[0].rstrip("0123456789 "), time.monotonic()
        if stage == self._stage and now - self._last < LINE_EVERY:
            return
        self._stage, self._last = stage, now
        rest = "" if left is None else f", {left / 60:.1f} minutes left"
        say(f"{what}: {share:.0%}{rest}")


def _warning(found: Prospect) -> str:
    return (
        f"{found.base} knows only {found.known_share:.0%} of the words of these documents, and "
        "cannot learn the others: a multilingual model can, `kbqa reembed --embedder "
        "st:intfloat/multilingual-e5-small` or st:BAAI/bge-m3"
    )


def _tell_prospect(
    found: Prospect, after: Estimate, minutes: float, seed: int, json_: bool
) -> None:
    parts = found.split
    sample = random.Random(seed).sample(parts.training, min(SHOWN, len(parts.training)))
    judging, embedding = after.judging / 60, after.embedding / 60
    if json_:
        print_json(
            {
                "embedder": found.base,
                "pairs": parts.kinds,
                "held_out": after.questions,
                "known_share": round(found.known_share, 4),
                "minutes": minutes,
                "judging_minutes": round(judging, 1),
                "embedding_minutes": round(embedding, 1),
                "sample": [_pair_json(pair) for pair in sample],
            }
        )
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in parts.kinds.items())
    print(f"{len(parts.training)} pairs to learn from: {kinds}")
    print(f"{after.questions} questions of other documents to judge by")
    print(
        f"about {minutes + judging + embedding:.1f} minutes: {minutes:g} of training at most, "
        f"{judging:.1f} of judgement and, if it is better, {embedding:.1f} to embed all passages"
    )
    for pair in sample:
        print(f"\n[{pair.kind}] {pair.query}\n  {pair.uri}: {_short(pair.passage)}")


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {"kind": pair.kind, "query": pair.query, "uri": pair.uri, "passage": pair.passage}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"


def _tell(done: Tuned, json_: bool) -> None:
    judged, trained = done.judgement, done.trained
    if json_:
        print_json(
            {
                "adopted": done.adopted,
                "embedder": done.adapter.spec if done.adopted else done.adapter.base,
                "pairs": dict(done.kinds),
                "steps": trained.steps,
                "seconds": round(trained.seconds, 1),
                "resumed": trained.resumed,
                "loss": [round(trained.first_loss, 4), round(trained.last_loss, 4)],
                "questions": judged.questions,
                "passages": judged.passages,
                "dense": _difference_json(judged.dense),
                "hybrid": _difference_json(judged.hybrid),
            }
        )
        return
    print(
        f"{trained.steps} steps on {sum(done.kinds.values())} pairs in {trained.seconds / 60:.1f} "
        f"minutes, loss {trained.first_loss:.3f} -> {trained.last_loss:.3f}"
    )
    print(f"nDCG@10 on {judged.questions} questions of documents that were held out:")
    for name, figure in (("vectors alone", judged.dense), ("as you search", judged.hybrid)):
        print(
            f"  {name}: {figure.first:.3f} -> {figure.second:.3f} ({figure.difference:+.3f}, 95 % "
            f"{figure.low:+.3f} .. {figure.high:+.3f})"
        )
    if done.adopted:
        print(f"adopted: the embedder is {done.adapter.spec}; kbqa tune --rollback goes back")
    else:
        print("not adopted: the search has not gained by it; the base is as it was")


def _difference_json(figure: Difference) -> dict[str, Any]:
    return {
        "before": round(figure.first, 4),
        "after": round(figure.second, 4),
        "difference": round(figure.difference, 4),
        "interval": [round(figure.low, 4), round(figure.high, 4)],
        "p": round(figure.p, 4),
    }
