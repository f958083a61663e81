"""Every question of sample_docs through the real product, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qa.knowledge_base import KnowledgeBase
from qa.language import NOT_ANSWERED
from qa.settings import load_settings
from qa.turn import Answer, Citation
from retrieval.embedding import Embedder
from tests.sample_base import SAMPLES, Outcome, copy_base
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.end_to_end

NEAR = 3  # hits among which the right file must be


@dataclass(frozen=True, slots=True)
class Asked:
    """A line of questions.jsonl and what the product made of it."""

    question: str
    language: str
    gold: str
    file: str
    page: int | None
    answer: Answer

    @property
    def found(self) -> bool:
        return self.file in [hit.uri for hit in self.answer.hits[:NEAR]]

    @property
    def answered(self) -> bool:
        return _bare(self.gold) in _bare(self.answer.text)

    @property
    def gold_citations(self) -> list[Citation]:
        """Citations of the right file that quote the gold answer."""
        return [
            citation
            for citation in self.answer.citations
            if citation.uri == self.file and _bare(self.gold) in _bare(citation.quote)
        ]


def _bare(text: str) -> str:
    """Without white space and case: a PDF breaks lines where it likes."""
    return "".join(text.split()).lower()


@pytest.fixture(scope="module")
def report(made_sample_base: tuple[Path, Outcome]) -> dict[str, Any]:
    """Of the one ingest."""
    return made_sample_base[1].lines[0]


@pytest.fixture
def copied(made_sample_base: tuple[Path, Outcome], tmp_path: Path) -> Path:
    """The base, for a test to open in its own way."""
    return copy_base(made_sample_base[0], tmp_path / "kb")


@pytest.fixture(scope="module")
def kb(
    made_sample_base: tuple[Path, Outcome],
    tmp_path_factory: pytest.TempPathFactory,
    embedder: Embedder,
    cache_dir: Path,
) -> Iterator[KnowledgeBase]:
    folder = copy_base(made_sample_base[0], tmp_path_factory.mktemp("sample_docs") / "kb")
    settings = load_settings(cache_dir=cache_dir, data_dir=folder.parent)
    with KnowledgeBase.open(folder, embedder=embedder, settings=settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def asked(kb: KnowledgeBase) -> list[Asked]:
    """All questions with their answers."""
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    return [_ask(kb, json.loads(line)) for line in lines]


def _ask(kb: KnowledgeBase, line: Mapping[str, Any]) -> Asked:
    return Asked(
        question=line["question"],
        language=line["language"],
        gold=line["answer"] or "",
        file=line["file"] or "",
        page=line.get("page"),
        answer=kb.ask(line["question"]),
    )


@pytest.fixture(scope="module")
def answerable(asked: list[Asked]) -> list[Asked]:
    return [item for item in asked if item.gold]


@pytest.fixture(scope="module")
def unanswerable(asked: list[Asked]) -> list[Asked]:
    return [item for item in asked if not item.gold]


def _share(good: Sequence[Asked], of: Sequence[Asked]) -> tuple[float, str]:
    """Share of `good`, and a message with the figures per language and the rest by name."""
    totals, goods = Counter(x.language for x in of), Counter(x.language for x in good)
    figures = ", ".join(f"{name} {goods[name]}/{totals[name]}" for name in sorted(totals))
    rest = [item.question for item in of if item not in good]
    return len(good) / len(of), f"{figures}; not: {rest}"


def test_every_file_is_ingested(report: dict[str, Any], kb: KnowledgeBase) -> None:
    assert (report["failures"], report["skips"]) == ([], [])
    files = [path for path in SAMPLES.rglob("*") if path.is_file() and path.name[0] != "."]
    own = {record.uri for record in kb.documents() if not record.container}
    assert own == {str(path.relative_to(SAMPLES)) for path in files} - {"questions.jsonl"}
    kinds = {record.uri.rpartition(".")[2] for record in kb.documents()}
    assert kinds >= {"csv", "docx", "eml", "epub", "html", "ipynb", "md", "odt", "pdf", "png"}
    assert kinds >= {"pptx", "py", "rtf", "txt", "vtt", "xlsx", "yaml", "zip"}


def test_questions_are_worth_asking(answerable: list[Asked], unanswerable: list[Asked]) -> None:
    for items in (answerable, unanswerable):
        languages = Counter(item.language for item in items)
        assert set(languages) == {"en", "zh"}
        assert min(languages.values()) >= 5


def test_the_right_file_is_found(answerable: list[Asked]) -> None:
    share, figures = _share([item for item in answerable if item.found], answerable)
    assert share >= 0.95, figures


def test_the_gold_answer_is_in_the_answer(answerable: list[Asked]) -> None:
    share, figures = _share([item for item in answerable if item.answered], answerable)
    assert share >= 0.85, figures


def test_every_citation_is_a_span_of_its_document(kb: KnowledgeBase, asked: list[Asked]) -> None:
    for item in asked:
        for citation in item.answer.citations:
            assert citation.verified, (item.question, citation)
            text = kb.document(citation.uri).text
            assert citation.quote == text[citation.start : citation.end], citation


def test_what_is_answered_is_cited(asked: list[Asked]) -> None:
    for item in asked:
        assert bool(item.answer.citations) != item.answer.abstained, item.question
        numbers = [citation.number for citation in item.answer.citations]
        assert numbers == list(range(1, len(numbers) + 1))


def test_citations_of_a_pdf_name_the_page(answerable: list[Asked]) -> None:
    cited = [item for item in answerable if item.page and item.gold_citations]
    assert len(cited) >= 5
    for item in cited:
        assert item.page in [citation.page for citation in item.gold_citations], item.question
        assert all(c.page for c in item.answer.citations if c.uri.endswith(".pdf"))


def test_half_of_the_unanswerable_are_refused(unanswerable: list[Asked]) -> None:
    refused = [item for item in unanswerable if item.answer.abstained]
    share, figures = _share(refused, unanswerable)
    assert share >= 0.5, figures
    for item in refused:
        assert item.answer.text == NOT_ANSWERED["zh" if item.language == "zh" else "en"]


def test_hardly_an_answerable_one_is_refused(answerable: list[Asked]) -> None:
    kept = [item for item in answerable if not item.answer.abstained]
    share, figures = _share(kept, answerable)
    assert share >= 0.95, figures


def test_a_second_ingest_changes_nothing(kb: KnowledgeBase, report: dict[str, Any]) -> None:
    again = kb.ingest(SAMPLES)
    assert (again.unchanged, again.chunks) == (report["added"], 0)
    assert again.added == again.changed == again.renamed == again.removed == 0


def answer_from_prompt(messages: Sequence[Mapping[str, str]]) -> str:
    """A model that reads: it answers what it finds in source 1, and invents a source."""
    prompt = messages[-1]["content"]
    source = prompt.partition("[1] ")[2].partition("\n[2] ")[0]
    if "30 September 2026" in source:
        return "Version 1 stops working on 30 September 2026 [1], they say [77]."
    if "72 小时" in source:
        return "数据最长可缓存 72 小时【1】。"
    return "NO_ANSWER"


@pytest.mark.parametrize(
    ("question", "text", "file", "gold"),
    [
        (
            "When will version 1 of the cloud API stop working?",
            "Version 1 stops working on 30 September 2026 [1], they say.",
            "api/cloud-api-reference.md",
            "30 September 2026",
        ),
        (
            "网关断网以后数据最长能缓存多久？",
            "数据最长可缓存 72 小时[1]。",
            "api/边缘网关接入指南.md",
            "72 小时",
        ),
    ],
)
def test_a_model_answers_from_the_documents(
    copied: Path, embedder: Embedder, cache_dir: Path,
    question: str, text: str, file: str, gold: str,
) -> None:  # fmt: skip
    tokens: list[str] = []
    with ScriptedServer(answer_from_prompt) as server:
        settings = load_settings(
            cache_dir=cache_dir, data_dir=copied.parent, base_url=server.base_url, api_key="sk-x"
        )
        model = "openai:m"
        with KnowledgeBase.open(copied, embedder=embedder, model=model, settings=settings) as kb:
            answer = kb.ask(question, tokens.append)
            (citation,) = answer.citations
            document = kb.document(citation.uri)
    assert answer.text == "".join(tokens) == text
    assert len(tokens) > 3
    assert answer.model == model
    assert answer.usage["total_tokens"] == 15
    assert citation.uri == file
    assert citation.verified
    assert gold in citation.quote
    assert citation.quote == document.text[citation.start : citation.end]
