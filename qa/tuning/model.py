"""A local chat model learns to answer as the chain asks it: LoRA with trl's trainer."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest.errors import BadRequest, NotConfigured, StorageError
from qa.hf_model import parted
from qa.tuning.examples import Example, Examples
from retrieval.hub import model_folder

RANK, ALPHA = 16, 32
RATE = 2e-4  # of AdamW, at its highest
WARM_UP = 0.1  # of the course
EPOCHS = 3  # at most
PACKAGES = ("accelerate", "datasets", "peft", "torch", "transformers", "trl")
CARD = "card.json"

Step = Callable[[int, float], None]  # steps done, share of the course


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What came out: losses on the answers that were held out, before and after."""

    folder: Path
    steps: int
    seconds: float
    before: float
    after: float


def require_packages() -> None:
    """Raise NotConfigured, naming what to install, unless everything for a training is there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotConfigured(f"tuning needs {', '.join(missing)}: pip install 'kbqa[tune]'")


def place_of(spec: str) -> tuple[str, bool]:
    """Name or folder of the model behind `hf:...`, and whether its own code may run.

    Raises BadRequest for one that is not in this process, or has an adapter already.
    """
    kind, _, rest = spec.partition(":")
    if kind != "hf" or not rest:
        raise BadRequest(
            f"the model '{spec}' cannot be tuned here: name a local one, hf:NAME_OR_FOLDER; for "
            "OpenAI or DashScope, --export writes what their fine-tuning takes"
        )
    name, adapter, trusted = parted(spec)
    if adapter is not None:
        raise BadRequest(f"the model '{spec}' has an adapter already: name the model alone")
    return name, trusted


def train(
    spec: str,
    found: Examples,
    out: Path,
    *,
    minutes: float,
    corpus: str,
    seed: int = 0,
    on_step: Step | None = None,
) -> TrainedModel:
    """Train an adapter for the model `spec` and put it into the folder `out`, whole or not at all.

    The loss is that of the answers alone. Raises BadRequest if `out` exists or the model cannot be
    trained, NotConfigured, StorageError.
    """
    require_packages()
    name, trusted = place_of(spec)
    if out.exists():
        raise BadRequest(f"{out} exists already: name another folder")
    began = time.monotonic()
    with _quiet(), _written(out) as folder:
        trainer, course = _trainer(spec, name, trusted, found, folder, minutes, seed, on_step)
        before = float(trainer.evaluate()["eval_loss"])
        course.begin()
        trainer.train()
        after = float(trainer.evaluate()["eval_loss"])
        trainer.model.save_pretrained(str(folder))
        done = TrainedModel(out, course.steps, time.monotonic() - began, before, after)
        (folder / CARD).write_text(json.dumps(_card(spec, found, done, corpus), indent=1), "utf-8")
        for left in ("README.md", "work"):
            path = folder / left
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return done


class _Course:
    """Sets the rate by the share of the time that is spent, and stops when it is all spent."""

    def __init__(self, seconds: float, most_steps: int, on_step: Step | None) -> None:
        self._seconds, self._most, self._on_step = seconds, most_steps, on_step
        self._begun = time.monotonic()
        self.steps = 0

    def begin(self) -> None:
        """The time counts from here on."""
        self._begun = time.monotonic()

    @property
    def share(self) -> float:
        """How much of it is done, 0..1."""
        spent = (time.monotonic() - self._begun) / self._seconds
        return min(1.0, max(spent, self.steps / self._most))

    @property
    def rate(self) -> float:
        """Of the next step: up within `WARM_UP`, then down to nothing."""
        return RATE * min((self.share + 0.01) / WARM_UP, (1 - self.share) / (1 - WARM_UP), 1.0)

    def step(self) -> bool:
        """One is done; whether to stop."""
        self.steps += 1
        if self._on_step is not None:
            self._on_step(self.steps, self.share)
        return self.share >= 1.0


def _trainer(
    spec: str,
    name: str,
    trusted: bool,
    found: Examples,
    folder: Path,
    minutes: float,
    seed: int,
    on_step: Step | None,
) -> tuple[Any, _Course]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(seed)  # the adapter is drawn before the trainer would see to it
    on_gpu = torch.cuda.is_available()
    place = model_folder(name, what=f"model '{spec}'")
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=trusted)
        model = AutoModelForCausalLM.from_pretrained(
            place, dtype="auto" if on_gpu else torch.float32, trust_remote_code=trusted
        )
    except (OSError, ValueError, RuntimeError, KeyError) as exc:
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise NotConfigured(f"model '{spec}' cannot be loaded: {reason}") from exc
    model.name_or_path = name  # what the adapter says that it is for
    if not getattr(tokenizer, "chat_template", None):
        raise BadRequest(f"model '{spec}' has no chat template: choose a chat or instruct model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    room = getattr(model.config, "max_position_embeddings", None)
    training, held_out = (
        [_row(example) for example in some if _fits(tokenizer, example, room)]
        for some in (found.training, found.held_out)
    )
    if not training or not held_out:
        raise BadRequest(
            f"the prompts are too long for {spec}, which takes {room:,} tokens: lower prompt_tokens"
        )
    steps = EPOCHS * len(training)
    course = _Course(60 * minutes, steps, on_step)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder / "work"),
            max_steps=steps,
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            max_length=None,
            completion_only_loss=True,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            bf16=on_gpu and torch.cuda.is_bf16_supported(),
            gradient_checkpointing=False,
            use_cpu=not on_gpu,
            save_strategy="no",
            logging_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        ),
        train_dataset=Dataset.from_list(training),
        eval_dataset=Dataset.from_list(held_out),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=RANK,
            lora_alpha=ALPHA,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[_callback(course)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, course


def _callback(course: _Course) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Lets the course decide."""

        def on_step_begin(self, *_: Any, **given: Any) -> None:
            for group in given["optimizer"].param_groups:
                group["lr"] = course.rate

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop |= course.step()
            return control

    return Watch()


def _row(example: Example) -> dict[str, Any]:
    messages = example.row["messages"]
    return {"prompt": messages[:-1], "completion": messages[-1:]}


def _fits(tokenizer: Any, example: Example, room: int | None) -> bool:
    tokens = tokenizer.apply_chat_template(example.row["messages"], return_dict=True)["input_ids"]
    return room is None or len(tokens) <= room


def _card(spec: str, found: Examples, done: TrainedModel, corpus: str) -> Mapping[str, Any]:
    return {
        "model": spec,
        "kbqa": version("kbqa"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "corpus": corpus,
        "examples": len(found.training),
        "refusals": sum(example.refuses for example in found.training),
        "held_out": len(found.held_out),
        "steps": done.steps,
        "seconds": round(done.seconds),
        "loss": [round(done.before, 4), round(done.after, 4)],
    }


@contextmanager
def _written(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` when all has gone well."""
    from safetensors import SafetensorError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            yield folder
            folder.chmod(0o755)
            os.replace(folder, out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, SafetensorError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise StorageError(f"cannot write {out}: {reason}") from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of these libraries is printed."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging as transformers_logging

    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(before)


def sample(found: Sequence[Example], count: int) -> Sequence[Example]:
    """The first ones, a refusal among them where there is one."""
    refusals = [example for example in found if example.refuses]
    others = [example for example in found if not example.refuses]
    return [*others[: count - min(1, len(refusals))], *refusals[:1]]
