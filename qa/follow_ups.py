"""Which earlier questions one leans on that cannot be understood by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa.turn import Message
from retrieval.terms import CJK, analyse, stems

LONGEST = 1000  # characters of an earlier question: the names that are meant stand early
FEW_WORDS, FEW_CHARACTERS = 1, 6  # with no more that says anything, a question leans on another

_LEADS = re.compile(
    r"\W*(?:(?:and|but|or|so|also|then|else|why|(?:what|how) about|what if)\b"
    r"|那|那么|还有|另外|然后|为什么|如果|要是|而且|但是|可是)",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|theirs?|he|him|his|she|hers?|the (?:same|former|latter|other)"
    r"|(?:which|that|the other|another|that|this) ones?"
    r"|(?:is|are|was|were|does|do|did|can|about|after|before|for|of|in|on|to|from|with|than|by)"
    r" (?:that|this|these|those))\b"
    r"|呢[？?]?\s*\Z|(?<!其)[它他她]|这[个些种样里]|那[个些种样里]|其中|上述|前者|后者|同样",
    re.IGNORECASE,
)

_COURTESIES = re.compile(
    r"\W*(?:(?:(?:(?:many )?thanks?(?: (?:you|a lot|so much|very much))*|thx|ok(?:ay)?|great|good"
    r"|nice|cool|perfect|fine|all ?right|got it|i see|understood|hi|hello|hey|(?:good)?bye)\b"
    r"|谢谢|多谢|感谢|非常|太|很|好|明白|知道|了解|懂|收到|嗯|哦|再见|你|您|的|了|吧)"
    r"\W*)*\Z",
    re.IGNORECASE,
)
_NAMES = re.compile(r"\s(?!I\b)\w*[A-Z]|\A\s*\w+[A-Z]")


def is_follow_up(question: str) -> bool:
    """Whether the question leans on one before it: it begins as a continuation, points back, or
    says too little by itself ("How high?", "最长多久？") without a name or an abbreviation in it.

    Any other is looked up as it stands: with the words of an earlier question beside its own, what
    the documents do not answer would be answered with what answered that one.
    """
    if _LEADS.match(question) or _POINTS_BACK.search(question):
        return True
    if _NAMES.search(question):
        return False
    characters = re.findall(f"[{CJK}]", question)
    if characters and not re.search(r"[A-Za-z0-9]", question):
        return len(characters) <= FEW_CHARACTERS
    return len(set(stems(analyse(question)))) <= FEW_WORDS


def asks_nothing(said: str) -> bool:
    """Whether this only thanks, greets or nods ("OK, thanks!", "好的，谢谢"), or has no word.

    With the words of an earlier question beside it, it would be given that one's answer again.
    """
    return _COURTESIES.match(said) is not None


def leant_on(question: str, history: Sequence[Message]) -> tuple[str, ...]:
    """The questions of a conversation that one after them leans on, the oldest first: the last that
    can be understood by itself, and those since then. () for one that leans on none.
    """
    found: list[str] = []
    for asked in reversed([message.content for message in history if message.role == "user"]):
        if not is_follow_up(question):
            break
        if not asks_nothing(asked):
            found.append(asked[:LONGEST])
            question = asked
    return tuple(reversed(found))
