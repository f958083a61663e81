"""Text of documents made harmless where it meets a model, a reader or a terminal.

`visible` drops what a reader cannot see, `neutral` also takes the markers of chat templates apart:
both are for what a model is shown. `printable` is for answers and terminals: it keeps what joins
emoji and Persian letters, and drops what commands a terminal or turns a line around.
"""

from __future__ import annotations

import json
import re

_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TAGS = "\U000e0000-\U000e0fff"
_UNSEEN = re.compile(
    f"[{_CONTROL}{_BIDI}{_TAGS}"
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
)
_COMMANDS = re.compile(f"[{_CONTROL}{_BIDI}{_TAGS}]")
_NOT_IN_A_LINE = re.compile(f"[{_CONTROL}{_BIDI}{_TAGS}\x85\u2028\u2029]")

_NAMES = (
    "s|bos|eos|pad|unk|sop|eop|start_of_turn|end_of_turn|start_of_image|im_start|im_end|think"
    "|thinking|system|user|assistant|human|model|developer|tool|tools|tool_call|tool_calls"
    "|tool_response|function|functions|function_calls?|function_results?|invoke|instructions?"
    r"|prompt|context|documents?|sources?|question|answer|quotation|extra_id_\d+|reserved_\w+"
)
_CAPITALS = (
    r"INST|SYS|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK|sMASK|BOS|EOS|CLS|SEP"
    r"|PAD|MASK|UNUSED_TOKEN_\d+"
)
_ROLES = (
    "system|assistant|user|human|ai|bot|model|developer|tool"
    "|系统|系統|助手|助理|用户|用戶|使用者|人类"
)
_MARKERS = re.compile(
    r"[<＜][|｜](?P<bars>[^\s<>＜＞|｜]{1,60})[|｜][>＞]"
    rf"|[<＜]{{1,2}}\s*+(?P<tag>(?:/\s*+)?(?:\w{{1,12}}:)?(?:{_NAMES})(?![\w-])[^<>＜＞\n]{{0,80}})[>＞]{{1,2}}"
    rf"|(?:\[|<<)\s*+(?P<capitals>(?:/\s*+)?(?:{_CAPITALS}))\s*+(?:\]|>>)",
    re.IGNORECASE,
)
_ROLE_LINE = re.compile(
    rf"^(?P<before>[ \t>*_#\-]*)(?P<role>(?:{_ROLES})(?:[ \t]+(?:prompt|message|turn))?"
    r"|(?<=#)[ \t]*(?:instructions?|input|response))(?P<after>[ \t*_]*[:：])",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"<{3,}|>{3,}")
_DASHES = re.compile("-{3,}")


def visible(text: str) -> str:
    """The text without control, bidi, zero-width and tag characters; each line break is `\\n`."""
    return _UNSEEN.sub("", _BREAK.sub("\n", text))


def neutral(text: str) -> str:
    """`visible` text whose `<|im_start|>`, `[INST]`, `</s>`, `system:`... are words like any other.

    Nothing that it takes apart is left or comes about: `neutral(neutral(t)) == neutral(t)`.
    """
    text = visible(text)
    while (fewer := _MARKERS.sub(_named, text)) != text:
        text = fewer
    text = _FENCE.sub(lambda match: "‹" if match[0][0] == "<" else "›", text)
    return _ROLE_LINE.sub(_quoted, text)


def between_dashes(text: str) -> str:
    """`neutral` text of which no line ends a quotation between two lines of dashes."""
    return _DASHES.sub("—", neutral(text))


def printable(text: str) -> str:
    """The text without what commands a terminal or reverses a line; line breaks are `\\n`."""
    return _COMMANDS.sub("", _BREAK.sub("\n", text))


def _named(match: re.Match[str]) -> str:
    return f"‹{(match['bars'] or match['tag'] or match['capitals']).strip()}›"


def _quoted(match: re.Match[str]) -> str:
    return f'{match["before"]}"{match["role"].strip()}"{match["after"]}'


def for_terminal(text: str) -> str:
    """The text as a terminal may be given it: an escape shows as `␛`, a bell as `␇`."""
    return _COMMANDS.sub(lambda match: _picture(match[0]), _BREAK.sub("\n", text))


def in_one_line(text: str) -> str:
    """As `for_terminal`, with line breaks shown as `␊`."""
    return for_terminal(text).replace("\n", "␊")


def _picture(character: str) -> str:
    """The sign for an ASCII control character; nothing for any other command."""
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else ""


def for_json(text: str) -> str:
    """JSON that holds the same, with what commands a terminal or ends a line as `\\uXXXX`."""
    return _NOT_IN_A_LINE.sub(lambda match: json.dumps(match[0])[1:-1], text)
