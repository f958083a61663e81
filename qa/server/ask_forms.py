"""The forms of questions to a base and of what it finds and answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from qa.answering import MAX_QUESTION
from qa.rendering import answer_json, explanation_json, hit_json
from qa.server.models import Form
from qa.server.problems import scrubbed
from qa.turn import Answer, Message
from retrieval.explaining import Explanation
from retrieval.filter_text import MAX_FILTER
from retrieval.searching import MAX_K

MAX_HISTORY = 100  # messages
MAX_QUESTIONS = 500  # of one evaluation


class Query(Form):
    """What to look for. `filter` as in `kbqa search --filter`."""

    query: str = Field(min_length=1, max_length=MAX_QUESTION, examples=["days of annual leave"])
    k: int = Field(10, ge=1, le=MAX_K)
    filter: str = Field("", max_length=MAX_FILTER, examples=["type:pdf date>=2024"])
    explain: StrictBool = Field(False, description="with weights, terms and timings")


class LegItem(BaseModel):
    """Where one leg of the search has a passage in its list."""

    rank: int
    score: float


class HitItem(BaseModel):
    """A passage that was found: `text` is the document's text from `start` to `end`."""

    rank: int
    uri: str
    title: str
    heading: list[str]
    page: int | None
    start: int
    end: int
    score: float = Field(ge=0, le=1)
    legs: dict[str, LegItem]
    text: str
    copies: list[str] = Field([], description="other documents that say the same")
    metadata: dict[str, Any] = Field({}, description="of its document")
    model_config = ConfigDict(extra="allow")


class HitReasons(BaseModel):
    """Why a hit stands where it does: strength = dense + lexical + feedback."""

    strength: float
    dense: float
    lexical: float
    feedback: float
    rank: int = Field(description="its place before the feedback and a reranker, from 1")
    heading: list[str] = Field(description="terms of the query that its headings hold")
    model_config = ConfigDict(extra="allow")


class DroppedItem(BaseModel):
    """A passage that was read and is not among the hits; a copy is one `of` another document."""

    uri: str
    start: int
    end: int
    page: int | None
    heading: list[str]
    why: str = Field(examples=["copy"], description="copy, older version or beyond k")
    of: str
    model_config = ConfigDict(extra="allow")


class SearchReasons(BaseModel):
    """Why a search found what it found. `reasons` are those of the hits, in their order."""

    evidence: float = Field(description="probability that the base answers the question")
    cut: dict[str, int] = Field(description="candidates that are no hits, by why")
    dropped: list[DroppedItem]
    reasons: list[HitReasons]
    weights: dict[str, float]
    known_share: float
    terms: dict[str, float]
    timings: dict[str, float]
    model_config = ConfigDict(extra="allow")


class Found(BaseModel):
    """The passages that fit best."""

    hits: list[HitItem]
    explanation: SearchReasons | None = None

    @classmethod
    def of(cls, found: Explanation, *, explain: bool) -> Found:
        """With its reasons, if asked for."""
        reasons = explanation_json(found) if explain else None
        return cls.model_validate({"hits": hits_json(found.hits), "explanation": reasons})


class Said(Form):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_QUESTION)


class QuestionForm(Form):
    """A question to the documents."""

    question: str = Field(
        min_length=1, max_length=MAX_QUESTION, examples=["How many days of leave do I have?"]
    )
    filter: str = Field("", max_length=MAX_FILTER, examples=["lang:en"])
    history: list[Said] = Field([], max_length=MAX_HISTORY, description="oldest first")

    @property
    def messages(self) -> tuple[Message, ...]:
        """The history as the chain takes it."""
        return tuple(Message(said.role, said.content) for said in self.history)


class CitationItem(BaseModel):
    """What the mark `[number]` in an answer stands for; `verified`: the quote was compared with the
    document's text from `start` to `end`."""

    number: int
    uri: str
    page: int | None
    start: int
    end: int
    quote: str
    verified: bool
    title: str
    heading: list[str]
    model_config = ConfigDict(extra="allow")


class StatementItem(BaseModel):
    """A sentence of an answer that claims something: the answer's text from `start` to `end`,
    marks included. `supported` is null where nobody compared it with the documents."""

    start: int
    end: int
    text: str = Field(description="without marks")
    citations: list[int] = Field(description="places in the answer's `citations`, from 0")
    support: float | None = Field(description="how well these bear it out, 0 to 1")
    supported: bool | None
    model_config = ConfigDict(extra="allow")


class AnswerItem(BaseModel):
    """An answer. `abstained`: the documents do not answer; `hits` are then the nearest passages."""

    text: str = Field(examples=["You have 25 days of annual leave. [1]"])
    abstained: bool
    evidence: float | None = Field(description="probability that the documents answer, 0 to 1")
    doubtful: bool = Field(description="answered on weak evidence: check the quotes")
    citations: list[CitationItem]
    statements: list[StatementItem]
    query: str = Field(description="what was looked up: a question that leans on others, whole")
    hits: list[HitItem]
    model: str = Field(examples=["extractive"])
    usage: dict[str, int]
    cost: float | None
    notes: list[str]
    timings: dict[str, float] = Field(description="in seconds")
    model_config = ConfigDict(extra="allow")

    @classmethod
    def of(cls, answer: Answer) -> AnswerItem:
        """As `kbqa ask --json` gives it."""
        return cls.model_validate(answer_dict(answer))


def answer_dict(answer: Answer) -> dict[str, Any]:
    """As `kbqa ask --json` gives it, without paths of this machine in its notes."""
    told = answer_json(answer)
    return {**told, "notes": [scrubbed(note) for note in told["notes"]]}


def hits_json(hits: Any) -> list[dict[str, Any]]:
    """Hits as `kbqa search --json` gives them."""
    return [hit_json(rank, hit) for rank, hit in enumerate(hits, 1)]


# --- evaluation ---


class Trial(BaseModel):
    """A question with what is known of its answer, as a line of the file of `kbqa eval`."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    answer: str | list[str] | None = None
    document: str | list[str] | None = None
    page: int | list[int] | None = None
    span: str | None = None
    unanswerable: StrictBool = False
    model_config = ConfigDict(extra="forbid")


class EvalForm(Form):
    """Questions with known answers."""

    questions: list[Trial] = Field(
        min_length=1,
        max_length=MAX_QUESTIONS,
        examples=[[{"question": "How many days of leave do I have?", "answer": "25 days"}]],
    )
    measures: list[str] = Field([], max_length=20, examples=[["ndcg@10", "hit@1"]])
    answers: StrictBool = Field(False, description="ask as well, and score the answers")


class Figures(BaseModel):
    """Measure -> language (`all` first) -> mean, with a 95 % interval."""

    figures: dict[str, dict[str, dict[str, float]]]
    latency: dict[str, dict[str, float]] = Field(description="p50, p95 and p99 in ms")
    spent: dict[str, dict[str, float | bool | None]] = Field(
        description="language (`all` first), `judge` -> tokens and cost"
    )
    outcomes: list[dict[str, Any]]
