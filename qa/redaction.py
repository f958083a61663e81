"""Personal data and keys in a text, and placeholders for them.

What is found: mail addresses, telephone numbers (Chinese mobile and fixed lines, those with a
country code, North American ones), identity numbers (the 18 digits of China, US social security),
payment cards, IBANs, keys and passwords. Check digits are checked where there are any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from qa.model_wrappers import Around
from qa.models import Reply
from qa.streaming import StreamEditor
from qa.turn import Message

_FIRST, _LAST = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_GAP = r"[ .\-]?"


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character in "0123456789"]


def _is_phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15  # E.164


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: 13 to 19 digits, the last one by Luhn."""
    digits = _digits(text)[::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_chinese_id(text: str) -> bool:
    """GB 11643: the last character by ISO 7064 MOD 11-2."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def _is_iban(text: str) -> bool:
    """ISO 13616: MOD 97-10."""
    letters = re.sub(r"\s", "", text)
    number = "".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])
    return 15 <= len(letters) <= 34 and int(number) % 97 == 1


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "KEY",
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.{1,8000}?"
            r"-----END [A-Z ]{0,30}PRIVATE KEY-----"
            rf"|{_FIRST}(?:sk-[\w\-]{{16,200}}|gh[opusr]_[A-Za-z0-9]{{30,200}}|github_pat_\w{{22,200}}"
            r"|glpat-[\w\-]{20,100}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w\-]{35}|xox[abprs]-[\w\-]{10,200}"
            r"|hf_[A-Za-z0-9]{20,100}|LTAI[A-Za-z0-9]{12,30}|AKID[A-Za-z0-9]{13,40}"
            r"|eyJ[\w\-]{8,4000}\.[\w\-]{8,4000}\.[\w\-]{8,4000})"
            r"|(?<=Bearer )[A-Za-z0-9._\-]{20,4000}",
            re.DOTALL,
        ),
        bool,
    ),
    (
        "KEY",
        re.compile(
            r"(?:(?:api|access)[_\- ]?key|secret|token|password|passwd|pwd"
            r"|密码|密碼|口令|密钥|金鑰)"
            r"[\"']?[ \t]{0,3}[:=：是为][ \t]{0,3}[\"']?"
            r"(?P<secret>(?=[^\s\"',;，。；<>]{0,200}\d)[^\s\"',;，。；<>]{6,200})",
            re.IGNORECASE,
        ),
        bool,
    ),
    (
        "EMAIL",
        re.compile(
            rf"{_FIRST}[A-Za-z0-9._%+\-]{{1,64}}@(?:[A-Za-z0-9\-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}"
            rf"{_LAST}"
        ),
        bool,
    ),
    (
        "IBAN",
        re.compile(
            rf"{_FIRST}[A-Z]{{2}}\d{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?{_LAST}"
        ),
        _is_iban,
    ),
    (
        "ID",
        re.compile(
            rf"{_FIRST}\d{{6}}(?:18|19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{{3}}"
            rf"[\dXx]{_LAST}",
            re.ASCII,
        ),
        _is_chinese_id,
    ),
    ("ID", re.compile(rf"{_FIRST}(?!000|666|9)\d{{3}}-\d{{2}}-\d{{4}}{_LAST}", re.ASCII), bool),
    ("CARD", re.compile(rf"{_FIRST}[2-6](?:[ \-]?\d){{12,18}}{_LAST}", re.ASCII), _is_card),
    (
        "PHONE",
        re.compile(
            rf"{_FIRST}(?:\+?86{_GAP})?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}{_LAST}"
            rf"|\+\d{{1,3}}{_GAP}(?:\(\d{{1,4}}\){_GAP})?\d{{1,4}}(?:{_GAP}\d{{2,4}}){{1,5}}{_LAST}"
            rf"|[(（]0\d{{2,3}}[)）] ?\d{{4}}{_GAP}\d{{3,4}}{_LAST}"
            rf"|{_FIRST}0\d{{2,4}}[ \-]\d{{3,4}}{_GAP}\d{{3,4}}(?:-\d{{1,6}})?{_LAST}"
            rf"|(?<!\d[ .\-]){_FIRST}(?:\(\d{{3}}\) ?|\d{{3}}[ .\-])\d{{3}}[ .\-]\d{{4}}{_LAST}"
            rf"|{_FIRST}[48]00-\d{{3,4}}-\d{{3,4}}{_LAST}",
            re.ASCII,
        ),
        _is_phone,
    ),
)
_NAMES = "|".join(sorted({kind for kind, _, _ in _KINDS}))
_PLACEHOLDER = re.compile(rf"<(?:{_NAMES})_\d{{1,6}}>")
UNFINISHED = re.compile(r"<(?:[A-Z]{0,6}|[A-Z]{2,6}_\d{0,6})\Z")


class Redaction:
    """What was replaced by what. The same value has the same placeholder in all texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts` are all that will be hidden: a placeholder that stands in one is not used."""
        self._taken = {match[0] for text in texts for match in _PLACEHOLDER.finditer(text)}
        self._placeholders: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with placeholders such as `<EMAIL_1>`; `restore` takes it back."""
        for kind, pattern, holds in _KINDS:
            text = pattern.sub(partial(self._hidden, kind=kind, holds=holds), text)
        return text

    def restore(self, text: str) -> str:
        """The text with the values in place of the placeholders that `hide` gave out."""
        return _PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text)

    def _hidden(self, match: re.Match[str], kind: str, holds: Callable[[str], bool]) -> str:
        value = match.groupdict().get("secret") or match[0]
        if not holds(value):
            return match[0]
        if value not in self._placeholders:
            self._placeholders[value] = self._free(kind)
            self._values[self._placeholders[value]] = value
        start = match[0].rindex(value)
        return f"{match[0][:start]}{self._placeholders[value]}"

    def _free(self, kind: str) -> str:
        number = 1
        while (placeholder := f"<{kind}_{number}>") in self._taken:
            number += 1
        self._taken.add(placeholder)
        return placeholder


def hidden(messages: Sequence[Message]) -> tuple[tuple[Message, ...], Redaction]:
    """The messages as the LLM may see them, and the way back. Of an image the words that were read
    in it are redacted, the picture is not."""
    pictured = (image.text for message in messages for image in message.images)
    redaction = Redaction([*(message.content for message in messages), *pictured])
    return tuple(_hidden_in(message, redaction) for message in messages), redaction


def _hidden_in(message: Message, redaction: Redaction) -> Message:
    images = tuple(replace(image, text=redaction.hide(image.text)) for image in message.images)
    return replace(message, content=redaction.hide(message.content), images=images)


class RedactedModel(Around):
    """A `ChatModel` that sees placeholders and whose replies hold the values again."""

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply to the redacted messages, restored."""
        shown, redaction = hidden(messages)
        if on_token is None:
            reply = self._model.generate(shown)
        else:
            editor = StreamEditor(redaction.restore, UNFINISHED, on_token)
            reply = self._model.generate(shown, on_token=editor.feed)
            editor.finish()
        return replace(reply, text=redaction.restore(reply.text))
