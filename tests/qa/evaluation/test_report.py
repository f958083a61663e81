from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from ingest.errors import BadRequest
from qa.evaluation import Evaluation, compare, write_report
from qa.evaluation.report import check_suffix, draw, render
from qa.evaluation.spending import Spending
from tests.qa.evaluation.test_comparing import lowered

HOSTILE = "<script>alert(1)</script> | **bold** [x](http://example.test)"


def hostile(evaluation: Evaluation) -> Evaluation:
    """One question, missed, whose text is markup."""
    outcome = evaluation.outcomes[0]
    question = replace(outcome.question, text=HOSTILE)
    missed = replace(outcome, question=question, scores={"ndcg@10": 0.0}, problem="gone")
    return replace(evaluation, outcomes=(missed, *evaluation.outcomes[1:]))


def test_markdown(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write_report(path, hostile(evaluation))
    text = path.read_text("utf-8")
    assert "5 questions of questions.jsonl, 1 of them without an answer" in text
    assert "█" in text
    assert "## Questions that could only be missed" in text
    html = MarkdownIt().enable("table").render(text)
    assert "<th>95 % interval</th>" in html
    assert "<script>" not in html
    assert "<strong>" not in html
    assert "<a href" not in html


def test_html_is_one_file_that_needs_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, hostile(evaluation), compare(evaluation, hostile(evaluation)))
    text = path.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(?:src|href)=|@import|url\(", text)
    assert "Against the first run" in text
    assert "Questions that changed" in text
    assert "Time and cost of both runs" in text


def test_the_drawing_is_xml_with_a_bar_for_each_measure_and_run(evaluation: Evaluation) -> None:
    one = ElementTree.fromstring(draw([evaluation]))
    bars = [element for element in one.iter() if element.tag.endswith("rect")]
    assert len(bars) == len(evaluation.measures)
    two = ElementTree.fromstring(draw([evaluation, lowered(evaluation, "mrr")]))
    bars = [element for element in two.iter() if element.tag.endswith("rect")]
    assert len(bars) == 2 * len(evaluation.measures)
    assert {bar.get("fill") for bar in bars} == {"#9aa5b1", "#2f6f9f"}


def test_nothing_measured(evaluation: Evaluation, tmp_path: Path) -> None:
    empty = replace(evaluation, measures=(), outcomes=evaluation.outcomes[-1:])
    for name in ("report.md", "report.html"):
        write_report(tmp_path / name, empty)
        assert "1 questions" in (tmp_path / name).read_text("utf-8")


def test_tokens_cost_and_what_was_not_judged(evaluation: Evaluation) -> None:
    outcome = replace(evaluation.outcomes[0], spent=Spending(900, 90, 0.25), note="it *failed*")
    text = render(".md", replace(evaluation, outcomes=(outcome, *evaluation.outcomes[1:])))
    assert "| prompt tokens | 900 | 180 | 225 | 0 |" in text
    assert "| cost | 0.250000 | 0.050000 | 0.062500 | no price |" in text
    assert "| it \\*failed\\* (1 questions) |" in text
    assert "Tokens and cost" not in render(".md", evaluation)


def test_a_report_of_another_kind_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"ends in \.md or \.html"):
        write_report(tmp_path / "a.pdf", evaluation)
    assert list(tmp_path.iterdir()) == []


def test_suffixes() -> None:
    for name in ("a.md", "a.MD", "a.markdown", "a.html", "a.htm"):
        check_suffix(Path(name))
    for name in ("a.pdf", "a", "md"):
        with pytest.raises(BadRequest, match=r"ends in \.md or \.html"):
            check_suffix(Path(name))
