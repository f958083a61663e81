"""What a passage can be filtered by beyond its own fields: language, tags, date of its document.

language  ISO 639-1 codes, one or (where both fill a fifth of the text) two; the metadata's if set
tags      of the metadata's tags, keywords and categories; in lower case
date      of the metadata, a moment in UTC; that of its file is in the ledger, where it may change
          without new passages, and `retrieval.filters` asks for it there
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ingest.documents import Document

SAMPLE = 20_000  # characters; more does not change the answer
SECOND = 0.2  # share from which a second script counts: a Chinese text full of English names has .1
TAG_FIELDS = ("tags", "tag", "keywords", "categories", "category")
DATE_FIELDS = ("date", "published", "publish_date", "sent", "modified", "updated", "created")
LANGUAGE_FIELDS = ("language", "lang")
_UNSAID = ("", "und", "mul", "zxx")  # ISO 639-2: not known, several, none
_SEPARATORS = re.compile(r"[,;|，；、]")
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})(?:\s*[-/.月]\s*(\d{1,2})日?)?")
_SCRIPTS = {
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af",
    "ru": "\u0400-\u04ff",
    "el": "\u0370-\u03ff",
    "ar": "\u0600-\u06ff",
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "th": "\u0e00-\u0e7f",
}
_OF_SCRIPT = {code: re.compile(rf"[{range_}]") for code, range_ in _SCRIPTS.items()}
_WORD = re.compile(r"[a-z\u00df-\u024f]+")
# the commonest words that the others do not have
_WORDS = {
    "en": "the of and to is that for with are this was by from which not",
    "de": "der die und das ist nicht mit den von ein eine auf werden sich auch",
    "fr": "le les et des est une du dans pour que qui sur pas avec sont",
    "es": "el los y que las del una por con para es como más pero sus",
    "it": "il di che è della per un sono gli nel alla con più anche delle",
    "pt": "o que não uma os do da em para com são dos as ao pelo",
    "nl": "het een van en dat niet zijn op voor met te aan wordt ook deze",
}
# what people and ISO 639-2 call them; a name alone, as metadata and filters have it
_NAMES = {
    "en": "eng english 英语 英文",
    "zh": "zho chi cmn chinese mandarin 中文 汉语 漢語 简体中文 繁體中文",
    "ja": "jpn japanese 日语 日本語",
    "ko": "kor korean 韩语 한국어",
    "ru": "rus russian 俄语 русский",
    "el": "ell gre greek",
    "ar": "ara arabic",
    "he": "heb hebrew",
    "hi": "hin hindi",
    "th": "tha thai",
    "de": "deu ger german 德语 deutsch",
    "fr": "fra fre french 法语 français",
    "es": "spa spanish 西班牙语 español",
    "it": "ita italian italiano",
    "pt": "por portuguese português",
    "nl": "nld dut dutch nederlands",
}
_CODES = {name: code for code, names in _NAMES.items() for name in names.split()}
_KNOWN_WORDS = {code: frozenset(words.split()) for code, words in _WORDS.items()}


def facts_of(document: Document) -> dict[str, Any]:
    """The payload fields of every chunk of a document; a fact that is not known is left out."""
    metadata = document.metadata
    date = date_of(metadata)
    return {
        "language": languages_of(document.text, metadata),
        "tags": tags_of(metadata),
        **({"date": date} if date else {}),
    }


def languages_of(text: str, metadata: Mapping[str, Any] | None = None) -> list[str]:
    """The languages of a text, the main one first; [] where there are no words of a known one."""
    for name in LANGUAGE_FIELDS:
        said = language_code(str((metadata or {}).get(name) or ""))
        if said not in _UNSAID:
            return [said]
    sample = text[:SAMPLE]
    counts = {code: len(script.findall(sample)) for code, script in _OF_SCRIPT.items()}
    if counts["ja"] > 0.1 * counts["zh"]:  # Japanese is written with Chinese characters too
        counts["ja"] += counts.pop("zh")
    latin = _WORD.findall(sample.lower())
    counts[_latin(latin)] = sum(map(len, latin)) // 2  # a character of Chinese says twice as much
    total = sum(counts.values())
    counts.pop("", None)
    order = sorted(counts.items(), key=lambda item: -item[1])
    return [code for code, count in order[:2] if count and count >= SECOND * total]


def language_code(said: str) -> str:
    """`zh-CN`, `zho` and `Chinese` as `zh`; what has no such code, as of a program, as it is."""
    said = said.strip().casefold()
    first = re.split(r"[-_]", said)[0]
    return _CODES.get(first, first)


def tags_of(metadata: Mapping[str, Any]) -> list[str]:
    """Tags in lower case, each once; `a, b; c` and lists are taken apart."""
    found: dict[str, None] = {}
    for name in TAG_FIELDS:
        value = metadata.get(name)
        parts: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
        for part in parts:
            if isinstance(part, str | int | float):
                words = _SEPARATORS.split(str(part).strip("[]"))
                found |= dict.fromkeys(word.strip(" \"'#").casefold() for word in words)
    return [tag for tag in found if tag]


def date_of(metadata: Mapping[str, Any]) -> str | None:
    """The moment as RFC 3339 has it; None if nothing says it."""
    for name in DATE_FIELDS:
        moment = _moment(str(metadata.get(name) or ""))
        if moment is not None:
            return _written(moment)
    return None


def modified(mtime_ns: int) -> str:
    """A file's time in the same form; "" for 0, which is no file."""
    return (_written(datetime.fromtimestamp(mtime_ns // 10**9, UTC)) or "") if mtime_ns else ""


def _latin(words: list[str]) -> str:
    """The language of words in Latin letters; "" where it cannot be told."""
    counts = Counter(words)
    scores = {code: sum(counts[w] for w in known) for code, known in _KNOWN_WORDS.items()}
    best = max(scores, key=lambda code: scores[code])
    return best if scores[best] >= max(1, 0.02 * len(words)) else ""


def _moment(text: str) -> datetime | None:
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        match = _DATE.match(text)
        if match is None:
            return None
        year, month, day = (int(part or 1) for part in match.groups())
        try:
            moment = datetime(year, month, day, tzinfo=UTC)
        except ValueError:
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _written(moment: datetime) -> str | None:
    try:
        return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):  # the first and last day of the calendar
        return None
