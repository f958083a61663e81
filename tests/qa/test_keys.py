from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from ingest.errors import BadRequest, NotConfigured
from qa.keys import KeyFile, Stored, StoredKeys, masked

KEY = "sk-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package is not installed; a test that wants one brings its own."""
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "kbqa" / "keys.json"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What a keyring in memory holds, by name; it is the system's for the time of a test."""
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    held: dict[str, str] = {}

    class Memory(KeyringBackend):
        name = "memory"
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return held.get(username)

        def set_password(self, service: str, username: str, password: str) -> None:
            held[username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())  # type: ignore[no-untyped-call]
    yield held
    keyring.set_keyring(before)


def test_a_key_is_kept_in_a_file_of_its_owner(path: Path) -> None:
    assert StoredKeys(path).set("openai", f" {KEY}\n") == str(path)
    assert StoredKeys(path).get("openai") == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_keys_do_not_touch_each_other(path: Path) -> None:
    keys = StoredKeys(path)
    for provider in ("openai", "zai", "openai"):
        keys.set(provider, f"{provider}-{KEY}")
    assert keys.remove("openai") == [str(path)]
    assert keys.all() == [Stored("zai", f"zai-{KEY}", str(path))]
    assert keys.remove("openai") == []


def test_nothing_is_kept_at_first(path: Path) -> None:
    assert StoredKeys(path).get("openai") is None
    assert StoredKeys(path).all() == []
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    StoredKeys(path).set("openai", KEY)
    path.chmod(mode)
    for use in (
        lambda: StoredKeys(path).get("openai"),
        lambda: StoredKeys(path).all(),
        lambda: StoredKeys(path).set("openai", KEY),
    ):
        with pytest.raises(NotConfigured, match=rf"mode {mode:o}\).*chmod 600") as caught:
            use()
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", [f'{{"openai": "{KEY}"', "[]", f'{{"openai": ["{KEY}"]}}', "\0"])
def test_a_damaged_file_is_told_without_what_is_in_it(path: Path, text: str) -> None:
    StoredKeys(path).set("openai", KEY)
    path.write_text(text, "utf-8")
    with pytest.raises(NotConfigured, match="damaged") as caught:
        StoredKeys(path).get("openai")
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_cannot_be_read_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(NotConfigured, match="cannot be read"):
        StoredKeys(path).get("openai")


@pytest.mark.parametrize("key", ["", " \n", "sk-a sk-b", "sk-“a”", "sk-a\nsk-b"])
def test_what_is_no_key_is_told_without_it(path: Path, key: str) -> None:
    with pytest.raises(BadRequest, match="openai") as caught:
        StoredKeys(path).set("openai", key)
    assert "sk-" not in str(caught.value)
    assert not path.exists()


def test_keys_are_not_in_a_repr(path: Path) -> None:
    keys = StoredKeys(path)
    keys.set("openai", KEY)
    assert KEY not in repr(keys) + repr(keys.all()) + repr(KeyFile(path)) + str(vars(keys))


def test_a_mask_tells_the_end_of_a_long_key_only() -> None:
    assert masked(KEY) == "…cdef"
    assert masked("sk-12345678") == "…"


def test_the_keyring_is_used_where_there_is_one(path: Path, memory: dict[str, str]) -> None:
    keys = StoredKeys(path)
    assert keys.set("openai", KEY) == "keyring (memory)"
    assert memory["openai"] == StoredKeys(path).get("openai") == KEY
    assert not path.exists()
    assert keys.all() == [Stored("openai", KEY, "keyring (memory)")]
    assert keys.remove("openai") == ["keyring (memory)"]
    assert keys.all() == []


def test_a_key_lies_in_one_place(path: Path, memory: dict[str, str]) -> None:
    KeyFile(path).set("openai", "from before the keyring")
    KeyFile(path).set("zai", "only here")
    keys = StoredKeys(path)
    assert keys.get("zai") == "only here"
    keys.set("openai", KEY)
    assert [(found.provider, found.key) for found in keys.all()] == [
        ("openai", KEY),
        ("zai", "only here"),
    ]
    assert json.loads(path.read_text("utf-8")) == {"zai": "only here"}


@pytest.mark.parametrize("backend", [null.Keyring, fail.Keyring])
def test_a_keyring_that_keeps_nothing_is_not_used(
    path: Path, memory: dict[str, str], backend: type[KeyringBackend]
) -> None:
    keyring.set_keyring(backend())
    assert StoredKeys(path).set("openai", KEY) == str(path)


def test_a_keyring_that_is_locked_is_not_used(path: Path, memory: dict[str, str]) -> None:
    def locked(service: str, username: str) -> str | None:
        raise KeyringLocked

    vars(keyring.get_keyring())["get_password"] = locked
    assert StoredKeys(path).set("openai", KEY) == str(path)
