"""What every test stands on: no network but the loopback, no settings but its own, one model."""

from __future__ import annotations

import os
import signal

# A shell that starts the suite in the background has it ignore Ctrl-C, and so would its children
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# before anything imports huggingface_hub, which reads them once
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    DO_NOT_TRACK="1",
)

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from pytest_socket import socket_allow_hosts

from tests.lent_embedder import LentEmbedder
from tests.sample_base import Outcome, environment_of, sample_base

LOOPBACK = ["127.0.0.1", "::1", "localhost"]
FOREIGN_PREFIXES = ("KBQA_", "OPENAI_", "QDRANT_", "LANGCHAIN_", "LANGSMITH_", "XDG_")
FOREIGN_SUFFIXES = ("_API_KEY", "_PROXY", "_BASE_URL")

# The same examples on every machine; `--hypothesis-profile=random` looks for new ones.
settings.register_profile("kbqa", deadline=None, database=None, derandomize=True)
settings.register_profile("random", deadline=None, database=None)
settings.load_profile("kbqa")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are called by their length: archives hold the time at which they were made, and the
    processes of pytest-xdist must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What loads torch comes first: pytest-xdist gives the first half of the tests to one process,
    of which others take from the end, so that no second one loads it."""
    items.sort(key=lambda item: item.get_closest_marker("torch") is None)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once for all tests, also under pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def user_cache(shared_folder: Path) -> Path:
    """`XDG_CACHE_HOME` of all tests: the model is converted once."""
    folder = shared_folder / "user-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def cache_dir(user_cache: Path) -> Path:
    """Folder of the converted model; the default of the setting `cache_dir` within tests."""
    return user_cache / "kbqa"


@pytest.fixture(scope="session")
def embedder(cache_dir: Path) -> LentEmbedder:
    """The default embedder, opened once."""
    return LentEmbedder(cache_dir)


@pytest.fixture(scope="session")
def made_sample_base(shared_folder: Path, user_cache: Path) -> tuple[Path, Outcome]:
    """A base of sample_docs (to be copied, not opened), and how its process went."""
    folder = shared_folder / "sample-base"
    folder.mkdir(exist_ok=True)
    return sample_base(folder, environment_of(folder, user_cache))


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder after the other."""
    parent = tmp_path_factory.mktemp("homes")
    return (parent / str(number) for number in count())


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Only the loopback and Unix sockets; pytest-socket lifts it after each test."""
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _no_foreign_settings(
    monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path], user_cache: Path
) -> None:
    """A home, a current folder and an environment in which nobody has configured anything."""
    for name in list(os.environ):
        upper = name.upper()
        foreign = upper.startswith(FOREIGN_PREFIXES) or upper.endswith(FOREIGN_SUFFIXES)
        if foreign and name != "KBQA_TEST_QDRANT_URL":
            monkeypatch.delenv(name)
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))
    monkeypatch.chdir(home)
