"""What every `Reranker` does. Inherit it and write the fixture `subject`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.reranking import Reranker

QUESTION = "How do I restart the router?"
PASSAGES = ("Hold both buttons to restart the router.", "年假为十五天。", "", "x " * 2000, "\ud800")


class RerankerContract:
    @pytest.fixture
    def subject(self) -> Reranker:
        raise NotImplementedError("a subclass opens its reranker here")

    def test_satisfies_the_protocol(self, subject: Reranker) -> None:
        assert isinstance(subject, Reranker)
        assert subject.name

    def test_one_figure_for_each_passage(self, subject: Reranker) -> None:
        scores = subject.scores(QUESTION, PASSAGES)
        assert len(scores) == len(PASSAGES)
        assert all(0.0 <= score <= 1.0 for score in scores)

    def test_figures_belong_to_their_passages(self, subject: Reranker) -> None:
        forwards = subject.scores(QUESTION, PASSAGES)
        backwards = subject.scores(QUESTION, PASSAGES[::-1])
        assert forwards == pytest.approx(backwards[::-1], abs=1e-3)

    def test_nothing_to_judge(self, subject: Reranker) -> None:
        assert subject.scores(QUESTION, []) == []

    def test_threads(self, subject: Reranker) -> None:
        alone = subject.scores(QUESTION, PASSAGES)
        with ThreadPoolExecutor(4) as threads:
            for scores in threads.map(lambda _: subject.scores(QUESTION, PASSAGES), range(8)):
                assert scores == pytest.approx(alone, abs=1e-3)

    def test_closing_twice_does_no_harm(self, subject: Reranker) -> None:
        subject.close()
        subject.close()
