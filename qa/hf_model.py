"""A local causal language model as a `ChatModel`, through `transformers`.

    hf:Qwen/Qwen3-0.6B                        a name on the hub that is in its cache
    hf:./models/glm                           a folder
    hf:Qwen/Qwen3-0.6B?adapter=./lora         with a LoRA adapter (needs peft)
    hf:THUDM/chatglm3-6b?trust_remote_code=1  runs the Python code that comes with the model

The model is loaded at the first question, on CUDA where there is a GPU, and stays loaded.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ingest.errors import BadRequest, NotConfigured, TimedOut
from qa.models import ModelOptions, Reply
from qa.openai_model import message_json, reply_of
from qa.reply_text import ReplyText
from qa.turn import Message
from retrieval.hub import model_folder

INSTALL = "pip install 'kbqa[hf]'"
ANSWER_TOKENS = 1024  # where the user names no limit: a model that never stops would go on
PATIENCE = 5  # an answer that keeps coming may last this many time-outs, as with servers
PARAMETERS = ("adapter", "trust_remote_code")


def open_hf_model(spec: str, options: ModelOptions) -> HfChatModel:
    """The model that `hf:NAME_OR_FOLDER[?adapter=FOLDER]` names. Loads nothing yet.

    Raises BadRequest for an unknown parameter or a folder that is not there.
    """
    name, adapter, trusted = parted(spec)
    for folder in filter(None, (_folder(name), adapter)):
        if not Path(folder).expanduser().is_dir():
            raise BadRequest(f"model '{spec}': there is no folder {folder}")
    return HfChatModel(
        spec,
        _folder(name) or name,
        adapter=adapter,
        trust_remote_code=trusted,
        options=options,
    )


def parted(spec: str) -> tuple[str, str | None, bool]:
    """Name or folder of the model, folder of its adapter, and whether its own code may run.

    Raises BadRequest for an unknown parameter.
    """
    name, _, query = spec.partition(":")[2].partition("?")
    # as in a URL, but for a plus: it may stand in the name of a folder
    written = [part.partition("=") for part in query.split("&") if part]
    given = {parameter: unquote(value) for parameter, _, value in written}
    unknown = given.keys() - set(PARAMETERS)
    if unknown:
        raise BadRequest(
            f"model '{spec}' has the unknown parameter '{sorted(unknown)[0]}': there are "
            f"{' and '.join(PARAMETERS)}"
        )
    trusted = given.get("trust_remote_code", "") in ("1", "true", "yes")
    return name, given.get("adapter"), trusted


def with_adapter(spec: str, folder: Path) -> str:
    """The spec of a model with the adapter in a folder, whatever that is called."""
    written = str(folder).replace("%", "%25").replace("&", "%26")
    return f"{spec}{'&' if '?' in spec else '?'}adapter={written}"


def _folder(name: str) -> str | None:
    """`name` as a folder, where it is written as one."""
    written = name.startswith((".", "/", "~")) or Path(name).is_dir()
    return str(Path(name).expanduser()) if written else None


class HfChatModel:
    """A `ChatModel` in this process. One answer at a time; threads wait for each other."""

    def __init__(
        self,
        spec: str,
        model: str,
        *,
        adapter: str | None,
        trust_remote_code: bool,
        options: ModelOptions,
    ) -> None:
        self._spec = spec
        self._place = model
        self._adapter = adapter
        self._trust = trust_remote_code
        self._options = options
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The spec as the user wrote it."""
        return self._spec

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The answer to `messages`; with `on_token`, streamed to it piece by piece.

        Raises NotConfigured for a missing package or model, BadRequest for a prompt beyond the
        model's context, TimedOut.
        """
        text = ReplyText(on_token)
        with self._lock:
            tokenizer, model = self._load()
            inputs = self._inputs(tokenizer, model, messages)
            prompt_tokens = inputs["input_ids"].shape[1]
            streamer = _Pieces(tokenizer, text.add)
            output = self._run(tokenizer, model, inputs, streamer)
        completion_tokens = output.shape[1] - prompt_tokens
        limit = self._options.max_tokens or ANSWER_TOKENS
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        finish = "length" if completion_tokens >= limit else "stop"
        return reply_of(self._spec, text.close(), usage, finish)

    def _run(self, tokenizer: Any, model: Any, inputs: Any, streamer: _Pieces) -> Any:
        import torch

        clock = _Clock(self._options.timeout * PATIENCE)
        sampling: dict[str, Any] = {"do_sample": False}
        if self._options.temperature > 0:
            sampling = {"do_sample": True, "temperature": self._options.temperature}
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=self._options.max_tokens or ANSWER_TOKENS,
                streamer=streamer,
                stopping_criteria=[clock],
                pad_token_id=_pad_token(tokenizer),
                **sampling,
            )
        if clock.late:
            raise TimedOut(
                f"{self._spec} did not finish in {clock.seconds:g} s: raise timeout, lower "
                "answer_tokens, or use a smaller model"
            )
        return output

    def _inputs(self, tokenizer: Any, model: Any, messages: Sequence[Message]) -> Any:
        chat = [message_json(message) for message in messages]
        try:
            inputs = tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        except ValueError as exc:  # transformers' own words when there is none
            raise BadRequest(
                f"model '{self._spec}' has no chat template: choose a chat or instruct model"
            ) from exc
        room = getattr(model.config, "max_position_embeddings", None)
        tokens = inputs["input_ids"].shape[1]
        if room and tokens >= room:
            raise BadRequest(
                f"the prompt has {tokens:,} tokens, {self._spec} takes {room:,}: "
                "lower prompt_tokens"
            )
        return inputs.to(model.device)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            started = time.monotonic()
            self._loaded = _load(self._spec, self._place, self._adapter, self._trust)
            logging.getLogger(__name__).info(
                "loaded %s in %.1f s", self._spec, time.monotonic() - started
            )
        return self._loaded


class _Pieces:
    """A streamer (see `transformers.TextStreamer`) whose words go to a function."""

    def __init__(self, tokenizer: Any, take: Callable[[str], None]) -> None:
        from transformers import TextStreamer

        streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        vars(streamer)["on_finalized_text"] = lambda text, stream_end=False: take(text)
        self.put, self.end = streamer.put, streamer.end


class _Clock:
    """A stopping criterion (see `transformers.StoppingCriteria`): the answer takes too long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.late = False
        self._ends = time.monotonic() + seconds

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        import torch

        self.late = time.monotonic() > self._ends
        return torch.full((input_ids.shape[0],), self.late, device=input_ids.device)


def _load(spec: str, place: str, adapter: str | None, trust: bool) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging
    except ImportError as exc:
        raise NotConfigured(f"model '{spec}' needs transformers: {INSTALL}") from exc
    place = model_folder(place, what=f"model '{spec}'")
    on_gpu = torch.cuda.is_available()
    # bars would be drawn into a command's output
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=trust)
        model: Any = AutoModelForCausalLM.from_pretrained(
            place, dtype="auto" if on_gpu else torch.float32, trust_remote_code=trust
        )
        if adapter:
            model = _adapted(spec, model, str(Path(adapter).expanduser()))
    except (OSError, ValueError, RuntimeError, KeyError) as exc:
        raise NotConfigured(f"model '{spec}' cannot be loaded: {_first_line(exc)}") from exc
    if model.generation_config is not None:  # a model's own sampling would fight with ours
        for name in ("temperature", "top_p", "top_k"):
            setattr(model.generation_config, name, None)
    return tokenizer, model.to("cuda" if on_gpu else "cpu").eval()


def _adapted(spec: str, model: Any, adapter: str) -> Any:
    try:
        from peft import PeftModel, get_peft_model_state_dict
        from peft.utils import load_peft_weights
    except ImportError as exc:
        raise NotConfigured(f"the adapter of model '{spec}' needs peft: {INSTALL}") from exc
    with warnings.catch_warnings():  # peft 0.21 uses what transformers 5 deprecates
        warnings.simplefilter("ignore")  # what does not fit, it only warns of
        try:
            adapted: Any = PeftModel.from_pretrained(model, adapter)
        except (RuntimeError, ValueError) as exc:
            if not (Path(adapter) / "adapter_config.json").is_file():
                raise
            raise _unfit(spec, adapter, _first_line(exc)) from exc
        strange = _lora_names(load_peft_weights(adapter, device="cpu")) ^ _lora_names(
            get_peft_model_state_dict(adapted, save_embedding_layers=False)
        )
        if strange:
            raise _unfit(spec, adapter, f"only one of them has {min(strange)}")
        return adapted.merge_and_unload()


def _lora_names(weights: Iterable[str]) -> set[str]:
    return {name for name in weights if ".lora_" in name}


def _unfit(spec: str, adapter: str, reason: str) -> NotConfigured:
    return NotConfigured(
        f"model '{spec}': the adapter in {adapter} is for another model ({reason}); name the one "
        "that it was trained for"
    )


def _pad_token(tokenizer: Any) -> int | None:
    pad: int | None = tokenizer.pad_token_id
    return pad if pad is not None else tokenizer.eos_token_id


def _first_line(exc: Exception) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(exc).__name__
