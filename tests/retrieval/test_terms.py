from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.terms import (
    EXACT,
    STOP_WORDS,
    _word_terms,
    analyse,
    analyse_query,
    half_width,
    latin_names,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("?! — …", []),
        ("The houses were running", ["hous", "run"]),
        ("ERR_CONN-1042", ["errconn1042", "err", "conn", "1042"]),
        ("parseUrl", ["parseurl", "pars", "url"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("v2.4.1", ["v241", "v2", "4", "1"]),
        ("base_url", ["baseurl", "base", "url"]),
        ("M8x20", ["m8x20"]),
        ("iPhone15", ["iphone15"]),
        ("kbqa.toml", ["kbqatoml", "kbqa", "toml"]),
        ("年假", ["年", "假", "年假"]),
        ("年假为", ["年", "假", "为", "年假", "假为"]),
        ("年，假", ["年", "假"]),
        ("USB接口", ["usb", "接", "口", "接口"]),
        ("ＵＳＢ　３．０", ["usb", "30", "3", "0"]),
        ("ﬁle №5", ["file", "no5"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ", "カタ", "タカ", "カナ"]),
        ("Straße café", ["straße", "café"]),
        ("Приказ 5", ["приказ", "5"]),
        ("😀 ok", ["ok"]),
        ("a.b", ["ab", "b"]),
        ("day day", ["day", "day"]),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert [term for term in analyse(text) if not term.startswith(EXACT)] == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The houses were running", ["hous", f"{EXACT}houses", "run", f"{EXACT}running"]),
        (
            "parseUrl",
            ["parseurl", f"{EXACT}parseurl", "pars", f"{EXACT}parse", "url", f"{EXACT}url"],
        ),
        ("年假 the", ["年", "假", "年假"]),
    ],
)
def test_each_stem_is_followed_by_the_word_itself(text: str, terms: list[str]) -> None:
    assert analyse(text) == terms


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("臺灣年假", "台湾年假"),
        ("請問電腦的價格是多少", "请问电脑的价格是多少"),
        ("カタ 한국", "カタ 한국"),
    ],
)
def test_traditional_and_simplified_characters_are_the_same(
    traditional: str, simplified: str
) -> None:
    assert analyse(traditional) == analyse(simplified)
    assert analyse_query(traditional) == analyse_query(simplified)


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_stop_words_are_no_terms(word: str) -> None:
    assert analyse(word) == analyse(word.upper()) == []


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("年假有多少天？", ["年", "假", "有", "年假", "假有", "天"]),
        ("请问如何申请年假呢", ["申", "请", "年", "假", "申请", "请年", "年假"]),
        ("How many days do I need?", ["day"]),
        ("体检是什么时候？", ["体", "检", "体检"]),
        ("E05是啥意思", ["e05"]),
        ("day, days and DAY", ["day"]),
        ("多少", ["多", "少", "多少"]),
        ("什么是什么", ["什", "么", "是", "什么", "么是", "是什"]),
        ("the", []),
    ],
)
def test_terms_of_questions(query: str, terms: list[str]) -> None:
    assert [term for term in analyse_query(query) if not term.startswith(EXACT)] == terms


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("conn 1042", "see ERR_CONN-1042."),
        ("err_conn_1042", "see ERR_CONN-1042."),
        ("Restarting", "it restarts"),
        ("ｒｏｕｔｅｒ", "Router"),
        ("申請年假", "年假須提前申請"),
    ],
)
def test_questions_and_passages_meet(question: str, passage: str) -> None:
    asked = set(analyse_query(question))
    assert len(asked & set(analyse(passage))) >= len(asked) / 2


TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["多少", "什么", "的", "年假", "the", "is", "days", "parseUrl", "_", "-", "1"]
        )
    ).map("".join),
)


@given(TEXTS)
def test_terms_are_words_without_blanks_in_lower_case(text: str) -> None:
    for term in analyse(text):
        assert term.split() == [term]
        assert "_" not in term
        assert all(mark not in term for mark in "-. ")


@given(TEXTS)
def test_a_question_has_terms_where_its_text_has(text: str) -> None:
    terms = analyse_query(text)
    assert bool(terms) == bool(analyse(text))
    assert len(terms) == len(set(terms))


@given(TEXTS)
def test_full_width_forms_are_the_same(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    ascii_only = text.isascii()
    assert not ascii_only or analyse(wide) == analyse(text)


def test_half_width_letters_and_chinese_punctuation() -> None:
    assert half_width("ＶＰＮ－４２＿ｖ２．１ 怎么连接？") == "VPN-42_v2.1 怎么连接？"
    assert half_width("（１，２）") == "（1，2）"
    assert half_width("Café ½ ① ²") == "Café ½ ① ²"


def test_threads_share_the_stemmer() -> None:
    words = [f"{stem}{n}ing" for n in range(300) for stem in ("restart", "configur", "runn")]
    alone = [analyse(word) for word in words]
    _word_terms.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(analyse, words)) == alone


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("公司的CEO是谁？", {"ceo", f"{EXACT}ceo"}),
        ("公司的总经理是谁？", set()),
        ("Who is the CEO?", set()),
        ("Where does the handbook explain 年假?", set()),
    ],
)
def test_names_in_a_chinese_question(question: str, names: set[str]) -> None:
    assert latin_names(analyse_query(question)) == names
