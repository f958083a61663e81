"""What a text claims, as far as it can be compared word by word: terms, names, quantities.

In Chinese and English. Nothing here knows a model; claims are remembered, since the sentences of
the same passages are asked about again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from qa.citing.quantities import Quantity, codes, months, quantities, without_quantities
from retrieval.terms import CJK, STOP_WORDS, analyse, simplified, stems

_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_WORD = re.compile(rf"[{CJK}]+|[{_LATIN}](?:[{_LATIN}0-9_'’&.-]*[{_LATIN}0-9])?")
_IS_CJK = re.compile(rf"[{CJK}]")
_FUNCTION_CHARACTERS = re.compile(
    "(?<![禁停启服专])用|[的了是在为由从和与及或到至于把被就也都可以会能要需其该此这那里中时使]"
)
_STOP = re.compile(r"[.!?。！？:：\n|]")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a text says.

    `terms`: stems of content words, pairs of Chinese characters. `names`: names and identifiers,
    squeezed as in `squeezed`, which is the whole text in lower case, letters and digits only;
    `named` are the terms that stand for them.
    """

    terms: frozenset[str]
    names: frozenset[str]
    quantities: tuple[Quantity, ...]
    squeezed: str
    named: frozenset[str] = frozenset()


@lru_cache(maxsize=1024)
def claim_of(text: str) -> Claim:
    """The claim of a sentence or two."""
    names = frozenset(_names(simplified(text)))
    called = " ".join(word for word in content_words(text) if _squeeze(word) in names)
    return Claim(
        terms=content_terms(text),
        names=names,
        quantities=tuple(quantities(text)),
        squeezed=_squeeze(simplified(text)),
        named=content_terms(called) if called else frozenset(),
    )


@lru_cache(maxsize=2048)
def content_terms(text: str) -> frozenset[str]:
    """Stems of the words of `text` without function words and numbers; pairs for Chinese."""
    found = stems(analyse(" ".join(content_words(text))))
    pairs = {term for term in found if len(term) > 1 or not is_cjk(term)}
    return frozenset(pairs or found)


def content_words(text: str) -> list[str]:
    """Words in order without function words and numbers; runs of characters for Chinese."""
    plain = _FUNCTION_CHARACTERS.sub(" ", simplified(without_quantities(text)))
    return [word for word in _WORD.findall(plain) if word.lower() not in STOP_WORDS]


def is_cjk(word: str) -> bool:
    """Whether `word` is Chinese, by its first character."""
    return _IS_CJK.match(word) is not None


def _names(text: str) -> Iterator[str]:
    """Words with a capital, unless only the first word of a sentence has it, and identifiers."""
    yield from map(_squeeze, codes(text))
    before, first = 0, ""
    for match in _WORD.finditer(text):
        word = match.group()
        begins = before == 0 or _STOP.search(text, before, match.start()) is not None
        follows = first if text[before : match.start()] == " " else ""
        before, first = match.end(), ""
        is_letter = len(word) == 1 and word.isupper() and word != "I" and not begins  # rated A
        if is_cjk(word) or (word.lower() in STOP_WORDS and not is_letter) or months(word):
            continue
        capitals = sum(character.isupper() for character in word)
        if capitals > (begins and word[0].isupper()):
            yield from (_squeeze(name) for name in (follows, word) if name)
        elif begins and capitals:
            first = word


def squeezed(text: str) -> str:
    """The letters and digits of `text`."""
    return "".join(filter(str.isalnum, text))


def _squeeze(text: str) -> str:
    return squeezed(text.lower())
