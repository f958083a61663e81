"""Bytes to text: which encoding, and how much of it could not be decoded.

The order: byte order mark, UTF-8, the 7-bit Chinese and Japanese encodings, UTF-16 without a
mark, and then the candidate whose characters are the most plausible (frequent.py). What is left,
mostly single-byte encodings, is charset-normalizer's: strong there, and weak on short Chinese.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.loaders.frequent import plausibility

MAX_REPLACED = 0.10  # above this share of undecodable characters the file is not text
MAX_CONTROLS = 0.02  # above this share of control characters (NUL aside) it is binary
_SAMPLE = 16_384  # bytes looked at: scores settle within a few hundred characters
_ENOUGH = 0.35  # plausibility that needs no second opinion; wrong guesses stay below .3
_TRUSTED = 0.05  # an encoding that the file itself names is believed from here

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_MULTIBYTE = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
_SINGLE_BYTE = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 koi8_r koi8_u iso8859_2 iso8859_5"
    " iso8859_7 cp866 cp874 mac_roman cp437 cp850 cp037 cp500"
)
# What a document may call itself; everything else (utf-7, idna, unicode_escape...) is ignored.
_DECLARABLE = {
    "utf-8": "utf-8",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp950": "big5hkscs",
    "shift_jis": "cp932",
    "cp932": "cp932",
    "euc_jp": "euc_jp",
    "iso2022_jp": "iso2022_jp",
    "euc_kr": "cp949",
    "cp949": "cp949",
    "tis-620": "cp874",
    "iso8859-9": "cp1254",
    "mac-roman": "mac_roman",
}
_SAME_NAME = re.compile(r"(cp(125[0-8]|866|874)|koi8-[ru]|iso8859-\d+)\Z")
# C0 and C1 controls but \t \n \f, lone surrogates, inner byte order marks, noncharacters
_CONTROLS = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
# What terminals take for colours and moves of the cursor, for titles and links, for their alphabet
# and keys (ECMA-48, xterm)
_TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()#%][0-9A-Z@]|[78=>])"
)
# What no text holds: 5 m˛ in cp1250 is 5 m² in cp1252, which is as German in all else
_LONE_ACCENT = re.compile("[ˇ˘˙˛˝]")
_RAW_CONTROLS = bytes({*range(1, 9), 11, *range(14, 27), *range(28, 32), 127})
_NEWLINES = re.compile("\r\n?|\x85|\u2028|\u2029")


# Four Chinese or Japanese characters of UTF-8 in a row; other encodings look so once in 10^9 places
_UTF8_RUN = re.compile(rb"(?:[\xe2-\xef][\x80-\xbf]{2}[\x00-\x7f]*){4,}")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text, the encoding it was in, and the share of its characters that were lost (0..1).

    `encoding` names two, with a `+`, where parts of the file are in UTF-8 and the rest is not.
    """

    text: str
    encoding: str
    replaced_share: float = 0.0


class NotText(ValueError):
    """The bytes are no text in any encoding; the message is a reason for people."""


def decode(data: bytes, *, declared: str | None = None) -> Decoded:
    """Text of `data`: newlines are \\n, control characters but \\t, \\n and \\f are gone.

    The colours of terminals go without a trace, and do not count as control characters.

    `declared` is the encoding that the document names itself, which counts after a byte order mark.
    Raises NotText for binary content.
    """
    text, encoding = _decoded(data, declared)
    if encoding == "utf-32" and "\ufffd" in text:
        raise NotText("is binary, not text")
    lost = text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if "utf-8" in encoding else 0)
    share = max(lost, 0) / max(len(text), 1)
    if share > MAX_REPLACED:
        raise NotText(f"is not text: {share:.0%} of it cannot be decoded as {encoding}")
    plain = _without_colours(_NEWLINES.sub("\n", text))
    cleaned, removed = _CONTROLS.subn("", plain)
    if removed - text.count("\0") > max(MAX_CONTROLS * len(text), 2):
        raise NotText("is binary, not text: too many control characters")
    return Decoded(cleaned, encoding, round(share, 4))


def _decoded(data: bytes, declared: str | None) -> tuple[str, str]:
    """The text, and the encodings that it was in: files that were put together may hold two."""
    try:
        encoding = encoding_of(data, declared=declared)
    except NotText:
        runs = list(_UTF8_RUN.finditer(data))
        if not runs:
            raise
    else:
        runs = [] if encoding.startswith("utf") else list(_UTF8_RUN.finditer(data))
        if not runs:
            text = data.decode(encoding, errors="replace")
            mixed = _by_lines(data) if encoding == "utf-8" and "\ufffd" in text else None
            return mixed or (text, encoding)
    ends = [0, *(run.end() for run in runs)]
    starts = [*(run.start() for run in runs), len(data)]
    others = [data[end:start] for end, start in zip(ends, starts, strict=True)]
    other = encoding_of(b"\n".join(others))
    parts = [others[0].decode(other, errors="replace")]
    for run, rest in zip(runs, others[1:], strict=True):
        parts += (
            run.group().decode("utf-8", errors="replace"),
            rest.decode(other, errors="replace"),
        )
    return "".join(parts), f"utf-8+{other}"


def _by_lines(data: bytes) -> tuple[str, str] | None:
    """A text in UTF-8 whose broken lines are sound in another encoding; None for a damaged one."""
    lines = data.split(b"\n")
    broken = [number for number, line in enumerate(lines) if not _decodes(line, "utf-8")]
    rest = b"\n".join(lines[number] for number in broken)
    scores = dict(_scores(rest[:_SAMPLE], _MULTIBYTE))
    best = max(scores, key=lambda encoding: scores[encoding], default="")
    if not best or scores[best] <= _ENOUGH or _UTF8_RUN.search(rest) or not _decodes(rest, best):
        return None
    texts = [line.decode("utf-8", errors="replace") for line in lines]
    for number in broken:
        texts[number] = lines[number].decode(best)
    return "\n".join(texts), f"utf-8+{best}"


def normalise(text: str) -> str:
    """`text` from a parser: newlines are \\n; controls, soft hyphens and surrogates are gone."""
    plain = _without_colours(_NEWLINES.sub("\n", text))
    return _CONTROLS.sub("", plain).replace("\xad", "").replace("\xa0", " ")


def flat_lines(text: str) -> str:
    """As `normalise`; lines without blanks at their ends, one space where there were several."""
    lines = (" ".join(line.split()) for line in normalise(text).split("\n"))
    return "\n".join(line for line in lines if line)


def _without_colours(text: str) -> str:
    return _TERMINAL.sub("", text) if "\x1b" in text else text


def encoding_of(data: bytes, *, declared: str | None = None) -> str:
    """Python's name of the encoding of `data`; raises NotText where nothing fits."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    named = _declarable(declared)
    if named and fits(data, named):
        return named
    if _is_utf8(data):
        suspect = b"\0" in data or _controls(data[:_SAMPLE]) > 0
        return _seven_bit(data) or (suspect and _utf16(data)) or "utf-8"
    return _utf16(data) or _most_plausible(data, declared=named)


def fits(data: bytes, declared: str) -> bool:
    """True where `declared` names an encoding that decodes `data` into plausible text."""
    encoding = _declarable(declared)
    return bool(encoding) and _decodes(data, encoding) and _believable(data, encoding)


def _declarable(name: str | None) -> str:
    """Python's name of the encoding that a document calls `name`; "" for none that it may be in."""
    try:
        canonical = codecs.lookup((name or "").strip()).name
    except (LookupError, ValueError):
        return ""
    return _DECLARABLE.get(canonical) or (canonical if _SAME_NAME.match(canonical) else "")


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _believable(data: bytes, encoding: str) -> bool:
    """Pages name Latin-1 or GBK out of habit: what is UTF-8 stays UTF-8 whatever they say."""
    if encoding == "utf-8":
        return True
    if _is_utf8(data):
        return data.isascii() and encoding == "iso2022_jp"
    return encoding not in _MULTIBYTE or _score(_sample(data), encoding) > _TRUSTED


def _is_utf8(data: bytes) -> bool:
    """Valid UTF-8, or UTF-8 with rare damage: at least 3 intact sequences to a broken one."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return _is_utf8(data[: error.start]) and not data[: error.start].isascii()
        text = data.decode("utf-8", errors="replace")
        broken = text.count("\ufffd")
        intact = sum(1 for c in text if c > "\x7f") - broken
        return intact > 3 * broken and broken / len(text) <= MAX_REPLACED
    return True


def _seven_bit(data: bytes) -> str | None:
    """ISO-2022 and HZ are plain ASCII bytes with shift sequences."""
    if b"\x1b$" in data and data.isascii():
        for encoding in ("iso2022_jp_2", "iso2022_kr"):
            if _decodes(data, encoding):
                return encoding
    if b"~{" in data and b"~}" in data and data.isascii() and _decodes(data, "hz"):
        text = data.decode("hz")
        if plausibility(text, "hz") > _ENOUGH:
            return "hz"
    return None


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark, where the characters are plausible in one of the byte orders."""
    sample = data[: min(_SAMPLE, len(data)) & ~1]
    scores = dict(_scores(sample, ("utf-16-le", "utf-16-be")))
    nuls = sample[0::2].count(0) - sample[1::2].count(0)
    if abs(nuls) > 0.02 * len(sample):  # ASCII characters leave a NUL in every second byte
        likely = "utf-16-be" if nuls > 0 else "utf-16-le"
        if likely in scores:
            scores[likely] += 0.3
    best = max(scores, key=lambda encoding: scores[encoding], default="")
    return best if best and scores[best] > _ENOUGH else None


def _most_plausible(data: bytes, *, declared: str) -> str:
    sample = _sample(data)
    if sample.count(0) > MAX_CONTROLS * len(sample) or _controls(sample) > 0.08 * len(sample):
        raise NotText("is binary, not text")  # random bytes hold 11 % of controls
    scores = dict(_scores(sample, (*_MULTIBYTE, "cp1252")))
    if declared in scores:
        scores[declared] += 0.15  # a hint: enough to turn a draw, not to beat the evidence
    best = max(scores, key=lambda encoding: scores[encoding], default="")
    if best and scores[best] > _ENOUGH:
        return best
    guess = _by_charset_normalizer(sample)
    if guess is None and not (best and scores[best] > 0.2):
        raise NotText("is not text in any known encoding")
    return guess or best


def _controls(sample: bytes) -> int:
    return len(sample) - len(sample.translate(None, _RAW_CONTROLS))


def _scores(sample: bytes, encodings: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for encoding in encodings:
        score = _score(sample, encoding)
        if score > -1:
            yield encoding, score


def _score(sample: bytes, encoding: str) -> float:
    """Plausibility of `sample` in `encoding`; -1 where it does not decode, cut end aside."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(sample)
    except UnicodeDecodeError:
        text = sample.decode(encoding, errors="replace")
        damage = text.count("\ufffd") / max(sum(1 for c in text if c > "\x7f"), 1)
        return plausibility(text, encoding) - 10 * damage if damage < 0.05 else -1.0
    return plausibility(text, encoding)


def _sample(data: bytes) -> bytes:
    """The lines around the first byte beyond ASCII: the front may be kilobytes of plain English."""
    if len(data) <= _SAMPLE:
        return data
    first = next(re.finditer(rb"[\x80-\xff]", data)).start()
    start = data.rfind(b"\n", 0, first) + 1
    return data[max(start, first - 1024) :][:_SAMPLE]


def _by_charset_normalizer(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    match = from_bytes(
        sample, cp_isolation=[*_SINGLE_BYTE.split(), *_MULTIBYTE], preemptive_behaviour=False
    ).best()
    if match is None:
        return None
    text = sample.decode(match.encoding, errors="replace")
    if _LONE_ACCENT.search(text) and _decodes(sample, "cp1252"):
        return "cp1252"
    readable = sum(1 for c in text if c.isalnum() or c.isspace() or c in ".,;:!?-'\"()")
    return match.encoding if readable > 0.8 * len(text) and len(text) > 8 else None
