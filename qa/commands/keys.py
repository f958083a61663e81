"""`kbqa keys`: the keys of LLM providers, kept where only their owner can read them."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated

import typer

from ingest.errors import BadRequest
from qa.command import Json, app, print_json
from qa.keys import Stored, StoredKeys, masked
from qa.presets import PRESETS
from qa.settings import environ, keys_file
from qa.terminal import print

LANGCHAIN = "langchain:"

keys = typer.Typer(help="Keep the keys of LLM providers.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Provider = Annotated[str, typer.Argument(help="Such as openai, dashscope, or langchain:anthropic.")]


@keys.command("set", context_settings={"allow_extra_args": True})
def set_key(context: typer.Context, provider: Provider) -> None:
    """Keep a key in the keyring or a file of mode 0600; it is asked for, or read from stdin."""
    if context.args:
        raise BadRequest(
            "a key is no argument, which others could see: it is asked for, or read from stdin"
        )
    stored = StoredKeys(keys_file())
    place = stored.set(_known(provider), _given_key(provider))
    print(f"the key of {provider} is kept in {place}")


@keys.command("list")
def list_keys(json_: Json = False) -> None:
    """Show which keys there are, masked, and where each comes from; the first of a name counts."""
    found = [*_of_the_environment(), *StoredKeys(keys_file()).all()]
    found.sort(key=lambda key: key.provider)
    rows = [
        {"provider": key.provider, "key": masked(key.key), "source": key.place} for key in found
    ]
    if json_:
        print_json({"keys": rows})
        return
    for row in rows:
        print(f"{row['provider']}  {row['key']}  ({row['source']})")
    if not rows:
        print("there are no keys: `kbqa keys set PROVIDER`", file=sys.stderr)


@keys.command("remove")
def remove_key(provider: Provider) -> None:
    """Forget a key that was kept."""
    places = StoredKeys(keys_file()).remove(_known(provider))
    if not places:
        raise BadRequest(f"no key of {provider} is kept; `kbqa keys list` shows those that are")
    print(f"the key of {provider} was removed from {' and '.join(places)}")


def _given_key(provider: str) -> str:
    """What is typed without echo, or the first line of stdin."""
    if sys.stdin.isatty():
        return getpass.getpass(f"key of {provider}: ")
    return sys.stdin.readline()


def _of_the_environment() -> Iterator[Stored]:
    for preset in PRESETS.values():
        key = environ().get(preset.key_variable or "", "").strip()
        if key:
            yield Stored(preset.name, key, f"{preset.key_variable}")


def _known(provider: str) -> str:
    """The name of a provider. Raises BadRequest for one that kbqa has no use for a key of."""
    if provider in PRESETS or (provider.startswith(LANGCHAIN) and provider != LANGCHAIN):
        return provider
    close = get_close_matches(provider.lower(), PRESETS, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    raise BadRequest(
        f"there is no provider '{provider}': {guess}there are {', '.join(PRESETS)}, "
        f"and {LANGCHAIN}NAME"
    )
