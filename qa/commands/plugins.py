"""`kbqa plugins`, and what `kbqa ask --show-prompt` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qa.command import Json, app, print_json, say
from qa.settings import Settings, load_settings
from qa.terminal import print
from retrieval.filters import Filters

if TYPE_CHECKING:
    from qa.layers import Layer


@app.command()
def plugins(json_: Json = False) -> None:
    """List the layers around the model, outermost first, and those that could be there."""
    from qa.configured import has_llm
    from qa.layers import available, chain_of

    settings = load_settings()
    llm = has_llm(settings.model)
    chain = chain_of(settings.plugins)
    named = {(layer.name, layer.source) for layer in chain}
    others = [layer for layer in available() if (layer.name, layer.source) not in named]
    if json_:
        print_json({
            "llm": llm,
            "chain": [_json(layer) for layer in chain],
            "available": [_json(layer) for layer in others],
        })  # fmt: skip
        return
    for number, layer in enumerate(chain, 1):
        print(f"{number:>2}. {_line(layer, llm)}")
    print("the model: " + (", ".join(settings.model)))
    for heading, layers in (("not in the chain:", others),) if others else ():
        print(f"\n{heading}")
        for layer in layers:
            print(f"    {_line(layer, llm)}")


def show_prompt_of(
    question: str, settings: Settings, filters: Filters | None, wants_json: bool
) -> None:
    """Print the messages that the LLM would be sent."""
    from qa.command_base import local

    with local(settings, "--show-prompt") as base:
        prompt = base.prompt(question, filters=filters)
    if wants_json:
        print_json({"prompt": [{"role": m.role, "content": m.content} for m in prompt]})
        return
    if not prompt:
        say("nothing would be sent: the documents do not answer this question")
    for message in prompt:
        print(f"--- {message.role} ---\n{message.content}\n")


def _json(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "source": layer.source,
        "needs_llm": layer.needs_llm,
        "description": layer.description,
    }


def _line(layer: Layer, llm: bool) -> str:
    lacking = "" if llm else ", none is configured"
    need = f"; needs an LLM{lacking}" if layer.needs_llm else ""
    return f"{layer.name:<18}{layer.description}{need}  ({layer.source})"
