from __future__ import annotations

import os
import pty
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qa.conversation import Conversations
from qa.knowledge_base import KnowledgeBase
from qa.server.database import Database
from qa.server.keys import Role
from qa.settings import load_settings
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.qa.server.serving import serving, settings_for

pytestmark = pytest.mark.integration


def conversations(location: Path) -> int:
    kept = Conversations(load_settings().state_dir / "conversations.sqlite")
    return len(kept.list(str(location)))


def converse(location: Path) -> None:
    Conversations(load_settings().state_dir / "conversations.sqlite").begin(str(location))


def test_it_is_gone_and_another_is_not(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    converse(base_folder)
    converse(tmp_path)
    done = kbqa("delete-base", "--kb", base_folder, "--yes")
    assert (done.code, done.out) == (0, f"removed the knowledge base at {base_folder}\n")
    assert [item for item in base_folder.parent.iterdir() if base_folder.name in item.name] == []
    assert (conversations(base_folder), conversations(tmp_path)) == (0, 1)
    is_one_clear_line(kbqa("status", "--kb", base_folder), 2, "no knowledge base")
    is_one_clear_line(kbqa("delete-base", "--kb", base_folder, "--yes"), 2, "no knowledge base")


def test_it_wants_to_be_told_which_and_that_it_is_meant(kbqa: Kbqa, base_folder: Path) -> None:
    is_one_clear_line(kbqa("delete-base", "--yes"), 2, "--kb")
    is_one_clear_line(kbqa("delete-base", "--kb", base_folder), 2, "--yes")
    assert kbqa("status", "--kb", base_folder).code == 0
    done = kbqa("delete-base", "--kb", base_folder, "--yes", "--json")
    assert done.json == {"deleted": str(base_folder)}


@pytest.mark.parametrize(("said", "code"), [("n\n", 1), ("y\n", 0)])
def test_at_a_terminal_it_asks(
    kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    near, far = pty.openpty()
    os.write(near, said.encode())
    with os.fdopen(near, "wb"), open(far, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        done = kbqa("delete-base", "--kb", base_folder)
    assert done.code == code
    assert f"Remove the knowledge base at {base_folder}?" in done.err
    assert base_folder.exists() is bool(code)


def test_a_base_in_use_stays(kbqa: Kbqa, kb: KnowledgeBase, base_folder: Path) -> None:
    is_one_clear_line(kbqa("delete-base", "--kb", base_folder, "--yes"), 9, "in use")
    assert kb.status().documents == 4


def test_what_a_server_has_kept_of_it_goes_too(
    kbqa: Kbqa, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_DATA_DIR", str(tmp_path / "data"))
    with serving(settings_for(tmp_path / "data", cache_dir)) as served:
        for name in ("work", "home"):
            served.service.bases.create(name)
            served.service.keys.create(Role.READER, [name])
    undone = "INSERT INTO jobs (id, kb, spec, state, created) VALUES ('1', 'work', '', 'queued', 0)"
    records = tmp_path / "data" / ".server"
    with closing(Database(records)) as database:
        database.write(undone)  # as a kill leaves it
    assert kbqa("delete-base", "--kb", "work", "--yes").code == 0
    with closing(Database(records)) as database:
        assert database.read("SELECT id FROM jobs") == []
    assert [key["kb"] for key in kbqa("access", "list", "--json").json["keys"]] == [["home"]]


def test_what_a_server_holds_is_removed_by_the_server(
    kbqa: Kbqa, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_DATA_DIR", str(tmp_path / "data"))
    with serving(settings_for(tmp_path / "data", cache_dir)) as served:
        served.service.bases.create("work")
        done = kbqa("--url", served.url, "delete-base", "--kb", "work", "--yes")
        assert (done.code, served.service.bases.names()) == (0, [])
        missing = kbqa("--url", served.url, "delete-base", "--kb", "work", "--yes")
        is_one_clear_line(missing, 2, "no knowledge base")
