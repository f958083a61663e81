"""`translate_answer`: an answer in the language of the question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qa.asking import asked_aside
from qa.citing.marks import NO_ANSWER
from qa.language import Language, language_of
from qa.models import ChatModel
from qa.neutral import between_dashes
from qa.prompting import Prompts
from qa.turn import Handler, Plugin, Turn
from retrieval.facts import languages_of

ENOUGH = 30  # characters from which the language of an answer is told


def translate_answer(model: ChatModel, prompts: Prompts) -> Plugin:
    """A plugin that has an answer in another language than the question's (zh or en) translated.

    The first `ENOUGH` characters decide; until then tokens are held back, and after that go
    through or wait for the translation. It stands inside `cite_sources`, which cites what is read.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        wanted = language_of(turn.question)
        gate = _Gate(wanted, turn.on_token)
        answered = call_next(replace(turn, on_token=gate.feed if turn.on_token else None))
        answered = replace(answered, on_token=turn.on_token)
        if not answered.abstained and is_foreign(answered.text, wanted):
            answered = _translated(answered, model, prompts, wanted)
            gate.shut(answered.text)
        else:
            gate.open()
        return answered

    return plugin


def is_foreign(text: str, wanted: Language) -> bool:
    """Whether a text is in the other one of the languages that kbqa speaks."""
    languages = languages_of(text[:ENOUGH]) if not text.startswith(NO_ANSWER) else []
    return bool(languages) and languages[0] in ("en", "zh") and wanted not in languages


def _translated(turn: Turn, model: ChatModel, prompts: Prompts, wanted: Language) -> Turn:
    prompt = prompts.fill("translate_answer", wanted, text=between_dashes(turn.text))
    turn, reply = asked_aside(turn, model, prompt, by="translate_answer")
    return replace(turn, text=reply) if reply else turn


class _Gate:
    """Holds tokens back until the language of the answer is known, and all of a foreign one."""

    def __init__(self, wanted: Language, emit: Callable[[str], None] | None) -> None:
        self._wanted = wanted
        self._emit = emit
        self._held = ""
        self._open = False

    def feed(self, token: str) -> None:
        """The next token."""
        self._held += token
        if self._open or (len(self._held) >= ENOUGH and not is_foreign(self._held, self._wanted)):
            self._open = True
            self._let_go()

    def open(self) -> None:
        """The answer may be read as it was written."""
        self._let_go()

    def shut(self, translation: str) -> None:
        """The answer is to be read as `translation`."""
        self._held = translation
        self._let_go()

    def _let_go(self) -> None:
        if self._emit and self._held:
            self._emit(self._held)
        self._held = ""
