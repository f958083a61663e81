from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.errors import BadRequest
from qa.conversation import Conversations
from qa.server.database import FILE, Database
from qa.server.keys import Keys, Role
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.sample_base import copy_base


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    with closing(Database(tmp_path)) as database:
        yield Keys(database)


def test_a_key_is_found_by_its_text_alone(keys: Keys) -> None:
    key, text = keys.create(Role.EDITOR, ["a", "b"], "for CI")
    assert keys.find(text) == key
    assert (key.role, key.bases, key.note) == (Role.EDITOR, frozenset("ab"), "for CI")
    secret = text.split("_", 2)[2]
    wrong = [
        "", "kbqa", text[:-1], text + "x", text.replace("_", "-"), key.id, f"kbqa_{key.id}_",
        f"kbqa_{key.id[::-1]}_{secret}", "\ud800",
    ]  # fmt: skip
    for guess in wrong:
        assert keys.find(guess) is None


def test_only_a_hash_is_kept_in_a_file_of_the_owner(keys: Keys, tmp_path: Path) -> None:
    _, text = keys.create(Role.READER)
    for file in tmp_path.iterdir():
        assert text.split("_", 2)[2].encode() not in file.read_bytes()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_roles_include_each_other() -> None:
    assert [role.covers(Role.EDITOR) for role in Role] == [False, True, True]


def test_records_outlive_the_process(tmp_path: Path) -> None:
    with closing(Database(tmp_path)) as database:
        _, text = Keys(database).create(Role.READER)
    with closing(Database(tmp_path)) as database:
        assert Keys(database).needed()
        assert Keys(database).find(text)
        with pytest.raises(BadRequest, match="there is no key"):
            Keys(database).revoke("nothing")


def test_a_key_for_a_removed_base_is_not_for_another_of_its_name(keys: Keys) -> None:
    _, alone = keys.create(Role.READER, ["a"])
    _, both = keys.create(Role.READER, ["a", "b"])
    _, other = keys.create(Role.READER, ["b"])
    _, everywhere = keys.create(Role.READER)
    keys.forget_base("a")
    assert keys.find(alone) is None
    found = [keys.find(text) for text in (both, other, everywhere)]
    of_b = frozenset("b")
    assert [key.bases if key else "revoked" for key in found] == [of_b, of_b, None]


def test_with_the_last_key_revoked_a_key_is_still_needed(keys: Keys) -> None:
    assert not keys.needed()
    key, _ = keys.create(Role.READER)
    assert keys.needed()
    keys.revoke(key.id)
    assert keys.needed()


def test_the_command_makes_lists_and_revokes(kbqa: Kbqa) -> None:
    made = kbqa("access", "create", "--role", "reader", "--kb", "handbook", "--json").json
    assert made["key"].startswith(f"kbqa_{made['id']}_")
    listed = kbqa("access", "list").out
    assert made["id"] in listed
    assert "handbook" in listed
    assert made["key"] not in listed
    assert kbqa("access", "revoke", made["id"]).code == 0
    assert kbqa("access", "list", "--json").json == {"keys": []}
    is_one_clear_line(kbqa("access", "revoke", made["id"]), 2, made["id"])
    is_one_clear_line(kbqa("access", "create", "--role", "king"), 2, "king")


def test_conversations_of_a_revoked_key_are_forgotten(
    kbqa: Kbqa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_DATA_DIR", str(tmp_path))
    ids = [kbqa("access", "create", "--role", "reader", "--json").json["id"] for _ in range(2)]
    kept = Conversations(tmp_path / ".server" / "conversations.db")
    for id_ in ids:
        kept.begin(f"handbook/{id_}")
    assert kbqa("access", "revoke", ids[0]).code == 0
    assert [len(kept.list(f"handbook/{id_}")) for id_ in ids] == [0, 1]


def test_a_key_for_a_base_that_is_not_there_is_told(
    kbqa: Kbqa, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    copy_base(library, tmp_path / "data" / "library")
    monkeypatch.setenv("KBQA_DATA_DIR", str(tmp_path / "data"))
    made = kbqa("access", "create", "--role", "reader", "--kb", "libary")
    assert (made.code, made.err.count("no knowledge base 'libary' yet")) == (0, 1)
    made = kbqa("access", "create", "--role", "reader", "--kb", "library")
    assert (made.code, "no knowledge base" in made.err) == (0, False)
    wrong = kbqa("access", "create", "--role", "reader", "--kb", "library,other")
    is_one_clear_line(wrong, 2, "library,other")


def test_other_machines_need_keys(kbqa: Kbqa) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "example.com"):
        is_one_clear_line(kbqa("serve", "--host", host, "--port", "0"), 2, host, "kbqa access")
