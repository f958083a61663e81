"""Templates: kbqa's own, those of a base, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadRequest
from qa.language import LANGUAGES
from qa.prompting import PLACES, Prompts, prompts_of


def folder_of(file: str, template: str | bytes) -> Path:
    folder = Path("prompts")
    folder.mkdir()
    content = template if isinstance(template, bytes) else template.encode()
    (folder / file).write_bytes(content)
    return folder


def test_every_template_is_shipped_in_both_languages() -> None:
    for name, places in PLACES.items():
        for language in LANGUAGES:
            filled = Prompts().fill(name, language, **dict.fromkeys(places, "<here>"))
            assert filled.count("<here>") >= len(places)


@given(st.text(), st.text())
def test_what_stands_in_a_place_is_not_looked_at_again(sources: str, question: str) -> None:
    before, _, after = Prompts().fill("user", "en", sources="\0", question=question).partition("\0")
    filled = Prompts().fill("user", "en", sources=sources, question=question)
    assert filled == f"{before}{sources}{after}"


def test_a_base_has_its_own_and_kbqas_for_the_rest() -> None:
    own = Prompts(folder_of("user.en.txt", "\ufeffQ {question}\nJSON {} {x}\nS {sources}\n"))
    assert own.fill("user", "en", sources="s", question="q") == "Q q\nJSON {} {x}\nS s"
    assert own.fill("user", "zh", sources="s", question="q").startswith("资料")
    assert own.version != Prompts().version == Prompts().version


@pytest.mark.parametrize(
    ("file", "template", "words"),
    [
        ("user.en.txt", "Answer {question}", "user.en.txt lacks {sources}"),
        ("user.zh.txt", "回答", "user.zh.txt lacks {sources} and {question}"),
        ("usr.en.txt", "{sources}{question}", "usr.en.txt is no prompt; there are system.en.txt"),
        ("system.en.txt", " \n", "system.en.txt is empty"),
        ("system.zh.txt", "你只".encode("gbk"), "system.zh.txt cannot be read as UTF-8"),
    ],
)
def test_a_template_that_will_not_do_is_told(file: str, template: str | bytes, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Prompts(folder_of(file, template))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_setting_stands_over_the_bases_folder(tmp_path: Path) -> None:
    in_base = folder_of("system.en.txt", "of the base")
    configured = tmp_path / "mine"
    configured.mkdir()
    (configured / "system.en.txt").write_text("of the setting", "utf-8")
    assert prompts_of(None, None).fill("system", "en").startswith("You answer")
    assert prompts_of(tmp_path, None).fill("system", "en").startswith("You answer")
    assert prompts_of(in_base.parent, None).fill("system", "en") == "of the base"
    assert prompts_of(in_base.parent, configured).fill("system", "en") == "of the setting"
    with pytest.raises(BadRequest, match="there is no folder nowhere"):
        prompts_of(None, Path("nowhere"))
