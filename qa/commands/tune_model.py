"""The command `kbqa tune model`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.errors import BadRequest, KbqaError, NotConfigured
from qa.command import Json, Kb, Quiet, check_target, print_json, say
from qa.commands.tune import LINE_EVERY, Seed, tune
from qa.settings import Settings, load_settings
from qa.terminal import print

if TYPE_CHECKING:
    from qa.evaluation.running import Evaluation
    from qa.tuning.examples import Examples
    from qa.tuning.model import TrainedModel

SHOWN = 3  # examples of a dry run


@tune.command("model")
def tune_model(
    model: Annotated[
        str | None, typer.Argument(help="Local model to teach: hf:NAME_OR_FOLDER.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the adapter; must not exist.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the examples as chat JSONL, for hosted fine-tuning, and stop."),
    ] = None,
    kb: Kb = None,
    minutes: Annotated[float, typer.Option(help="Time for the training.")] = 30.0,
    count: Annotated[int, typer.Option(min=1, help="Examples at most.")] = 500,
    questions: Annotated[
        Path | None, typer.Option(help="Labelled questions, in the form of `kbqa eval`.")
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Let the configured LLM ask the questions.")
    ] = False,
    asked: Annotated[
        int, typer.Option("--eval", min=0, help="Held-out questions answered before and after.")
    ] = 10,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what there is to learn from, and stop.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Teach a local chat model to answer from sources as kbqa asks it, citations and refusals too.

    The examples are made from the base. `hf:MODEL?adapter=FOLDER` answers with what was learned.
    """
    from qa.command_base import local
    from qa.configured import model_of
    from qa.evaluation.questions import load_questions
    from qa.hf_model import with_adapter
    from qa.tuning import model as training
    from qa.tuning.embedder import corpus_of
    from qa.tuning.examples import examples, write_chat
    from qa.tuning.labelled import feedback_questions

    trains = not (export or dry_run)
    _check(model, out, export, minutes, trains=trains)
    settings = load_settings(kb=kb)
    asker = model_of(settings.model, settings) if generate else None
    if generate and asker is None:
        raise BadRequest("--generate needs an LLM: set KBQA_MODEL, or model in kbqa.toml")
    labelled = load_questions(questions).questions if questions else ()
    if trains:
        training.require_packages()
    asked_for = [*labelled, *feedback_questions(settings)]
    # a model learns to refuse where the search took something for an answer
    with local(settings.model_copy(update={"min_score": 0.0}), "tune") as base:
        found = examples(base, count, questions=asked_for, model=asker, seed=seed)
        corpus = corpus_of(base)
    if export:
        write_chat([*found.training, *found.held_out], export)
        _tell_found(found, f"in {export}", json_)
        return
    if dry_run:
        _tell_found(found, "to learn from and to judge by", json_, shown=SHOWN)
        return
    assert model is not None
    assert out is not None
    before = _answered(settings, found, model, asked)
    done = training.train(
        model,
        found,
        out,
        minutes=minutes,
        corpus=corpus,
        seed=seed,
        on_step=None if quiet else _Lines(),
    )
    after = _answered(settings, found, with_adapter(model, out), asked)
    _tell(with_adapter(model, out), done, before, after, json_)


def _check(
    model: str | None, out: Path | None, export: Path | None, minutes: float, *, trains: bool
) -> None:
    from qa.tuning.model import place_of

    if not 0 < minutes < 100_000:
        raise BadRequest(f"--minutes {minutes:g}: above 0 and below 100,000 is expected")
    if export:
        check_target(export, "--export")
        if export.exists():
            raise BadRequest(f"{export} exists already: name another file")
    if not trains:
        return
    if model is None or out is None:
        raise BadRequest(
            "name a local model and a folder, `kbqa tune model hf:MODEL --out FOLDER`, or --export "
            "FILE for hosted fine-tuning"
        )
    place_of(model)
    if out.exists():
        raise BadRequest(f"{out} exists already: name another folder")


def _answered(settings: Settings, found: Examples, model: str, count: int) -> Evaluation | None:
    """Answers of a model to held-out questions, scored; None for none.

    The base is opened for them and closed again: there may not be room for the model beside the one
    that is trained.
    """
    from qa.command_base import local
    from qa.evaluation.questions import QuestionSet
    from qa.evaluation.running import evaluate

    wanted = tuple(example.question for example in found.held_out[:count])
    if not wanted:
        return None
    try:
        with local(settings.model_copy(update={"model": model}), "tune") as base:
            return evaluate(base, QuestionSet("held out", wanted), answers=True)
    except NotConfigured:
        raise
    except KbqaError as exc:  # a base model may have nothing to say, another process has the base
        say(f"the answers of {model} are not scored: {exc}")
        return None


class _Lines:
    """Progress as lines on stderr, one every `LINE_EVERY` seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, steps: int, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY:
            self._last = now
            say(f"step {steps}: {share:.0%}")


def _tell_found(found: Examples, where: str, json_: bool, shown: int = 0) -> None:
    from qa.tuning.model import sample

    refusals = sum(example.refuses for example in (*found.training, *found.held_out))
    some = sample(found.training, shown) if shown else ()
    if json_:
        print_json(
            {
                "training": len(found.training),
                "held_out": len(found.held_out),
                "refusals": refusals,
                "sample": [example.row for example in some],
            }
        )
        return
    count = len(found.training) + len(found.held_out)
    print(f"{count} examples {where}, {refusals} of them refusals")
    for example in some:
        print(f"\n{example.question.text}\n  -> {example.answer}")


def _tell(
    name: str,
    done: TrainedModel,
    before: Evaluation | None,
    after: Evaluation | None,
    json_: bool,
) -> None:
    figures = _figures(before, after)
    if json_:
        print_json(
            {
                "model": name,
                "steps": done.steps,
                "seconds": round(done.seconds, 1),
                "loss": [round(done.before, 4), round(done.after, 4)],
                "answers": figures,
            }
        )
        return
    print(
        f"{done.steps} steps in {done.seconds / 60:.1f} minutes; loss on held-out answers "
        f"{done.before:.3f} -> {done.after:.3f}"
    )
    for measure, (first, second) in figures.items():
        print(f"  {measure}: {first:.3f} -> {second:.3f}")
    print(f"answer with it: --model '{name}'")


def _figures(before: Evaluation | None, after: Evaluation | None) -> dict[str, Any]:
    from qa.evaluation.measures import ANSWERED

    found: dict[str, Any] = {}
    for measure in ANSWERED if before and after else ():
        assert before is not None
        assert after is not None
        first, second = before.figure(str(measure)), after.figure(str(measure))
        if first is not None or second is not None:
            found[str(measure)] = [
                round(figure.mean, 4) if figure else 0.0 for figure in (first, second)
            ]
    return found
