"""README.md names everything that a user can set, call and get back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ingest.loaders import registry
from qa.cli import EXIT_CODES, app
from qa.layers import OURS, chain_of
from qa.parts import Parts
from qa.settings import Settings, load_settings
from qa.turn import Turn
from tests.qa.command_line import REPOSITORY

README = (REPOSITORY / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback
)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert re.search(rf"`(?:KBQA_)?{name}`", README, re.IGNORECASE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"kbqa {name}" in README


@pytest.mark.parametrize("name", OURS)
def test_every_plugin_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README[README.index("## Plugins") :]


def test_the_plugin_of_the_readme_works_as_it_stands() -> None:
    (mine,) = (block for block in BLOCKS if "def shout(" in block)
    assert len([line for line in mine.splitlines() if line]) <= 10
    Path("my_plugin.py").write_text(mine, "utf-8")
    named = chain_of(["./my_plugin.py:shout"])[0]
    plugin = named.make(Parts(cast(Any, None), cast(Any, None), load_settings()))
    assert plugin(Turn("q"), lambda turn: replace(turn, text="said")).text == "SAID"


def test_the_loader_of_the_readme_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    (mine,) = (block for block in BLOCKS if "@register(" in block)
    Path("docs").mkdir()
    Path("docs/handbook.md").write_text("# Leave\n\n26 days.", "utf-8")
    said: dict[str, Any] = {}
    exec(mine, said)
    assert [chunk.heading for chunk in said["chunks"]] == [("Leave",)]
    Path("talk.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello.", "utf-8")
    assert said["load"]("talk.vtt").text.startswith("WEBVTT")


@pytest.mark.parametrize("code", sorted({0, 1, 8, *EXIT_CODES.values()}))
def test_every_exit_code_is_in_the_readme(code: int) -> None:
    table = README[README.lower().index("exit code") :]
    assert re.search(rf"\b{code}\b", table)
