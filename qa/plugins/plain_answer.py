"""`plain_answer`: an answer in which nothing is loaded, opened or executed.

Images and links are taken apart (`[label] (address)`), tags that act lose their bracket. An address
stays as it is when it stands in the sources or in the question: then it can tell nobody anything.
Any other one was put together by the model, perhaps on a document's demand and with what it knows:
it is written so that nothing opens it, `hxxps://host[.]example/path`.
"""

from __future__ import annotations

import re
from functools import cache

from qa.neutral import printable, visible
from qa.plugins.build_prompt import described
from qa.streaming import edited
from qa.turn import Handler, Turn

_PART = r"[^\s<>\"'`()\[\]{}|\\，。；、！？：（）【】《》「」“”]"
_SCHEME = r"(?:https?|ftp)://|www\."
_TAG = (
    r"</?(?=(?:img|a|script|iframe|frame|link|object|embed|svg|video|audio|form|base|meta|style"
    r"|input|source|track|image|area|button|body|html)(?![\w-]))"
)
_URL = re.compile(rf"(?:{_SCHEME}){_PART}{{0,2000}}(?<![.,;:!?])", re.IGNORECASE)
_EDITED = re.compile(
    rf"(?P<link>\]\()|(?P<image>!(?=\[\D))|(?P<tag>{_TAG})"
    rf"|(?P<url>{_URL.pattern})",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(
    rf"(?:\r|\]|!\[?|</?[a-z]{{0,8}}|(?:{_SCHEME}){_PART}{{0,2000}}|ww?w?"
    r"|h(?:t(?:tp?)?)?|https?:?/?|f(?:tp?)?|ftp:/?)\Z",
    re.IGNORECASE,
)


def plain_answer(turn: Turn, call_next: Handler) -> Turn:
    """Write images, links, foreign addresses, active tags and control characters as plain text."""

    @cache
    def known() -> set[str]:
        asked = [message.content for message in turn.history if message.role == "user"]
        said = "\n".join([turn.question, *asked, *(described(hit) for hit in turn.hits)])
        return {*_URL.findall(said), *_URL.findall(visible(said))}

    def plain(match: re.Match[str]) -> str:
        if match["url"]:
            return match["url"] if match["url"] in known() else _defanged(match["url"])
        return {"link": "] (", "image": "", "tag": match[0].replace("<", "‹")}[
            match.lastgroup or ""
        ]

    return edited(turn, call_next, lambda text: _EDITED.sub(plain, printable(text)), _UNFINISHED)


def _defanged(url: str) -> str:
    scheme = "" if url.lower().startswith("www.") else url[: url.index("://") + 3]
    rest = url[len(scheme) :]
    host, slash, path = rest.partition("/")
    return f"{scheme.lower().replace('t', 'x')}{host.replace('.', '[.]')}{slash}{path}"
