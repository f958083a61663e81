"""Pairs of words that say opposite things, in Chinese and English, and which of them a text has."""

from __future__ import annotations

import re
from functools import lru_cache

from retrieval.terms import simplified

# one side and the other, as patterns of whole words; a pair in Chinese stands by itself
_PAIRS = (
    (
        "at most|up to|maxim(?:um|al)|not exceed|below|under|less than|within|fewer than",
        "at least|minim(?:um|al)|above|over|more than|exceed(?:s|ing)?|starting at",
    ),
    (
        "最多|以内|以下|低于|少于|小于|至多|最大|最高",
        "至少|以上|高于|超过|多于|大于|起码|最小|最低",
    ),
    (r"longer|larger|bigger|greater|higher|heavier", r"shorter|smaller|lower|lighter"),
    ("before|prior to|earlier", "after|following|later"),
    ("以?之?前(?!台|[往面者后])", "之后|以后"),
    ("提前|早于", "推迟|延后|晚于"),
    (
        r"increas\w*|rais(?:e|es|ed|ing)|rise[sn]?|rose|grew|grow\w*|extend\w*|lengthen\w*",
        r"decreas\w*|reduc\w+|lower(?:s|ed|ing)?|fell|fall\w*|drop\w*|shorten\w*|cut",
    ),
    ("增加|上升|提高|增长|上调|升高|涨", "减少|下降|降低|下调|减小|跌"),
    ("延长", "缩短"),
    ("放宽", "收紧"),
    (
        r"allow\w*|permit\w*|possible|(?:may|can)(?!\s*not|.t\b)",
        r"forbid\w*|prohibit\w*|bann?(?:ed|s|ing)?|impossible|disallow\w*"
        r"|(?:may|can|must|shall)\s*not",
    ),
    (
        "允许|可以|准许",
        "禁止|禁用|禁忌|严禁|不得|不宜|不能|谢绝",
    ),
    (r"enabl\w+|switch(?:ed|es)? on|turn(?:ed|s)? on|activat\w+",
     r"disabl\w+|switch(?:ed|es)? off|turn(?:ed|s)? off|deactivat\w+"),
    ("启用|开通|激活", "禁用|停用|停止"),
    ("open(?:s|ed)?", "clos(?:e|es|ed)"),
    ("打开|开启|开放|开门|营业|开馆", "关闭|闭馆|关门|歇业|休息|停业"),
    (r"includ\w+|contain\w*", r"exclud\w+|except"),
    ("包括|包含|含(?!义)|计入", "除外|排除|扣除"),
    (r"accept\w*|approv\w+", r"reject\w*|refus\w+|den(?:y|ied|ies)|declin\w+"),
    ("接受|批准|同意|通过", "拒绝|驳回|否决"),
    (r"succe(?:ss\w*|ed\w*)|pass(?:es|ed)?", r"fail\w*"),
    ("成功|合格", "失败|不合格"),
    (r"valid", r"invalid|expired|void"),
    ("有效", "无效|失效|过期"),
    (r"required|mandatory|obligatory|compulsory|must", r"optional|voluntary"),
    ("必须|必填|强制|须", "可选|选填|自愿"),
    ("free(?: of charge)?", "paid|for a fee"),
    ("免费", "收费|付费"),
    (r"manual\w*", r"automatic\w*"),
    ("手动|人工", "自动"),
    ("left", "right"),
    ("左", "右"),
    ("first", "last"),
    ("top", "bottom"),
    ("full[- ]time", "part[- ]time"),
    ("full", "half|partial"),
    ("全额|全薪", "半额|半薪"),
    ("全职", "兼职"),
    ("inbound|incoming|entrance|entry", "outbound|outgoing|exit"),
    ("入站|入口|流入|转入|进口", "出站|出口|流出|转出"),
    ("internal|inside|indoors?", "external|outside|outdoors?"),
    ("内部|室内|境内|国内", "外部|室外|境外|国外|户外"),
    ("public", "private|confidential"),
    ("公开", "保密|私有"),
    ("online", "offline"),
    ("线上|在线", "线下|离线"),
    ("temporary|temporarily", "permanent(?:ly)?"),
    ("临时|暂时", "永久|长期"),
    ("upload(?:s|ed|ing)?", "download(?:s|ed|ing)?"),
    ("上传", "下载"),
    ("buyers?|purchasers?", "sellers?|vendors?"),
    ("买方|需方|甲方", "卖方|供方|乙方"),
    ("出租", "承租"),
    ("tenant|lessee", "landlord|lessor"),
    ("always", "never"),
    ("always|everybody|everyone", "nobody|no one"),
    ("上午|早上", "下午|晚上"),
    ("直流", "交流"),
    ("正面", "背面|反面"),
)  # fmt: skip

_NEGATED = re.compile(
    r"(?:\b(?:not|never|cannot|nor|no)|n['’]t)\s+(?:(?:be|been|being|to|yet|have|any)\s+){0,2}\Z"
    r"|(?:不|未|没有?|无|勿|非)[被得能可会应须予]?\Z",
    re.IGNORECASE,
)


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b" if words.isascii() else words, re.IGNORECASE)


_SIDES = tuple((one.isascii(), _pattern(one), _pattern(other)) for one, other in _PAIRS)


def opposed(one: str, other: str) -> bool:
    """Whether one text has only the one side of a pair, and the other only its other side."""
    return any(
        mine != theirs and any(mine) and any(theirs) and not (all(mine) or all(theirs))
        for mine, theirs in zip(_sides(one), _sides(other), strict=True)
    )


@lru_cache(maxsize=1024)
def _sides(text: str) -> tuple[tuple[bool, bool], ...]:
    """For each pair which of the two `text` says; a word behind a "not" says the other."""
    text = simplified(text)
    latin, chinese = re.search("[A-Za-z]", text), not text.isascii()
    return tuple(
        _said(text, one, other) if (latin if english else chinese) else (False, False)
        for english, one, other in _SIDES
    )


def _said(text: str, one: re.Pattern[str], other: re.Pattern[str]) -> tuple[bool, bool]:
    mine, theirs = _occurs(text, one), _occurs(text, other)
    return (True in mine or False in theirs), (True in theirs or False in mine)


def _occurs(text: str, words: re.Pattern[str]) -> set[bool]:
    """Whether `text` has the words as they are (True), and whether behind a "not" (False)."""
    return {
        _NEGATED.search(text, max(0, found.start() - 24), found.start()) is None
        for found in words.finditer(text)
    }
