"""A causal language model of a few thousand parameters, built here: words of its own, a chat
template, and an answer that it was taught by heart.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PROMPT = "Where is the tower?"
ANSWER = "the tower stands in Paris"
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <eos> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build(
    folder: Path,
    *,
    answer: str = ANSWER,
    steps: int = 60,
    words: Iterable[str] = (),
    positions: int = 256,
    layers: int = 2,
) -> Path:
    """Write a model that answers `PROMPT` with `answer` to `folder`; seconds on one core.

    `words` are further words that it knows, `positions` the tokens that it takes.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    torch.set_num_threads(1)  # on matrices this small, threads wait for each other
    logging.disable_progress_bar()
    known = sorted({*PROMPT.split(), *answer.split(), *ANSWER.split(), *words})
    special = ["<pad>", "<unk>", "<eos>", "<|system|>", "<|user|>", "<|assistant|>"]
    vocabulary = {word: index for index, word in enumerate([*special, *known])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<eos>",
        chat_template=TEMPLATE,
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=positions,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    _teach(model, tokenizer, answer, steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def teach_adapter(folder: Path, adapter: Path, answer: str, *, steps: int = 60) -> Path:
    """Train a LoRA adapter on the model in `folder` until it answers `PROMPT` with `answer`."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = LoraConfig(r=8, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # peft 0.21 uses what transformers 5 deprecates
        warnings.simplefilter("ignore", FutureWarning)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config)
    _teach(model, AutoTokenizer.from_pretrained(folder), answer, steps)
    model.save_pretrained(str(adapter))
    return adapter


def _teach(model: Any, tokenizer: Any, answer: str, steps: int) -> None:
    import torch

    chat = [{"role": "user", "content": PROMPT}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    tokens = tokenizer(f"{text} {answer} <eos>", return_tensors="pt")["input_ids"]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(steps):
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
