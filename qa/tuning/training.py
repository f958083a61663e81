"""LoRA (Hu et al. 2022) on an embedding model, within a budget of minutes.

Each batch is scored against itself: of all its passages a query must pick its own, see `loss.py`.
The rate falls with the time that is left, so that a slow machine takes fewer steps of the same
course. What has been learned is written every now and then; a run that was killed goes on from
there.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import BadRequest, NotConfigured, StorageError
from ingest.memory import give_back
from qa.tuning.loss import guided_loss
from qa.tuning.pairs import Pair
from retrieval.adapter import Adapter, parted
from retrieval.embedding import DEFAULT_EMBEDDER, Embedder
from retrieval.hub import SENTENCE_TRANSFORMERS, model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

RANK, ALPHA = 16, 32
RATE = 5e-4  # of AdamW, at its highest
WARM_UP = 0.1  # of the course
WINDOW = 128  # tokens of a passage that are read: a step costs half
EPOCHS = 4  # at most
LEAST_SECONDS = 0.1
WRITE_EVERY = 60.0  # seconds
TRIM_EVERY = 8  # steps: each leaves free memory of other sizes, 20 MB of it for good
TRIM_FROM = 1_000_000_000  # resident bytes
PACKAGES = ("accelerate", "datasets", "peft", "sentence_transformers", "torch")
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: steps done, share of the course, mean loss of the last steps."""

    steps: int
    share: float
    loss: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out: the adapter, how many steps it took and how long, losses first and last."""

    adapter: Adapter
    steps: int
    seconds: float
    first_loss: float
    last_loss: float
    resumed: bool = False


def require_packages() -> None:
    """Raise NotConfigured, naming what to install, unless everything for a training is there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotConfigured(f"tuning needs {', '.join(missing)}: pip install 'kbqa[tune]'")


def trainable(spec: str) -> str:
    """Name or folder of the model behind an embedder's spec, for sentence-transformers.

    Raises BadRequest for an embedder that cannot be trained here.
    """
    base, _ = parted(spec)
    if base == DEFAULT_EMBEDDER:
        from retrieval.minilm import package_folder

        return str(package_folder())
    kind, _, model = base.partition(":")
    if kind == "st" and model:
        return model
    raise BadRequest(
        f"the embedder '{spec}' cannot be tuned: its weights are not on this machine (minilm and "
        "st:MODEL can; `kbqa reembed --embedder minilm` changes to one)"
    )


def train(
    spec: str,
    pairs: Sequence[Pair],
    batches: Sequence[Sequence[int]],
    *,
    guide: Embedder,
    seconds: float,
    folder: Path,
    key: str,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train an adapter for the embedder `spec`, which `guide` is, on batches of indices into
    `pairs`.

    `folder` is where a run that was killed is taken up, if its `key` (what it was made of) is the
    same. Raises NotConfigured, BadRequest, StorageError.
    """
    require_packages()
    with _quiet():
        course = _Course(spec, seconds, len(batches) * EPOCHS, folder / CHECKPOINT, key, seed)
        return course.run(pairs, batches, guide, on_progress)


class _Course:
    """One training; see `train`."""

    def __init__(
        self, spec: str, seconds: float, most_steps: int, checkpoint: Path, key: str, seed: int
    ) -> None:
        # what came before may have taken all of the time
        self._spec, self._seconds, self._most = spec, max(LEAST_SECONDS, seconds), most_steps
        self._checkpoint, self._key, self._seed = checkpoint, key, seed
        self._losses: list[float] = []
        self._spent = 0.0  # seconds, in all runs together
        self._begun = self._written = time.monotonic()

    def run(
        self,
        pairs: Sequence[Pair],
        batches: Sequence[Sequence[int]],
        guide: Embedder,
        on_progress: Callable[[Progress], None] | None,
    ) -> Trained:
        """Train until the time is spent or every pair was seen `EPOCHS` times."""
        import torch
        from datasets import Dataset
        from sentence_transformers import SentenceTransformerTrainer
        from transformers import PrinterCallback

        torch.manual_seed(self._seed)
        model = self._model()
        weights = [value for value in model.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
        resumed = self._take_up(model, optimizer)
        order = _Order(batches, skip=len(self._losses), seed=self._seed)
        rows = {
            "query": [pair.query for pair in pairs],
            "passage": [pair.passage for pair in pairs],
            "label": list(range(len(pairs))),
        }
        left = max(1, self._most - len(self._losses))
        trainer = SentenceTransformerTrainer(
            model=model,
            args=self._arguments(left, len(batches[0]), order, prompts_of(model)),
            train_dataset=Dataset.from_dict(rows),
            loss=guided_loss(model, pairs, guide),
            callbacks=[_callback(self, model, optimizer, on_progress)],
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
        )
        trainer.remove_callback(PrinterCallback)
        _keep_losses(trainer, self._losses)
        self._begun = self._written = time.monotonic()
        if not (resumed and self.is_over):
            try:
                trainer.train()
            except KeyboardInterrupt:  # the next call goes on from here
                if self._losses:
                    self.write(model, optimizer, force=True)
                raise
            self.write(model, optimizer, force=True)
        return self._trained(model, resumed)

    @property
    def spent(self) -> float:
        """Seconds of training so far, those of runs that were killed among them."""
        return self._spent + time.monotonic() - self._begun

    @property
    def share(self) -> float:
        """How much of the course is done, 0..1."""
        return min(1.0, max(self.spent / self._seconds, len(self._losses) / self._most))

    @property
    def is_over(self) -> bool:
        """Whether to stop."""
        return self.share >= 1.0

    @property
    def rate(self) -> float:
        """The rate of the next step: up within `WARM_UP`, then down to nothing."""
        share = self.share
        return RATE * min((share + 0.01) / WARM_UP, (1 - share) / (1 - WARM_UP), 1.0)

    def progress(self) -> Progress:
        """Where it is."""
        done = max(self.share, 1e-6)
        last = self._losses[-5:]
        left = min(self._seconds - self.spent, self.spent * (1 - done) / done)
        return Progress(
            len(self._losses), self.share, sum(last) / max(1, len(last)), max(0.0, left)
        )

    def write(self, model: Any, optimizer: Any, *, force: bool = False) -> None:
        """Keep what has been learned. Raises StorageError where there is no room."""
        if not force and time.monotonic() - self._written < WRITE_EVERY:
            return
        import torch

        self._written = time.monotonic()
        state = {
            "key": self._key,
            "spent": self.spent,
            "losses": list(self._losses),
            "weights": {n: v.detach() for n, v in model.named_parameters() if v.requires_grad},
            "optimizer": optimizer.state_dict(),
        }
        temporary = self._checkpoint.with_suffix(".part")
        try:
            self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, temporary)
            os.replace(temporary, self._checkpoint)
        except (OSError, RuntimeError) as exc:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            reason = getattr(exc, "strerror", None) or str(exc).splitlines()[0]
            raise StorageError(f"cannot write {self._checkpoint}: {reason}") from exc

    def _model(self) -> Any:
        from peft import LoraConfig
        from sentence_transformers import SentenceTransformer

        name = model_folder(
            trainable(self._spec),
            what=f"the embedder '{self._spec}'",
            owner=SENTENCE_TRANSFORMERS,
        )
        try:
            model = SentenceTransformer(name)
            model.add_adapter(
                LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear")
            )
        except Exception as exc:  # the seam to every library that a model may need
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            raise BadRequest(f"the embedder '{self._spec}' cannot be tuned: {reason}") from exc
        model.model_card_data.widget = [{}]  # else it draws some, and a bar of its progress
        model.max_seq_length = min(model.max_seq_length or WINDOW, WINDOW)
        return model

    def _take_up(self, model: Any, optimizer: Any) -> bool:
        """Go on from what a run that was killed has left; whether there was anything."""
        import torch

        try:
            state = torch.load(self._checkpoint, weights_only=True)
            if state["key"] != self._key:
                return False
            own = dict(model.named_parameters())
            for name, value in state["weights"].items():
                own[name].data.copy_(value)
            optimizer.load_state_dict(state["optimizer"])
            self._losses[:], self._spent = state["losses"], float(state["spent"])
        except (OSError, KeyError, ValueError, RuntimeError, EOFError, TypeError):
            return False
        except Exception as exc:
            if type(exc).__name__ == "UnpicklingError":  # half of a file
                return False
            raise
        return bool(self._losses)

    def _arguments(self, steps: int, size: int, order: _Order, prompts: dict[str, str]) -> Any:
        import torch
        from sentence_transformers import SentenceTransformerTrainingArguments

        on_gpu = torch.cuda.is_available()
        return SentenceTransformerTrainingArguments(
            output_dir=str(self._checkpoint.parent),
            max_steps=steps,
            per_device_train_batch_size=size,
            batch_sampler=lambda *_, **__: order,
            prompts=prompts,
            bf16=torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bf16(),
            use_cpu=not on_gpu,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=self._seed,
        )

    def _trained(self, model: Any, resumed: bool) -> Trained:
        ends = max(1, min(5, len(self._losses) // 2))
        mean = [
            sum(part) / max(1, len(part)) for part in (self._losses[:ends], self._losses[-ends:])
        ]
        return Trained(_adapter_of(model), len(self._losses), self.spent, mean[0], mean[1], resumed)


def prompts_of(model: Any) -> dict[str, str]:
    """What a model puts before a query and before a passage when it is used, if anything."""
    names = ("document", "passage", "corpus")  # as `encode_document` looks for them
    passage = next((name for name in names if name in model.prompts), "")
    found = {"query": model.prompts.get("query"), "passage": model.prompts.get(passage)}
    return {column: prompt for column, prompt in found.items() if prompt}


class _Order:
    """The batch sampler of the trainer: the batches in their order, over and over, each round
    shuffled anew."""

    def __init__(self, batches: Sequence[Sequence[int]], *, skip: int, seed: int) -> None:
        self._batches, self._skip, self._seed = batches, skip, seed
        self.batch_size, self.drop_last = len(batches[0]), False

    def __len__(self) -> int:
        return len(self._batches) * EPOCHS

    def __iter__(self) -> Iterator[list[int]]:
        import random

        chance = random.Random(self._seed)
        passed = 0
        for _ in range(EPOCHS):
            for batch in chance.sample(self._batches, len(self._batches)):
                passed += 1
                if passed > self._skip:
                    yield list(batch)

    def set_epoch(self, epoch: int) -> None:
        """The trainer's rounds are not ours."""


def _callback(
    course: _Course, model: Any, optimizer: Any, on_progress: Callable[[Progress], None] | None
) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Sets the rate, tells how far it is, writes, and stops when the time is spent."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            for group in optimizer.param_groups:
                group["lr"] = course.rate

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            if on_progress is not None:
                on_progress(course.progress())
            course.write(model, optimizer)
            if state.global_step % TRIM_EVERY == 0:
                give_back(above=TRIM_FROM)
            control.should_training_stop |= course.is_over
            return control

    return Watch()


def _keep_losses(trainer: Any, losses: list[float]) -> None:
    compute = trainer.compute_loss

    def kept(*arguments: Any, **options: Any) -> Any:
        loss = compute(*arguments, **options)
        losses.append(float(loss.detach()))
        return loss

    trainer.compute_loss = kept


def _adapter_of(model: Any) -> Adapter:
    from peft import get_peft_model_state_dict

    inner = model.transformers_model
    state = get_peft_model_state_dict(inner, adapter_name="default")
    arrays: Mapping[str, Any] = {
        name: value.detach().float().cpu().contiguous().numpy() for name, value in state.items()
    }
    return Adapter.of(arrays, scale=ALPHA / RANK)


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; emulated it is slower than float32."""
    import torch

    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()) or bool(
        getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of these libraries is printed."""
    import logging
    import warnings

    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging as transformers_logging

    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(before)
