"""Characters of the symbol fonts that Word uses, whose codes mean other ones in any other font."""

from __future__ import annotations

import re

# Adobe's Symbol encoding from 0x20 and 0xA0 on
_SYMBOL = dict(enumerate(
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_\u203e"
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    0x20,
)) | dict(enumerate(
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|—↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑", 0xA0
)) | {0xF1: "〉", 0xF2: "∫"}  # fmt: skip
_WINGDINGS = {
    0x20: " ", 0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x41: "✌", 0x4A: "☺", 0x4B: "😐", 0x4C: "☹",
    0x6C: "●", 0x6D: "❍", 0x6E: "■", 0x6F: "□", 0x70: "□", 0x71: "❑", 0x72: "❒", 0x73: "◆",
    0x74: "◆", 0x75: "◆", 0x76: "❖", 0x77: "◆", 0x78: "☒", 0x9E: "·", 0x9F: "•", 0xA0: "▪",
    0xA1: "○", 0xA2: "○", 0xA3: "○", 0xA4: "◉", 0xA5: "◎", 0xA7: "▪", 0xA8: "□", 0xAB: "★",
    0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE7: "←", 0xE8: "→", 0xE9: "↑",
    0xEA: "↓", 0xEF: "⇦", 0xF0: "⇨", 0xF1: "⇧", 0xF2: "⇩", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒",
    0xFE: "☑", **dict(enumerate("⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿", 0x80)),
}  # fmt: skip
_WINGDINGS_2 = {
    0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0x97: "●", 0x98: "●",
    0xA2: "■", 0xA3: "□", **dict(enumerate("⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿", 0x69)),
}  # fmt: skip
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}
_PRIVATE = re.compile("[\uf020-\uf0ff]")


def symbol(font: str, code: int) -> str:
    """The character that `code` shows in `font`; U+FFFD where that is not known."""
    private = 0xF000 <= code <= 0xF0FF
    known = _FONTS.get(font.strip().lower())
    if known is not None:
        return known.get(code - 0xF000 if private else code, "\ufffd")
    return chr(code) if not private and 0x20 <= code < 0xD800 else "\ufffd"


def with_symbols(text: str, font: str) -> str:
    """`text` in this font: characters from the private area, where Word keeps symbols, as such."""
    if font.strip().lower() not in _FONTS:
        return text
    return _PRIVATE.sub(lambda match: symbol(font, ord(match[0])), text)


def has_symbols(text: str) -> bool:
    """Whether some character's meaning depends on its font."""
    return _PRIVATE.search(text) is not None
