"""The command `kbqa eval`. What it measures is in `qa.evaluation`; this prints it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.errors import BadRequest
from qa.command import FAILED, Json, Quiet, app, check_target, print_json, say
from qa.settings import Settings, load_settings, read_toml
from qa.terminal import print

if TYPE_CHECKING:
    from qa.client import RemoteKnowledgeBase
    from qa.evaluation.calibrating import Calibration
    from qa.evaluation.comparing import Comparison, Gate
    from qa.evaluation.measures import Measure
    from qa.evaluation.questions import QuestionSet
    from qa.evaluation.running import Evaluation
    from qa.evaluation.tables import Table
    from qa.knowledge_base import KnowledgeBase

SHOWN_CHANGES = 10
PREVIEW = 90  # characters of a question


@app.command("eval")
def eval_(
    questions: Annotated[
        Path | None,
        typer.Argument(
            help="File of questions (JSON Lines), or folder with queries.jsonl, qrels.tsv and "
            "corpus.jsonl.",
            show_default=False,
        ),
    ] = None,
    kb: Annotated[
        str | None, typer.Option("--kb", help="Knowledge base to ask, also for a folder.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Ask a temporary base made of this folder instead.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Passages that count as found.")] = 10,
    measures: Annotated[
        list[str] | None,
        typer.Option(
            "--measure", help="Measure instead: recall@5, ndcg@10, mrr, hit@1, answer@3, support."
        ),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(help="Judge by answer, document, page or passage; default: the finest named."),
    ] = None,
    answers: Annotated[bool, typer.Option(help="Ask as well, and score the answers.")] = False,
    model: Annotated[str | None, typer.Option(help="Model for --answers, --generate.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="Ask, and have a model judge the answers: openai:gpt-4o.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N questions.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Two settings files, compared on the same questions.", show_default=False
        ),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the outcome, for --against.")] = None,
    against: Annotated[Path | None, typer.Option(help="Compare with what --save wrote.")] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="Exit 1 below this: recall@5=.9")
    ] = None,
    fail_worse: Annotated[
        bool, typer.Option(help="Exit 1 if a measure fell by more than chance.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write a report: .md or .html")] = None,
    calibrate: Annotated[
        bool, typer.Option(help="Find the min_score for these questions, some unanswerable.")
    ] = False,
    false_refusals: Annotated[
        float, typer.Option(help="Share of answerable questions that --calibrate may refuse.")
    ] = 0.05,
    generate: Annotated[
        int | None, typer.Option(help="Make N questions from the base instead, to be edited.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for --generate.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of intervals, tests and --generate.")] = 0,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how well questions with known answers are found and answered.

    Each line of the file is an object: question, and any of answer, document, page, span,
    unanswerable. A folder's own documents are put into a temporary base, unless --kb names one that
    holds them. Figures come with 95 % bootstrap intervals; comparisons with a paired test.
    """
    flags = {"kb": kb, "model": model, "judge": judge}
    if generate is not None:
        if questions:
            raise BadRequest("--generate makes questions; it takes no file of questions")
        _generate(generate, load_settings(**flags), output, seed)
        return
    if questions is None:
        raise BadRequest("name a file or folder of questions, or make some with --generate N")
    answers = answers or judge is not None
    job = _Job(questions, docs, flags, k, measures, level, answers, limit, fail_under, seed, quiet)
    if calibrate:
        _calibrate(job, load_settings(**flags), false_refusals, as_json=json_)
        return
    _check_options(save, report, compare, against, fail_worse)
    evaluation, comparison = _evaluated(job, compare, against)
    if save:
        from qa.evaluation.saving import save as save_evaluation

        save_evaluation(evaluation, save)
    if report:
        from qa.evaluation.report import write_report

        write_report(report, evaluation, comparison)
    failures = job.failures(evaluation)
    if fail_worse and comparison:
        failures += [
            f"{d.measure} fell by {-d.difference:.4f} (p {d.p:.4f})" for d in comparison.worse
        ]
    _tell(evaluation, comparison, failures, as_json=json_, quiet=quiet)
    if failures:
        raise typer.Exit(FAILED)


class _Job:
    """What is to be measured; checked before anything is opened, as that takes long."""

    def __init__(
        self,
        path: Path,
        docs: Path | None,
        flags: dict[str, Any],
        k: int,
        measures: Sequence[str] | None,
        level: str | None,
        answers: bool,
        limit: int | None,
        fail_under: Sequence[str] | None,
        seed: int,
        quiet: bool,
    ) -> None:
        from qa.evaluation.comparing import parse_gate
        from qa.evaluation.measures import default_measures, parse_measure
        from qa.evaluation.questions import load_questions, parse_level

        self.gates: list[Gate] = [parse_gate(text) for text in fail_under or ()]
        defaults = default_measures(k)
        asked = [parse_measure(text) for text in measures or ()]
        gated = [parse_measure(gate.measure) for gate in self.gates]
        self.measures: list[Measure] = list(dict.fromkeys([*(asked or defaults), *gated]))
        self.answers = answers
        self.level = parse_level(level) if level is not None else None
        self.questions: QuestionSet = load_questions(path, limit=limit)
        self.docs, self.flags, self.seed, self.quiet = docs, flags, seed, quiet
        if docs and not docs.exists():
            raise BadRequest(f"no such file or folder: {docs}")
        if docs and flags["kb"]:
            raise BadRequest("--docs makes a temporary base and --kb names one: give one of them")

    def run(self, settings: Settings, name: str = "") -> Evaluation:
        """Evaluate under these settings, which a comparison has a `name` for."""
        from qa.configured import judge_of
        from qa.evaluation.measures import check_judged
        from qa.evaluation.running import evaluate
        from qa.prompting import prompts_of

        judge = judge_of(settings)
        check_judged(self.measures, has_judge=judge is not None)
        with self._base(settings) as base, _progress("questions", self.quiet) as on_progress:
            return evaluate(
                base,
                self.questions,
                measures=self.measures,
                level=self.level,
                answers=self.answers,
                judge=judge,
                prompts=prompts_of(None, settings.prompts) if settings.prompts else None,
                seed=self.seed,
                base=self._called(settings, name),
                on_progress=on_progress,
            )

    def calibrate(self, settings: Settings, false_refusals: float) -> Calibration:
        """The threshold of evidence for these questions."""
        from qa.evaluation.calibrating import calibrate

        with self._base(settings) as base, _progress("questions", self.quiet) as on_progress:
            return calibrate(
                base, self.questions, false_refusals=false_refusals, on_progress=on_progress
            )

    def failures(self, evaluation: Evaluation) -> list[str]:
        """The gates that are not passed."""
        from qa.evaluation.comparing import failures

        return failures(evaluation, self.gates)

    @property
    def brings_documents(self) -> bool:
        """Whether a temporary base is to be made."""
        return bool(self.docs or (self.questions.documents and not self.flags["kb"]))

    def _called(self, settings: Settings, name: str) -> str:
        documents = self.docs or self.questions.name
        base = f"a base made of {documents}" if self.brings_documents else settings.kb
        return f"{base} with {name}" if name else base

    @contextmanager
    def _base(self, settings: Settings) -> Iterator[KnowledgeBase | RemoteKnowledgeBase]:
        """The base to ask: a temporary one where documents are given and no base is named."""
        from ingest.scratch import scratch_folder
        from qa.command_base import opened_to_ask
        from qa.knowledge_base import KnowledgeBase
        from qa.progress import progress_bar

        with ExitStack() as stack:
            if not self.brings_documents:
                with opened_to_ask(settings, self.flags["model"], None) as named:
                    yield named
                return
            folder = stack.enter_context(scratch_folder("eval"))
            base = KnowledgeBase.open(folder / "kb", settings=settings)
            stack.enter_context(base)
            with progress_bar(quiet=self.quiet) as on_progress:
                if self.docs:
                    base.ingest(self.docs, on_progress=on_progress)
                else:
                    base.ingest_documents(self.questions.documents, on_progress=on_progress)
            yield base


def _evaluated(
    job: _Job, compare: tuple[Path, Path] | None, against: Path | None
) -> tuple[Evaluation, Comparison | None]:
    from qa.command_base import require_local
    from qa.evaluation.comparing import compare as compared
    from qa.evaluation.saving import load

    if compare:
        if not job.brings_documents:
            require_local(load_settings(**job.flags), "--compare")
        settings = [(_settings_of(path, job.flags), str(path)) for path in compare]
        first, second = (job.run(found, name) for found, name in settings)
        return second, compared(first, second)
    before = load(against) if against else None
    evaluation = job.run(load_settings(**job.flags))
    return evaluation, compared(before, evaluation) if before else None


def _settings_of(path: Path, flags: dict[str, Any]) -> Settings:
    """Settings with those of a file above environment and kbqa.toml, below flags."""
    try:
        values = read_toml(path)
    except FileNotFoundError as exc:
        raise BadRequest(f"no such file: {path}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadRequest(f"{path}: {exc}") from exc
    for name in values:
        if name not in Settings.model_fields:
            raise BadRequest(f"{path}: there is no setting '{name}'; `kbqa config` lists them")
    try:
        given = {name: value for name, value in flags.items() if value is not None}
        return load_settings(**{**values, **given})
    except BadRequest as exc:
        raise BadRequest(f"{path}: {exc}") from exc


def _generate(count: int, settings: Settings, output: Path | None, seed: int) -> None:
    from qa.command_base import opened
    from qa.configured import model_of
    from qa.evaluation.generating import generate
    from qa.evaluation.questions import question_json

    if output and output.exists():
        raise BadRequest(f"{output} exists already, perhaps edited: name another file")
    if output:
        check_target(output, "--output")
    model = model_of(settings.model, settings)
    with opened(settings) as base:
        found = [
            question_json(question) for question in generate(base, count, model=model, seed=seed)
        ]
    if not found:
        who = "the model asked none" if model else "they have no headings and define no terms"
        raise BadRequest(
            f"no question could be made of these documents: {who}; write some, or name a model "
            "that asks them with --model"
        )
    if output is None:
        for question in found:
            print_json(question)
        return
    lines = [json.dumps(question, ensure_ascii=False) for question in found]
    output.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{len(lines)} questions in {output}: edit them, then `kbqa eval {output}`")


def _calibrate(job: _Job, settings: Settings, false_refusals: float, *, as_json: bool) -> None:
    """Print the curve and the line for kbqa.toml; the setting stays the user's."""
    from qa.evaluation import tables
    from qa.evaluation.saving import calibration_json

    found = job.calibrate(settings, false_refusals)
    if as_json:
        print_json(calibration_json(found))
        return
    print(f"{tables.calibrated(found)}; now min_score = {settings.min_score:g}")
    _show(tables.curve(found))
    print(f"\n* for kbqa.toml: min_score = {found.chosen.min_score:g}")


def _check_options(
    save: Path | None,
    report: Path | None,
    compare: object,
    against: Path | None,
    fail_worse: bool,
) -> None:
    if save:
        check_target(save, "--save")
    if report:
        from qa.evaluation.report import check_suffix

        check_suffix(report)
        check_target(report, "--report")
    if compare and against:
        raise BadRequest("--compare runs both and --against reads one: give one of them")
    if fail_worse and not (compare or against):
        raise BadRequest("--fail-worse needs --against FILE or --compare A.toml B.toml")


# --- output ---


def _tell(
    evaluation: Evaluation,
    comparison: Comparison | None,
    failures: Sequence[str],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    if not quiet:
        for problem in evaluation.problems:
            say(f"cannot be found: {problem}")
        for note in evaluation.notes:
            say(f"not judged: {note}")
    for line in failures:
        say(f"failed: {line}")
    if as_json:
        found = _as_json(evaluation, comparison, failures)
        print_json(found)
        return
    from qa.evaluation import tables

    print(tables.heading(evaluation))
    _show(tables.figures(evaluation))
    _show(tables.latencies(evaluation))
    _show(tables.spending(evaluation))
    if comparison:
        print(f"\nagainst {tables.heading(comparison.first)}")
        _show(tables.differences(comparison))
        print("* more than chance (p < .05, paired randomisation test)")
        _show(tables.efforts(comparison))
        _show_changes(comparison)


def _show(table: Table) -> None:
    from qa.evaluation.tables import aligned

    if len(table) < 2:  # but a head
        return
    print()
    for line in aligned(table):
        print(line)


def _show_changes(comparison: Comparison) -> None:
    if not comparison.changes:
        return
    print(f"\n{len(comparison.changes)} questions changed in {comparison.changes[0].measure}:")
    ordered = sorted(comparison.changes, key=lambda change: -abs(change.after - change.before))
    for change in ordered[:SHOWN_CHANGES]:
        word = "better" if change.after > change.before else "worse "
        text = change.question.text[:PREVIEW]
        print(f"  {word} {change.before:.3f} -> {change.after:.3f}  {text}")


def _as_json(
    evaluation: Evaluation, comparison: Comparison | None, failures: Sequence[str]
) -> dict[str, Any]:
    from qa.evaluation.saving import comparison_json, outcome_json, summary_json

    found = {
        "name": evaluation.name,
        "base": evaluation.base,
        **summary_json(evaluation),
        "questions": [outcome_json(outcome) for outcome in evaluation.outcomes],
        "failures": list(failures),
    }
    return {**found, "comparison": comparison_json(comparison)} if comparison else found


@contextmanager
def _progress(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
