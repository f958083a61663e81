"""What kind of answer a question asks for, and whether a sentence holds one of that kind.

Read from question words and surface forms, in Chinese (both scripts) and English: no model, and
nothing but the two texts. A kind is a hint that ranks sentences, never a condition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from retrieval.terms import CJK, analyse, stems

Kind = Literal["time", "number", "person", "reason"]

_QUESTIONS: Mapping[Kind, str] = {
    "time": (
        r"\bwhen\b|\bhow soon\b|\b(?:what|which) (?:\w+ ){0,2}?"
        r"(?:years?|dates?|days?|months?|century|decade|times?|era|period|season)\b"
        r"|[何那][时時]|[什甚][么麼][时時][候间間]|[哪几幾]一?[年月天日点點]|哪[个個]?[时時]"
        r"|哪[个個]?(?:世[纪紀]|朝代|年代)|[几幾]世[纪紀]|何[年日]|(?:[时時][间間]|日期)是"
    ),
    "number": (
        r"\bhow (?:many|much|long|old|far|often|large|big|tall|fast|high|wide|deep|heavy|hot)\b"
        r"|\b(?:what|which) (?:\w+ ){0,3}?(?:percentage|percent|number|price|amount|rate|share|"
        r"fraction|proportion|ratio|temperature|costs?|fee|size|length|distance|population|"
        r"score|age|speed|total|version|code|torque|pressure|dose|limit)\b"
        r"|多少|[几幾](?![乎何])|多[久长長大高快远遠深宽寬厚重]|百分之|第[几幾]|比例|[编編][号號]|[号號][码碼]"
    ),
    "person": r"\bwho(?:m|se)?\b|[谁誰]|何人|哪一?位|哪[个個]?人|[什甚][么麼]人|[负負][责責]人",
    "reason": (
        r"\bwhy\b|\bhow come\b|\bwhat (?:caused|causes|made|led to)\b"
        r"|\bfor what (?:reason|purpose)"
        r"|\bwhat (?:is|was|were|are) the (?:\w+ )?(?:reasons?|causes?|purpose)\b"
        r"|[为為][什甚][么麼]|[为為]何|原因|[什甚][么麼]理由|目的"
    ),
}
_ASKS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _QUESTIONS.items()}
_WHETHER = re.compile(
    r"^(?:is|are|was|were|do|does|did|can|could|may|must|should|will|would|has|have|had|am)\b"
    r"|[吗嗎]\W*$|[是能可]否|有[没沒]有|是不是|[能会會]不[能会會]|可不可以|需不需要|要不要",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|spring|summer|autumn|winter|centur(?:y|ies)|"
    r"decades?|annually|yearly|monthly|weekly|daily)\b|\b1\d{3}s?\b|\b20\d\d\b|\b\d{1,2}:\d\d\b"
    r"|\b\d+ ?(?:bc|bce|ad|ce|am|pm|a\.m|p\.m)\b|[\d一二三四五六七八九十〇]\s*[年月日号號点點时時]"
    r"|世[纪紀]|年代|星期|周[一二三四五六日]|[春夏秋冬][季天]|朝|[时時]期",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d+(?:[.,:]\d+)*"
    r"|[零一二三四五六七八九十百千万萬亿億兩两半数數几幾]+(?=[年月日天周週个個次人名种種元倍位间間家条條座只隻本张張台点點分秒小])"
    r"|[百千万萬亿億]"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundreds?|thousands?|millions?|billions?|once|twice|half|halves|dozens?|third|"
    r"quarter|double|triple|first|second|fourth|fifth|zero|none|several)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since|due to|owing to|as a result|therefore|thus|hence|in order to|so that|"
    r"so as to|caused|causing|reasons?|led to|leading to|resulted|prevents?|allows?|to avoid)\b"
    r"|因[为為此而]|由[于於]|所以|[为為]了|以[便免]|[导導]致|使得|原因|[从從]而|避免|防止",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"[A-Z][\w'’.-]+(?:\s+(?:(?:de|von|van|of|the|al|bin|du|la|le)\s+)?[A-Z][\w'’.-]+)*"
)
_PERSON_ZH = re.compile(
    rf"[{CJK}]·[{CJK}]|先生|女士|教授|博士|[总總][统統理]|主席|[国國]王|皇帝|女王|[公伯]爵|[学學作画畫]家"
    r"|[牧医律導导][师師生演]|[将將][军軍]|[队隊市部][长長]|[演球][员員]|工程[师師]|[记記]者|首相|[经經]理"
)
_ASKS_VERSION = re.compile(
    r"\b(?:which|what) (?:\w+ )?(?:version|release)\b|哪一?[个個]?版本", re.I
)
_VERSION = re.compile(r"\b[vV]?\d+(?:\.\d+)+\b", re.ASCII)
_ASKS_PRICE = re.compile(
    r"\b(?:price|cost|costs|fee|fees|charge|expensive|how much (?:is|are|does|do|did))\b"
    r"|多少[钱錢元]|[价價][格钱錢位]|[费費]用|售[价價]|[几幾]块",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[$€£¥￥]\s?\d|(?<!\d)(?<!\d[,.])\d[\d,.]*+\s?"  # possessive: linear in digits
    r"(?:[$€£¥￥]|[萬万亿億千]?元|[块塊][钱錢]|(?:USD|EUR|GBP|CNY|RMB|euros?|dollars?|pounds?|cents?|yuan)\b)",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\bhow (?:many|much)\s+(\w+)(?:\s+(\w+))?", re.IGNORECASE)
_COUNTED_ZH = re.compile(
    r"(?:多少|[几幾])\s*([年月日天周週个個次人名种種元倍位家条條座只张張台分秒米克吨公英])"
)
_DIGIT_ZH = r"[\d一二三四五六七八九十百千万萬亿億兩两半]\s*"
MANY_NAMES = 3  # new names that count fully: more of them are a list of people, not an answer


def kind_of(question: str) -> Kind | None:
    """The kind of answer that `question` asks for; None where it cannot be told."""
    return next((kind for kind, pattern in _ASKS.items() if pattern.search(question)), None)


def asks_whether(question: str) -> bool:
    """Whether the answer is yes or no, for which a sentence may say the question's own words."""
    return bool(_WHETHER.search(question.strip()))


def holds(kind: Kind, question: str, sentence: str) -> float:
    """Whether `sentence` holds an answer of that kind which the question does not say, 0..1."""
    said = question.lower()
    if kind == "reason":
        return float(bool(_REASON.search(sentence)))
    if kind == "person":
        new = sum(name.lower() not in said for name in _NAME.findall(sentence))
        named = min(new, MANY_NAMES) / MANY_NAMES
        return max(named, float(any(m not in said for m in _matches(_PERSON_ZH, sentence))))
    pattern = _TIME if kind == "time" else _NUMBER
    return float(any(match.lower() not in said for match in _matches(pattern, sentence)))


def names_price(question: str, sentence: str) -> bool:
    """Whether the question asks for a price and `sentence` has an amount of money."""
    return bool(_ASKS_PRICE.search(question) and _MONEY.search(sentence))


def without_price(question: str) -> str:
    """The question without the words that ask for a price: what the price is of."""
    return _ASKS_PRICE.sub(" ", question)


def told_by_heading(question: str, sentence: str, under: str) -> str:
    """The innermost of the headings (a line each) that has the time or the version asked for, where
    the sentence has none: "2.3 (May 2024)" above "New: dark mode"; "" otherwise. The outermost is
    of the whole document, and counts only if it is all there is."""
    asks_version = _ASKS_VERSION.search(question) is not None
    if not under or not (asks_version or kind_of(question) == "time"):
        return ""

    def tells(text: str) -> bool:
        return bool(_VERSION.search(text) if asks_version else holds("time", question, text))

    above = under.split("\n")
    inner = above[1:] or above
    return "" if tells(sentence) else next(filter(tells, reversed(inner)), "")


def counts_the_same(question: str, sentence: str) -> bool:
    """Whether `sentence` has what "how many X" counts: the word X, or in Chinese a number of it."""
    match = _COUNTED_ZH.search(question)
    if match:
        return bool(re.search(_DIGIT_ZH + match.group(1), sentence))
    match = _COUNTED.search(question)
    if not match:
        return False
    counted = stems(analyse(" ".join(filter(None, match.groups()))))
    return not set(counted).isdisjoint(analyse(sentence))


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match.group() for match in pattern.finditer(text)]
