"""Plugins from files, from entry points and as objects; each fault is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from ingest.errors import BadRequest, KbqaError, NotConfigured
from qa.chain import build_chain
from qa.layers import KBQA, chain_of, made
from qa.parts import Parts, WithParts
from qa.plugins.trace import trace
from qa.settings import DEFAULT_PLUGINS, load_settings
from qa.turn import Handler, Plugin, Turn

MINE = '''
from dataclasses import replace
from qa import Parts, Plugin, WithParts

def shout(turn, call_next):
    """Says it aloud."""
    turn = call_next(replace(turn, on_token=None))
    return replace(turn, text=turn.text.upper())

@WithParts
def numbered(parts: Parts) -> Plugin:
    """Says how many passages there may be."""
    def plugin(turn, call_next):
        turn = call_next(turn)
        return replace(turn, text=f"{turn.text} {parts.settings.top_k}")
    return plugin

LIMIT = 3

def alone(turn):
    return turn

@WithParts
def broken(parts):
    raise ZeroDivisionError("by zero")

@WithParts
def forgetful(parts):
    pass
'''


def parts() -> Parts:
    """Those of no base: what is tested here asks for settings only."""
    return Parts(cast(Any, None), cast(Any, None), load_settings())


def echo(turn: Turn) -> Turn:
    return Turn(turn.question, text="said")


@pytest.fixture
def mine() -> Path:
    file = Path("mine.py")
    file.write_text(MINE, "utf-8")
    return file


def answer_of(*specs: str | Plugin | WithParts) -> str:
    layers = [layer for layer in chain_of(specs) if layer.source != KBQA]
    return build_chain(made(layers, parts()), echo)(Turn("q")).text


def test_a_file_brings_plugins_and_what_makes_them(mine: Path) -> None:
    assert answer_of("./mine.py:shout") == "SAID"
    assert answer_of(f"{mine.resolve()}:numbered") == "said 8"
    assert answer_of("mine.py:shout", "mine.py:numbered") == "SAID 8"


def test_a_path_begins_where_the_settings_are(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.rename(tmp_path / "mine.py")
    (tmp_path / "other.toml").write_text("top_k = 3", "utf-8")
    monkeypatch.setenv("KBQA_CONFIG", str(tmp_path / "other.toml"))
    assert answer_of("./mine.py:numbered") == "said 3"


def test_a_list_of_others_stands_around_ours(mine: Path) -> None:
    layers = chain_of(["mine.py:shout"])
    assert [layer.name for layer in layers] == ["shout", *DEFAULT_PLUGINS]
    assert (layers[0].source, layers[0].description) == (str(mine.resolve()), "Says it aloud.")
    assert [layer.name for layer in chain_of(["retrieve", "mine.py:shout"])] == [
        "retrieve",
        "shout",
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gone.py:shout", ["there is no file", "gone.py"]),
        ("mine.py:shuot", ["has no 'shuot'", "alone, broken, forgetful, numbered, shout"]),
        ("mine.py:LIMIT", ["is a int, not a function (turn, call_next)"]),
        ("mine.py:alone", ["does not take (turn, call_next)", "@WithParts"]),
        ("mine.py:broken", ["could not be made: ZeroDivisionError: by zero"]),
        ("mine.py:forgetful", ["is a NoneType, not a function"]),
        ("retrive", ["did you mean 'retrieve'", "cite_sources", "FILE.py:NAME"]),
        ("", ["there is no plugin ''"]),
    ],
)
@pytest.mark.usefixtures("mine")
def test_faults_are_told(spec: str, words: list[str]) -> None:
    with pytest.raises(BadRequest) as caught:
        answer_of(spec)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def shout(:", "SyntaxError: "),
        ("import sys; sys.exit(7)", "SystemExit: 7"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told(text: str, words: str) -> None:
    Path("bad.py").write_text(text, "utf-8")
    with pytest.raises(BadRequest, match=r"bad\.py cannot be imported: ") as caught:
        answer_of("bad.py:shout")
    assert words in str(caught.value)


def test_our_errors_pass_through() -> None:
    @WithParts
    def needy(parts: Parts) -> Plugin:
        parts.llm("needy")
        return trace

    with pytest.raises(NotConfigured, match="'needy' needs an LLM"):
        answer_of(needy)


def test_what_returns_no_turn_is_told() -> None:
    def forgets(turn: Turn, call_next: Handler) -> Any:
        call_next(turn)

    with pytest.raises(BadRequest, match=r"forgets returned a NoneType; it must return the turn"):
        answer_of(forgets)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return call_next(None)", "called what is next with a NoneType, not with the turn"),
        ("return replace(call_next(turn), text=None)", "made 'text' of the turn a NoneType, not"),
        ("return call_next(replace(turn, query=3))", "made 'query' of the turn a int, not a str"),
        ("return replace(call_next(turn), notes='a')", "made 'notes' of the turn a str, not a tup"),
        ("yield call_next(turn)", "is a generator: a plugin is a plain function"),
    ],
)
def test_what_makes_the_turn_something_else_is_told(line: str, words: str) -> None:
    text = f"from dataclasses import replace\ndef odd(turn, call_next):\n    {line}\n"
    Path("odd.py").write_text(text, "utf-8")
    with pytest.raises(BadRequest, match=rf"plugin 'odd\.py:odd' {words}"):
        answer_of("odd.py:odd")


def test_a_plugin_that_is_async_is_told_before_it_is_called() -> None:
    async def later(turn: Turn, call_next: Handler) -> Turn:
        return call_next(turn)

    class Later:
        async def __call__(self, turn: Turn, call_next: Handler) -> Turn:
            return call_next(turn)

    for plugin in (later, Later()):
        with pytest.raises(BadRequest, match="is async: a plugin is a plain function"):
            chain_of([cast(Any, plugin)])


def test_a_fault_of_a_plugin_is_told_by_its_name_and_place() -> None:
    Path("bad.py").write_text("def boom(turn, call_next):\n    return 1 / 0\n", "utf-8")
    told = r"'bad\.py:boom' failed: ZeroDivisionError: .* \(bad\.py, line 2\)"
    with pytest.raises(KbqaError, match=told):
        answer_of("bad.py:boom")


def test_a_fault_further_in_stays_what_it_is() -> None:
    def outer(turn: Turn, call_next: Handler) -> Turn:
        return call_next(turn)

    def broken(turn: Turn) -> Turn:
        raise ZeroDivisionError

    (plugin,) = made(chain_of([outer])[:1], parts())
    with pytest.raises(ZeroDivisionError):
        plugin(Turn("q"), broken)


# --- entry points ---


def install(folder: Path, package: str, points: str) -> None:
    """A package as pip leaves it."""
    info = folder / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[kbqa.plugins]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "loud_kbqa.py").write_text(MINE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_entry_point_is_a_name_in_the_chain(site: Path) -> None:
    install(site, "loud", "loud = loud_kbqa:shout\nretrieve = loud_kbqa:shout")
    assert answer_of("loud") == "SAID"
    assert chain_of(["loud"])[0].source == "entry point of loud 1.2"
    assert chain_of(["retrieve", "build_prompt"])[0].source == KBQA


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("loud = nowhere_kbqa:shout", "nowhere_kbqa:shout cannot be imported: ModuleNotFound"),
        ("loud = loud_kbqa:shuot", "loud_kbqa:shuot cannot be imported: AttributeError"),
        ("loud = loud_kbqa:alone", "'loud' of 'loud 1.2' does not take"),
    ],
)
def test_an_entry_point_that_will_not_do_is_told(site: Path, point: str, words: str) -> None:
    install(site, "loud", point)
    with pytest.raises(KbqaError) as caught:
        answer_of("loud")
    assert words in str(caught.value)


def test_a_name_that_two_packages_bring_is_refused(site: Path) -> None:
    install(site, "loud", "loud = loud_kbqa:shout")
    install(site, "louder", "loud = loud_kbqa:shout")
    with pytest.raises(BadRequest, match=r"comes from .*loud 1\.2 and .*louder 1\.2"):
        chain_of(["loud"])
