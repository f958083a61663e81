"""Question sets on disk: a file of questions, or a folder with a corpus and judgements.

A file holds one JSON object a line: `question`, and any of `answer` (a text or several),
`document` (uri, or several), `page`, `span` ([start, end] in the document's text, or a text quoted
from it, or several), `unanswerable`. Further: `id` (the question itself by default), `language`,
`metadata` (anything). `file` and `uri` are `document`; an `answer` of null says unanswerable.

A folder holds `queries.jsonl` (id, text, answers, spans), `qrels.tsv` (query, document,
relevance) and, unless its documents are in the base already, `corpus.jsonl` (id, title, text).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from ingest.documents import Document
from ingest.errors import BadRequest
from qa.language import language_of

Level = Literal["answer", "passage", "page", "document"]
LEVELS: tuple[Level, ...] = get_args(Level)
Span = tuple[int, int] | str  # offsets into the document's text, or a text quoted from it

_SAME = {"file": "document", "uri": "document", "documents": "document", "text": "question"}
_SAME |= {"answers": "answer", "pages": "page", "spans": "span", "doc_id": "document"}
_FIELDS = (
    "question", "answer", "document", "page", "span", "unanswerable", "id", "language", "metadata",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is known of its answer.

    `documents` maps uris to grades (1 relevant, more is better). `pages` and `spans` lie in the
    one document that is named. `language` is `en` or `zh` unless the file says another.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ()
    documents: Mapping[str, int] = field(default_factory=dict)
    pages: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    unanswerable: bool = False
    language: str = "en"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """The finest place that the question names."""
        if self.spans:
            return "passage"
        if self.pages:
            return "page"
        return "document" if self.documents else "answer"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, and the documents they are asked of where the set brings them.

    `level` is what is judged; None means the finest place that each question names.
    """

    name: str
    questions: tuple[Question, ...]
    documents: tuple[Document, ...] = ()
    level: Level | None = None


def parse_level(text: str) -> Level:
    """What counts as found. Raises BadRequest with the levels that there are."""
    for level in LEVELS:
        if level == text:
            return level
    raise BadRequest(f"--level {text}: there are {', '.join(LEVELS)}")


def load_questions(path: str | os.PathLike[str], *, limit: int | None = None) -> QuestionSet:
    """Read a file or folder of questions; `limit` keeps the first ones.

    Raises BadRequest that names the line for what is not a question, OSError for a file that
    cannot be read.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise BadRequest(f"the limit of questions is {limit}: ask for at least 1")
    if not path.exists():
        raise BadRequest(f"no such file or folder: {path}")
    found = _read_folder(path) if path.is_dir() else _read_file(path)
    if not found.questions:
        raise BadRequest(f"{path} holds no questions")
    return replace(found, questions=_with_unique_ids(found.questions)[:limit])


def question_json(question: Question) -> dict[str, Any]:
    """A question as a line of a file; what is empty is left out."""
    row: dict[str, Any] = {"question": question.text}
    if question.id != question.text:
        row = {"id": question.id, **row}
    several: dict[str, tuple[Any, ...]] = {
        "answer": question.answers,
        "document": tuple(question.documents),
        "page": question.pages,
        "span": tuple(span if isinstance(span, str) else list(span) for span in question.spans),
    }
    row |= {
        name: values[0] if len(values) == 1 else list(values)
        for name, values in several.items()
        if values
    }
    if question.unanswerable:
        row["unanswerable"] = True
    return {**row, "language": question.language, **_if_any("metadata", question.metadata)}


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON Lines file, each with its place for messages: `file line 3`."""
    text = _text_of(path)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as exc:
            raise BadRequest(f"{where} is no JSON: {exc.msg} at column {exc.colno}") from exc
        except ValueError as exc:  # a number of more digits than Python reads
            raise BadRequest(f"{where} holds a number that is too long") from exc
        except RecursionError as exc:
            raise BadRequest(f"{where} is nested too deeply") from exc
        if not isinstance(row, dict):
            raise BadRequest(f"{where} is {_kind(row)}: one object a line is expected")
        yield where, row


# --- a file ---


def _read_file(path: Path) -> QuestionSet:
    questions = tuple(question_of(row, where) for where, row in rows_of(path))
    return QuestionSet(path.name, questions)


def question_of(row: Mapping[str, Any], where: str) -> Question:
    """A question from an object. Raises BadRequest that begins with `where`."""
    fields = _fields(row, where)
    text = _string(fields.get("question"), "question", where).strip()
    if not text:
        raise BadRequest(f"{where}: the question is empty")
    documents = _strings(fields.get("document"), "document", where)
    question = Question(
        id=_utf8(str(fields["id"])) if fields.get("id") is not None else text,
        text=text,
        answers=_strings(fields.get("answer"), "answer", where),
        documents=dict.fromkeys(documents, 1),
        pages=_pages(fields.get("page"), where),
        spans=_spans(fields.get("span"), where),
        unanswerable=_is_unanswerable(fields, where),
        language=_language(fields, text, where),
        metadata=_mapping(fields.get("metadata"), where),
    )
    _check(question, where)
    return question


def _fields(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The row with the names that `Question` knows."""
    fields: dict[str, Any] = {}
    for name, value in row.items():
        known = _SAME.get(name, name)
        if known not in _FIELDS:
            close = get_close_matches(name, (*_FIELDS, *_SAME), n=1)
            guess = f"did you mean '{close[0]}'? " if close else ""
            raise BadRequest(
                f"{where}: unknown field '{name}': {guess}there are {', '.join(_FIELDS)}; "
                "put anything else under metadata"
            )
        if known in fields and fields[known] != value:
            raise BadRequest(f"{where}: '{name}' says again what '{known}' says")
        fields[known] = value
    return fields


def _check(question: Question, where: str) -> None:
    named = question.documents or question.pages or question.spans or question.answers
    if question.unanswerable and named:
        raise BadRequest(f"{where}: the question is unanswerable and yet has an answer or a place")
    if not question.unanswerable and not named:
        raise BadRequest(
            f"{where}: nothing to judge by: give answer, document, page, span or unanswerable"
        )
    if (question.pages or question.spans) and len(question.documents) != 1:
        raise BadRequest(
            f"{where}: a page or span needs the one document it is in, not "
            f"{len(question.documents)}"
        )


def _is_unanswerable(fields: Mapping[str, Any], where: str) -> bool:
    said = fields.get("unanswerable")
    if said is None:
        return "answer" in fields and fields["answer"] is None and fields.get("document") is None
    if not isinstance(said, bool):
        raise BadRequest(f"{where}: unanswerable is {_kind(said)}: true or false is expected")
    return said


def _string(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{where}: {name} is {_kind(value)}: a text is expected")
    return _utf8(value)


def _utf8(text: str) -> str:
    """A text without lone surrogates, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _strings(value: Any, name: str, where: str) -> tuple[str, ...]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    texts = (_string(item, name, where).strip() for item in items)
    return tuple(text for text in texts if text)


def _pages(value: Any, where: str) -> tuple[int, ...]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, int) or isinstance(item, bool) or item < 1:
            raise BadRequest(f"{where}: page is {item!r}: a number from 1 is expected")
    return tuple(items)


def _spans(value: Any, where: str) -> tuple[Span, ...]:
    if value is None or value == []:
        return ()
    one = not isinstance(value, list) or all(isinstance(item, int) for item in value)
    return tuple(_span(item, where) for item in ([value] if one else value))


def _span(value: Any, where: str) -> Span:
    if isinstance(value, str) and value.strip():
        return value.strip()
    numbers = isinstance(value, list) and [type(n) is int for n in value] == [True, True]
    if not numbers or not 0 <= value[0] < value[1]:
        raise BadRequest(
            f"{where}: span is {json.dumps(value, ensure_ascii=False)[:80]}: [start, end] or a "
            "text quoted from the document is expected"
        )
    return value[0], value[1]


def _language(fields: Mapping[str, Any], text: str, where: str) -> str:
    said = fields.get("language")
    return language_of(text) if said is None else _string(said, "language", where)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"{where}: metadata is {_kind(value)}: an object is expected")
    return json.loads(_utf8(json.dumps(value, ensure_ascii=False))) if value else {}


# --- a folder ---


def _read_folder(folder: Path) -> QuestionSet:
    for name in ("queries.jsonl", "qrels.tsv"):
        if not (folder / name).is_file():
            raise BadRequest(
                f"{folder} lacks {name}: a folder of questions holds queries.jsonl, qrels.tsv and "
                "corpus.jsonl"
            )
    judged = _judgements(folder / "qrels.tsv")
    questions = []
    for where, row in rows_of(folder / "queries.jsonl"):
        id_ = str(_given(row, "id", where))
        if id_ in judged:
            questions.append(_query(row, id_, judged[id_], where))
    if not questions:
        raise BadRequest(f"no query of {folder / 'queries.jsonl'} is judged in qrels.tsv")
    documents = tuple(_documents(folder / "corpus.jsonl"))
    return QuestionSet(folder.resolve().name, tuple(questions), documents, "document")


def _query(row: Mapping[str, Any], id_: str, grades: Mapping[str, int], where: str) -> Question:
    relevant = {uri: grade for uri, grade in grades.items() if grade > 0}
    text = _string(row.get("text"), "text", where).strip()
    if not text:
        raise BadRequest(f"{where}: the text is empty")
    return Question(
        id=id_,
        text=text,
        answers=_strings(row.get("answers"), "answers", where) if relevant else (),
        documents=relevant,
        spans=_spans(row.get("spans"), where) if len(relevant) == 1 else (),
        unanswerable=not relevant,
        language=language_of(text),
    )


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_text_of(path).split("\n"), 1):
        cells = line.rstrip("\r").split("\t")
        if not line.strip() or (number == 1 and not _is_number(cells[-1])):  # a header
            continue
        if len(cells) < 3 or not _is_number(cells[2]):
            raise BadRequest(f"{path} line {number}: query, document and relevance are expected")
        judged.setdefault(cells[0], {})[cells[1]] = round(float(cells[2]))
    return judged


def _documents(path: Path) -> Iterator[Document]:
    if not path.is_file():
        return
    for where, row in rows_of(path):
        text = _string(row.get("text"), "text", where)
        title = _string(row.get("title") or "", "title", where)
        yield Document.from_text(text, uri=str(_given(row, "id", where)), title=title)


# --- small helpers ---


def _with_unique_ids(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    """The same question asked twice gets a number behind its id."""
    taken = {question.id for question in questions}
    counts: dict[str, int] = {}
    unique = []
    for question in questions:
        count, id_ = counts.get(question.id, 0) + 1, question.id
        while count > 1 and (id_ := f"{question.id} ({count})") in taken:
            count += 1
        counts[question.id] = count
        taken.add(id_)
        unique.append(replace(question, id=id_))
    return tuple(unique)


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{path} is not UTF-8: byte {exc.start} is wrong") from exc


def _given(row: Mapping[str, Any], name: str, where: str) -> Any:
    if row.get(name) is None:
        raise BadRequest(f"{where} lacks '{name}'")
    return row[name]


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e6
    except ValueError:
        return False


def _if_any(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value)} if value else {}


def _kind(value: Any) -> str:
    names = {type(None): "missing", bool: "a boolean", int: "a number", float: "a number"}
    names |= {str: "a text", list: "a list", dict: "an object"}
    return names[type(value)]
