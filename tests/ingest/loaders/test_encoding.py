"""Bytes of many encodings become the text they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import LoadError
from ingest.loaders import load_bytes
from ingest.loaders.encoding import NotText, decode
from ingest.loaders.markdown import quality_of

SIMPLIFIED = "本合同自双方签字之日起生效，有效期为三年。甲方应当在每月十日之前支付费用。"
TRADITIONAL = "本合約自雙方簽字之日起生效，有效期為三年。甲方應當在每月十日之前支付費用。"
FRENCH = "Le café était fermé à Noël, où les élèves étaient déçus."
SENTENCES = (
    "我们的产品在市场上很受欢迎。",
    "会议定于下周三下午两点举行，",
    "请大家准时参加！",
    "费用为3000元。",
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((SIMPLIFIED, e) for e in ("utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-32")),
        *((SIMPLIFIED, e) for e in ("utf-16-le", "utf-16-be", "hz")),
        *((TRADITIONAL, e) for e in ("big5", "utf-16-le", "utf-16-be", "gb18030")),
        *((FRENCH, e) for e in ("latin-1", "cp1252", "utf-16-le", "utf-16-be")),
        ("これは日本語の試験です。", "cp932"),
        ("これは日本語の試験です。", "euc_jp"),
        ("これは日本語の試験です。", "iso2022_jp"),
        ("안녕하세요. 이것은 시험입니다.", "cp949"),
        ("Привет, это проверка кодировки русского текста.", "cp1251"),
    ],
)
@pytest.mark.parametrize("times", [1, 400])
def test_known_encodings(text: str, encoding: str, times: int) -> None:
    whole = "\n".join([text] * times)
    assert decode(whole.encode(encoding)).text == whole


@pytest.mark.parametrize("text", ["中文测试", "联通", "价格表", "第一章 总则", "你好，世界"])
def test_short_gbk(text: str) -> None:
    assert decode(text.encode("gbk")).text == text


@pytest.mark.parametrize("text", ["價格表", "第一章 總則", "你好，世界", "臺灣大學"])
def test_short_big5(text: str) -> None:
    assert decode(text.encode("big5")).text == text


def test_chinese_far_behind_english() -> None:
    text = "plain English line\n" * 3000 + SIMPLIFIED
    assert decode(text.encode("gbk")).text == text


def test_newlines_and_controls_are_normalised() -> None:
    assert decode(b"a\r\nb\rc\0d\x08e\x1bf\n\tg" + b"." * 200).text == "a\nb\ncdef\n\tg" + "." * 200


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_colours_of_a_log_are_gone_and_its_lines_stay(encoding: str) -> None:
    line = (
        "\x1b[32m12:00\x1b[0m \x1b[1;31mERROR\x1b(B\x1b[m 泵的密封件损坏, "
        "\x1b]8;;http://a.example/p\x1b\\the pump\x1b]8;;\x1b\\ stops\x1b[K\r\n"
    )
    data = ("\x1b]0;title\x07" + line * 50).encode(encoding)
    document = load_bytes(data, uri="pump.log")
    assert document.text == "12:00 ERROR 泵的密封件损坏, the pump stops\n" * 50
    assert document.first_line == 1


def test_utf8_with_a_broken_byte_stays_utf8_and_counts_it() -> None:
    decoded = decode(SIMPLIFIED.encode()[:-1] + b"\xff" + "结束。".encode())
    assert decoded.encoding == "utf-8"
    assert 0 < decoded.replaced_share < 0.1


def test_the_share_of_lost_characters_is_in_the_quality() -> None:
    document = load_bytes(SIMPLIFIED.encode() + b"\xff\n", uri="a.txt")
    assert 0 < float(document.quality["replaced_share"]) < 0.1
    assert document.metadata["encoding"] == "utf-8"


def test_an_encoding_named_by_the_text_is_believed_where_it_fits() -> None:
    data = "ALÇA".encode("cp1254")
    assert decode(data, declared="iso-8859-9").encoding == "cp1254"
    assert decode(SIMPLIFIED.encode(), declared="gbk").text == SIMPLIFIED
    assert decode(b"plain", declared="unicode_escape").encoding == "utf-8"


def test_utf7_is_not_decoded() -> None:
    assert "<script>" not in decode(b"+ADw-script+AD4-").text


def test_too_much_damage_is_no_text() -> None:
    with pytest.raises(NotText):
        decode("ab".encode("utf-16") + b"\x00\xd8" * 50)
    with pytest.raises(LoadError):
        load_bytes(bytes(range(128, 256)) * 20, uri="a.txt")


chinese = st.lists(st.sampled_from(SENTENCES), min_size=2, max_size=20).map("".join)


@given(
    text=chinese, encoding=st.sampled_from(["utf-8", "gbk", "gb18030", "utf-16-le", "utf-16-be"])
)
@settings(max_examples=60, deadline=None)
def test_chinese_round_trip(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)).text == text


@given(data=st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_any_bytes_decode_or_raise_not_text(data: bytes) -> None:
    try:
        text = decode(data).text
    except NotText:
        return
    assert not {"\r", "\0"} & set(text)


@pytest.mark.parametrize(
    ("encoding", "other"),
    [
        ("gb18030", "后半段是用另一种编码写的，内容是设备的维护说明和保养方法。"),
        ("big5hkscs", "後半段是用另一種編碼寫的，內容是設備的維護說明與保養方法。"),
        ("cp932", "これは日本語の文章です。設備の保守について説明しています。"),
    ],
)
def test_a_file_in_two_encodings_is_read_part_by_part(encoding: str, other: str) -> None:
    first = "前半段是用统一的编码写的，中间 has English。"
    data = f"{first}\n".encode() + other.encode(encoding) + f"\n{first}".encode()
    decoded = decode(data)
    assert decoded.text == f"{first}\n{other}\n{first}"
    assert decoded.encoding == f"utf-8+{encoding}"
    assert quality_of(decoded) == {"mixed_encodings": True}


def test_one_encoding_is_not_taken_for_two() -> None:
    text = "每运行二百小时更换一次滤芯，检查密封圈是否老化，必要时更换并记录编号。" * 200
    for encoding in ("utf-8", "gb18030"):
        assert decode(text.encode(encoding)).encoding == encoding


@pytest.mark.parametrize(
    ("encoding", "line"),
    [("gb18030", "泵的密封件损坏，请检查并更换。"), ("cp932", "ポンプのシールを点検する。")],
)
def test_a_line_of_another_encoding_in_utf8_is_read(encoding: str, line: str) -> None:
    data = (SIMPLIFIED + "\n").encode() * 9 + line.encode(encoding) + b"\nend"
    decoded = decode(data)
    assert decoded.text.split("\n")[9:] == [line, "end"]
    assert (decoded.encoding, decoded.replaced_share) == (f"utf-8+{encoding}", 0)


def test_a_broken_line_of_utf8_is_no_line_of_another_encoding() -> None:
    broken = SIMPLIFIED.encode()
    data = (SIMPLIFIED + "\n").encode() * 9 + broken[:20] + broken[21:]
    assert decode(data).encoding == "utf-8"


@pytest.mark.parametrize("text", ["Die Prüfung erfolgt jährlich. Größe: 5 m².", "Größe: 5 m²"])
def test_western_text_is_not_taken_for_eastern(text: str) -> None:
    assert decode(text.encode("cp1252")).text == text


def test_eastern_text_is_read() -> None:
    text = "Příliš žluťoučký kůň úpěl ďábelské ódy."
    assert decode(text.encode("cp1250")).text == text
