"""README.md names everything that a user can set, call and get back."""

from __future__ import annotations

import re

import pytest

from qa.cli import EXIT_CODES, app
from qa.settings import Settings
from tests.qa.commands import REPOSITORY

README = (REPOSITORY / "README.md").read_text("utf-8")
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


@pytest.mark.parametrize("code", sorted({0, 1, 8, *EXIT_CODES.values()}))
def test_every_exit_code_is_in_the_readme(code: int) -> None:
    table = README[README.lower().index("exit code") :]
    assert re.search(rf"\b{code}\b", table)
