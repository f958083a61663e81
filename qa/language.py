"""What language a question is in, as far as kbqa's own words must follow it."""

from __future__ import annotations

import re
from typing import Literal

from retrieval.terms import CJK

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_CJK = re.compile(rf"[{CJK}]")

NOT_ANSWERED = {
    "en": "The documents do not answer this question.",
    "zh": "文档没有回答这个问题。",
}


ASK_ON = {"en": "What else would you like to know?", "zh": "您还想了解什么？"}


def language_of(text: str) -> Language:
    """`zh` when there is any Chinese character: technical Chinese is full of Latin words."""
    return "zh" if _CJK.search(text) else "en"
