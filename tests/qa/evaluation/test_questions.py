from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BadRequest
from qa.evaluation.questions import load_questions, question_json, question_of

HERE = "q.jsonl line 1"


def written(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_file_of_questions(tmp_path: Path) -> None:
    path = written(
        tmp_path / "q.jsonl",
        {"question": "How long?", "answer": "2 days", "document": "a.md", "page": 3},
        "",
        {"question": "多长？", "answers": ["两天", "2 天"], "uri": ["a.md", "b.md"], "id": 7},
        {"question": "Where?", "document": "a.md", "span": [3, 9]},
        {"question": "Where to?", "document": "a.md", "span": ["to the", "left"]},
        {"question": "Who?", "answer": None, "file": None, "language": "en"},
        {"question": "Why?", "unanswerable": True, "metadata": {"by": "me"}},
    )
    found = load_questions(path)
    assert (found.name, found.documents, found.level) == ("q.jsonl", (), None)
    first, second, third, fourth, fifth, sixth = found.questions
    assert (first.id, first.text, first.answers) == ("How long?", "How long?", ("2 days",))
    assert (dict(first.documents), first.pages, first.level) == ({"a.md": 1}, (3,), "page")
    assert (second.id, second.language, second.level) == ("7", "zh", "document")
    assert second.answers == ("两天", "2 天")
    assert (third.spans, third.level) == (((3, 9),), "passage")
    assert fourth.spans == ("to the", "left")
    assert fifth.unanswerable
    assert sixth.unanswerable
    assert sixth.metadata == {"by": "me"}


def test_questions_asked_twice_are_told_apart(tmp_path: Path) -> None:
    row = {"question": "How long?", "answer": "2 days"}
    found = load_questions(written(tmp_path / "q.jsonl", row, row))
    assert [question.id for question in found.questions] == ["How long?", "How long? (2)"]
    taken = {**row, "id": "How long? (2)"}
    found = load_questions(written(tmp_path / "q.jsonl", row, row, taken, row, taken))
    assert len({question.id for question in found.questions}) == 5
    assert found.questions[2].id == "How long? (2)"


def test_half_characters_become_question_marks(tmp_path: Path) -> None:
    half = "a\udcff"
    row = {"question": half, "id": half, "answer": half, "document": half, "metadata": {half: half}}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    (question,) = load_questions(tmp_path / "q.jsonl").questions
    assert (question.id, question.text, question.metadata) == ("a?", "a?", {"a?": "a?"})
    assert (question.answers, list(question.documents)) == (("a?",), ["a?"])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{'question'", ["line 1", "no JSON", "column 2"]),
        ("[1]", ["line 1", "a list", "one object a line"]),
        (f'{{"question": "x", "page": {"1" * 5000}}}', ["line 1", "a number that is too long"]),
        ({"question": "x", "document": "a", "span": [True, 5]}, ["span is [true, 5]"]),
        ({"answer": "x"}, ["question is missing"]),
        ({"question": "  ", "answer": "x"}, ["the question is empty"]),
        ({"question": 3}, ["question is a number"]),
        ({"question": "x", "anwser": "y"}, ["unknown field 'anwser'", "did you mean 'answer"]),
        (
            {"question": "x", "zzz": "y"},
            ["unknown field 'zzz'", "put anything else under metadata"],
        ),
        ({"question": "x"}, ["nothing to judge by"]),
        ({"question": "x", "answer": "y", "unanswerable": True}, ["unanswerable and yet"]),
        ({"question": "x", "unanswerable": "no"}, ["unanswerable is a text", "true or false"]),
        ({"question": "x", "page": 1}, ["needs the one document", "not 0"]),
        ({"question": "x", "document": ["a", "b"], "span": "y"}, ["not 2"]),
        ({"question": "x", "document": "a", "page": 0}, ["page is 0", "from 1"]),
        ({"question": "x", "document": "a", "page": "3"}, ["page is '3'"]),
        ({"question": "x", "document": "a", "span": [5, 5]}, ["span is [5, 5]"]),
        ({"question": "x", "document": "a", "span": [1, 2, 3]}, ["span is [1, 2, 3]"]),
        ({"question": "x", "document": {"a": 1}}, ["document is an object", "a text is expected"]),
        ({"question": "x", "document": "a", "file": "b"}, ["'file' says again"]),
        ({"question": "x", "answer": "y", "metadata": 3}, ["metadata is a number"]),
        ("[" * 100_000, ["line 1"]),
    ],
)
def test_what_is_no_question_is_named_with_its_line(
    row: Any, words: list[str], tmp_path: Path
) -> None:
    path = written(tmp_path / "q.jsonl", row)
    with pytest.raises(BadRequest) as caught:
        load_questions(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_the_number_of_a_bad_line_counts_blank_ones(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", {"question": "x", "answer": "y"}, "", "oops")
    with pytest.raises(BadRequest, match="line 3 is no JSON"):
        load_questions(path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\n"])
def test_an_empty_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    with pytest.raises(BadRequest, match="holds no questions"):
        load_questions(tmp_path / "q.jsonl")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no such file or folder"):
        load_questions(tmp_path / "missing.jsonl")
    (tmp_path / "q.jsonl").write_bytes("{}{}问".encode("gb18030"))
    with pytest.raises(BadRequest, match="not UTF-8"):
        load_questions(tmp_path / "q.jsonl")
    with pytest.raises(BadRequest, match="limit of questions is 0"):
        load_questions(tmp_path / "q.jsonl", limit=0)


def test_a_question_survives_being_written() -> None:
    rows: list[dict[str, Any]] = [
        {"question": "x", "answer": ["a", "b"], "document": "d", "page": 2, "span": [1, 4]},
        {"question": "x", "id": "7", "document": "d", "span": "quoted", "language": "de"},
        {"question": "x", "unanswerable": True, "metadata": {"by": "me"}},
        {"question": "x", "document": "d", "span": [[1, 4], "quoted", [5, 6]]},
        {"question": "x", "document": "d", "span": []},
    ]
    for row in rows:
        question = question_of(row, HERE)
        assert question_of(question_json(question), HERE) == question


def folder_of(path: Path, *, qrels: str = "q1\td1\t2\nq1\td2\t0\nq3\td2\t1\n") -> Path:
    path.mkdir()
    written(path / "corpus.jsonl", {"id": "d1", "title": "One", "text": "First."},
            {"id": "d2", "text": "Second."})  # fmt: skip
    written(path / "queries.jsonl", {"id": "q1", "text": "first?", "answers": ["First"]},
            {"id": "q2", "text": "not judged"}, {"id": "q3", "text": "第二？"})  # fmt: skip
    (path / "qrels.tsv").write_text(qrels, "utf-8")
    return path


def test_a_folder_with_its_corpus(tmp_path: Path) -> None:
    found = load_questions(folder_of(tmp_path / "set"))
    assert (found.name, found.level) == ("set", "document")
    assert [(d.uri, d.title, d.text) for d in found.documents] == [
        ("d1", "One", "First."),
        ("d2", "", "Second."),
    ]
    assert [(q.id, dict(q.documents), q.language) for q in found.questions] == [
        ("q1", {"d1": 2}, "en"),
        ("q3", {"d2": 1}, "zh"),
    ]
    assert len(load_questions(tmp_path / "set", limit=1).questions) == 1


def test_a_folder_with_a_head_line_in_its_judgements(tmp_path: Path) -> None:
    qrels = "query-id\tcorpus-id\tscore\nq1\td1\t1\n"
    found = load_questions(folder_of(tmp_path / "set", qrels=qrels))
    assert [q.id for q in found.questions] == ["q1"]


def test_a_query_with_only_zeros_has_no_answer(tmp_path: Path) -> None:
    found = load_questions(folder_of(tmp_path / "set", qrels="q1\td1\t0\n"))
    assert found.questions[0].unanswerable


@pytest.mark.parametrize(
    ("qrels", "words"),
    [
        ("q1\td1\nq1\td1\t1\n", "no query"),
        ("q1\td1\t1\nq1 d1 1\n", "line 2: query, document and relevance"),
        ("q9\td1\t1\n", "no query"),
        ("", "no query"),
    ],
)
def test_bad_judgements(qrels: str, words: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set", qrels=qrels)
    if words == "no query":
        (folder / "queries.jsonl").write_text('{"id": "other", "text": "x"}', "utf-8")
    with pytest.raises(BadRequest, match=words):
        load_questions(folder)


def test_a_folder_that_lacks_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"lacks queries\.jsonl"):
        load_questions(tmp_path)
    folder = folder_of(tmp_path / "set")
    written(folder / "corpus.jsonl", {"text": "no id"})
    with pytest.raises(BadRequest, match="line 1 lacks 'id'"):
        load_questions(folder)
