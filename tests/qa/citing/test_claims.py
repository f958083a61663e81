from __future__ import annotations

from qa.citing.claims import claim_of, content_terms


def test_names_and_identifiers() -> None:
    text = "The audit of Brightwell by Fiona Gallagher concerns LS-400 and InGaAs. It was long."
    assert claim_of(text).names == {"brightwell", "fiona", "gallagher", "ls400", "ingaas"}
    assert claim_of("Rotterdam is big.").names == frozenset()  # a first word may be any
    assert claim_of("LG-10 最多接入 16 台 PoE 设备").names == {"lg10", "poe"}


def test_terms_are_stems_without_numbers_and_function_words() -> None:
    assert content_terms("The pumps need 500 hours of oil") == {"pump", "need", "oil"}
    assert content_terms("水泵的寿命为两年") == {"水泵", "寿命"}
