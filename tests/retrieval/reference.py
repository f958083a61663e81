"""Texts of all lengths, zh and en, and the packaged model run by sentence-transformers itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from retrieval.minilm import package_folder

_EN = (
    "The router restarts when both buttons are held for ten seconds.",
    "Annual leave is fifteen days; requests go to the manager two weeks ahead.",
    "def parse_url(text: str) -> Url: return Url(*text.split('://', 1))",
    "ERR_CONN-1042: the peer closed the connection (see section 4.2.1)",
    "# Price list\n\n| item | price |\n|---|---|\n| bolt M8 | 0.12 |\n| nut M8 | 0.08 |",
    "Café naïve Ångström — “quoted” … 50 % of 1/2 ½",
    "Is it allowed to carry over unused days into the next year?",
)
_ZH = (
    "年假为十五天，需提前两周申请。",
    "设备无法启动时，请同时按住两个按钮十秒钟。",
    "合同自双方签字之日起生效，有效期三年。",
    "價格表：螺栓 M8 每件 0.12 元，螺母每件 0.08 元。",
    "版本 2.4.1 修复了断线重连的错误 ERR-1042。",
)


def texts() -> list[str]:
    """60 texts: short, long, longer than the model's window, Chinese, English, mixed, odd."""
    short = [*_EN, *_ZH]
    pairs = [f"{en} {zh}" for en, zh in zip(_EN * 2, _ZH * 2, strict=False)]
    long = [f"{number}. {text} " * (3 + number) for number, text in enumerate(short * 2)]
    over = [" ".join(_EN) * 12, "".join(_ZH) * 30, "word " * 600, "字" * 1200]
    odd = ["", " ", "x", "?", "😀", "塔", "\u200b", "a" * 500, "1", "\n\n-\n\n"]
    return [*short, *pairs, *long, *over, *odd][:60]


@cache
def sentence_transformer() -> Any:
    """The packaged model, in 32-bit floats."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(package_folder()), device="cpu")
