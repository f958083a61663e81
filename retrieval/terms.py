"""The words of the lexical leg: one analysis for passages and questions, in Chinese and English.

The engine's own tokenizers differ between the embedded engine, the server and qdrant-client's
local engine (which knows only plain words), see neither parts of identifiers nor two-character
Chinese words across their segmenter's cuts. So a text is analysed here and stored as terms between
blanks, and every engine indexes the same words.

- Latin and other spaced scripts: NFKC, lower case, English stop words out, Snowball stem; beside
  the stem the word itself, marked with `EXACT`: a passage that says "running" fits a question about
  running better than one that says "run".
- Identifiers whole and in parts: `ERR_CONN-1042` -> errconn1042 err conn 1042; `parseUrl` ->
  parseurl pars url.
- Chinese, Japanese kana, Korean: single characters and pairs (bigrams), traditional characters as
  their simplified ones.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

import Stemmer

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:[_\-.][^\W_{CJK}]+)*")
_PART = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")
_IS_CJK = re.compile(rf"[{CJK}]")
_IN_CJK = re.compile(rf"[{CJK}]+")

EXACT = "ǃ"  # U+01C3, a letter for every tokenizer and in no word of the languages indexed here

# The function words of English, articles to auxiliaries; question words among them, since a
# passage that answers "how many" says a number and not "how many".
STOP_WORDS = frozenset(
    [
        "i",
        "me",
        "my",
        "myself",
        "we",
        "our",
        "ours",
        "ourselves",
        "you",
        "your",
        "yours",
        "yourself",
        "yourselves",
        "he",
        "him",
        "his",
        "himself",
        "she",
        "her",
        "hers",
        "herself",
        "it",
        "its",
        "itself",
        "they",
        "them",
        "their",
        "theirs",
        "themselves",
        "what",
        "which",
        "who",
        "whom",
        "this",
        "that",
        "these",
        "those",
        "am",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "have",
        "has",
        "had",
        "having",
        "do",
        "does",
        "did",
        "doing",
        "a",
        "an",
        "the",
        "and",
        "but",
        "if",
        "or",
        "because",
        "as",
        "until",
        "while",
        "of",
        "at",
        "by",
        "for",
        "with",
        "about",
        "against",
        "between",
        "into",
        "through",
        "during",
        "before",
        "after",
        "above",
        "below",
        "to",
        "from",
        "up",
        "down",
        "in",
        "out",
        "on",
        "off",
        "over",
        "under",
        "again",
        "further",
        "then",
        "once",
        "here",
        "there",
        "when",
        "where",
        "why",
        "how",
        "all",
        "any",
        "both",
        "each",
        "few",
        "more",
        "most",
        "other",
        "some",
        "such",
        "no",
        "nor",
        "not",
        "only",
        "own",
        "same",
        "so",
        "than",
        "too",
        "very",
        "s",
        "t",
        "can",
        "will",
        "just",
        "don",
        "should",
        "now",
    ]
)

# What a question says beside what it asks about, where the stop words do not have it. In Chinese
# these must go before pairs are formed, or pairs would span them.
_QUESTION_WORDS = re.compile(
    r"\bhow (?:many|much|often)\b|\b(?:do|does|did|will|would) (?:i|we|you) need\b"
    "|请问|請問|多少|[什甚][么麼](?:[时時]候|意思)?|啥(?:[时時]候|意思)?|多久"
    "|怎么样|怎麼樣|怎样|怎樣|怎么|怎麼|咋|如何|[为為](?:[什甚][么麼]|何|啥)"
    "|哪一?[个個些里裡儿兒年天位家种種款]?|谁|誰|几|幾|吗|嗎|呢|的|了|是",
    re.IGNORECASE,
)

_HALF_WIDTH = {
    code: chr(code - 0xFEE0)
    for code in range(0xFF01, 0xFF5F)
    if chr(code).isalnum() or chr(code) in "－＿．／＋＃＠"
}
_stemmer = Stemmer.Stemmer("english")
_stemmer_lock = threading.Lock()  # a Stemmer keeps state between calls


def analyse(text: str) -> list[str]:
    """Terms of `text` in reading order, repetitions kept. Each is letters and digits only."""
    terms: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text)):
        run = match.group()
        if _IS_CJK.match(run):
            run = run.translate(_SIMPLIFIED)
            terms.extend(run)
            terms.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            terms.extend(_word_terms(run))
    return terms


def analyse_query(text: str) -> list[str]:
    """Terms of a question, each once: those of `analyse` without its question words."""
    return asked_about(text) or list(dict.fromkeys(analyse(text)))


def asked_about(text: str) -> list[str]:
    """As `analyse_query`, but [] for a question of nothing but question words ("为什么？")."""
    return list(dict.fromkeys(analyse(_QUESTION_WORDS.sub(" ", text))))


def half_width(text: str) -> str:
    """`text` with plain letters, digits and the signs of identifiers for full-width ones, of which
    an embedder's vocabulary knows nothing; Chinese punctuation stays."""
    return text.translate(_HALF_WIDTH)


def simplified(text: str) -> str:
    """`text` in NFKC, with simplified Chinese characters for traditional ones."""
    text = unicodedata.normalize("NFKC", text)
    return _IN_CJK.sub(lambda run: run.group().translate(_SIMPLIFIED), text)


def latin_names(terms: Iterable[str]) -> set[str]:
    """The words of other letters in a question that is mostly Chinese: names and abbreviations."""
    latin = {term for term in terms if not _IS_CJK.match(term)}
    characters = {term for term in terms if len(term) == 1 and term not in latin}
    return latin if 2 * len(stems(latin)) <= len(characters) else set()


def stems(terms: Iterable[str]) -> list[str]:
    """`terms` less the exact forms that stand beside stems: what words mean, each said once."""
    return [term for term in terms if not term.startswith(EXACT)]


@lru_cache(maxsize=20_000)
def _word_terms(word: str) -> tuple[str, ...]:
    parts = _PART.findall(word)
    terms = ["".join(parts).lower()] if len(parts) > 1 else []
    for part in parts:
        terms.extend(_stems([part.lower()]))
        humps = _CAMEL.findall(part) if not part.islower() else []
        if len(humps) > 1 and not any(hump.isdigit() for hump in humps):
            terms.extend(_stems([hump.lower() for hump in humps]))
    return tuple(terms)


def _stems(words: list[str]) -> Iterator[str]:
    """Stem and exact form of each word that is no stop word."""
    for word in words:
        if word not in STOP_WORDS:
            with _stemmer_lock:
                stem = _stemmer.stemWord(word)
            yield stem
            yield EXACT + word


class _Simplified(dict[int, str]):
    """Code point -> simplified character, for `str.translate`; filled as characters occur.

    Character by character: a word's simplification may depend on the words around it, and a
    question has others around it than the passage.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        found: str = _converter().convert(character)
        self[code] = found
        return found


@cache
def _converter() -> Any:
    from opencc import OpenCC  # opens a dictionary file: .1 s, for who has Chinese to read

    return OpenCC("t2s")


_SIMPLIFIED = _Simplified()
