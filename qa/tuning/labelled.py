"""Pairs from questions that somebody asked: a file in the form of `kbqa eval`, feedback, an LLM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ingest.documents import Chunk
from qa.evaluation.questions import Question, question_of
from qa.evaluation.targets import Names, holds_answer
from qa.settings import Settings, is_url, kb_folder
from qa.tuning.pairs import Pair

MOST_OF_A_DOCUMENT = 3  # passages, where a question names a document and nothing in it
FEEDBACK = 10_000  # verdicts
SERVER_FOLDER = ".server"  # of `data_dir`


def resolved(questions: Iterable[Question], uris: Iterable[str]) -> list[Question]:
    """The questions with the base's names of the documents that they name, as `kbqa eval` finds
    them; without those that name only others."""
    names = Names(uris)
    found = []
    for question in questions:
        known = {
            uri: grade for name, grade in question.documents.items() if (uri := names.uri(name))
        }
        if known or not question.documents:
            found.append(replace(question, documents=known))
    return found


def pairs_of_questions(
    questions: Iterable[Question], chunks: Mapping[str, Sequence[Chunk]], kind: str
) -> Iterator[Pair]:
    """A pair for each passage that a question names; `chunks` by uri, in their order."""
    for question in questions:
        if question.unanswerable:
            continue
        for uri in question.documents:
            for chunk in _named(question, chunks.get(uri, ())):
                yield Pair(question.text, chunk.embedded_text, chunk.uri, chunk.position, kind)


def _named(question: Question, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    exact = [chunk for chunk in chunks if any(_meets(chunk, span) for span in question.spans)]
    if exact or question.spans:
        return exact[:1]
    if question.pages:
        chunks = [chunk for chunk in chunks if chunk.page in question.pages]
    holding = [chunk for chunk in chunks if holds_answer(chunk.text, question.answers)]
    return holding[:1] or chunks[:MOST_OF_A_DOCUMENT]


def _meets(chunk: Chunk, span: tuple[int, int] | str) -> bool:
    if isinstance(span, str):
        return holds_answer(chunk.text, [span])
    start, end = span
    return chunk.start < end and start < chunk.end and 2 * min(end, chunk.end) >= start + end


def feedback_questions(settings: Settings) -> list[Question]:
    """Questions of which users of this machine's server said that the answer helped."""
    from qa.server.database import FILE, Database
    from qa.server.feedback import Feedback, questions

    folder = settings.data_dir / SERVER_FOLDER
    if is_url(settings.kb) or not (folder / FILE).exists():
        return []
    name = kb_folder(settings.kb, settings).name
    database = Database(folder)
    try:
        verdicts = Feedback(database).list(name, FEEDBACK)
    finally:
        database.close()
    return [question_of(row, "feedback") for row in questions(verdicts)]
