"""The contract of the question chain: one value that travels, one kind of layer around it.

`Plugin(turn, call_next) -> turn`. Before `call_next` a plugin may change query, hits or prompt;
after it, text or citations; not calling it answers from elsewhere or refuses. The innermost
handler is the model. A plugin that edits the answer sets `on_token=None` on its way in, so that
nothing unedited leaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from qa.images import Image
from retrieval.filters import Filters
from retrieval.hits import Hit


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat, with the images that belong to it."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """The passage a statement rests on: `quote == document.text[start:end]` when `verified`.

    `number` is the mark `[number]` in the answer; two statements may rest on different words of one
    source. `page` is that of the quote, None for a text without pages.
    """

    number: int
    uri: str
    page: int | None
    start: int
    end: int
    quote: str
    verified: bool
    title: str = ""
    heading: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer that claims something: `answer.text[start:end]`, its marks included.

    `text` is what it says, without marks; `citations` are the passages it rests on. `support` is
    how well these bear it out (0..1), `supported` whether that is enough; None: nobody checked.
    """

    start: int
    end: int
    text: str
    citations: tuple[Citation, ...] = ()
    support: float | None = None
    supported: bool | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A question on its way to the model and the answer on its way back.

    `timings` are seconds per stage; `usage` counts tokens as the model reports them (or, with
    `estimated`, as kbqa guesses), `cost` is what they cost where a price is configured. `notes` are
    lines for the user about how the answer came to be. `evidence` is the probability that the base
    answers the question, None where no search said so; `doubtful`: answered although it is low, or
    by what is not about the year or the thing that the question names. `on_hits` is told what was
    found, before the answer begins. `sources` are the hits as the model is shown them, one text for
    each; empty: as `build_prompt` writes them.
    """

    question: str
    history: tuple[Message, ...] = ()
    images: tuple[Image, ...] = ()
    query: str = ""
    filters: Filters | None = None
    hits: tuple[Hit, ...] = ()
    prompt: tuple[Message, ...] = ()
    text: str = ""
    citations: tuple[Citation, ...] = ()
    statements: tuple[Statement, ...] = ()
    abstained: bool = False
    model: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    notes: tuple[str, ...] = ()
    on_token: Callable[[str], None] | None = None
    on_hits: Callable[[tuple[Hit, ...]], None] | None = None
    evidence: float | None = None
    doubtful: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets. `abstained` is true when the documents do not answer the question.

    `evidence` is the probability (0..1) that they do; `doubtful`: answered although it is low, or
    by what is not about the year or the thing that the question names.
    `query` is what was looked up: the question, or what it means after those before it.
    """

    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    abstained: bool
    model: str
    usage: Mapping[str, int]
    timings: Mapping[str, float]
    cost: float | None = None
    notes: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    evidence: float | None = None
    doubtful: bool = False
    query: str = ""

    @classmethod
    def of(cls, turn: Turn) -> Answer:
        """What a turn holds when it has come back."""
        return cls(**{field.name: getattr(turn, field.name) for field in fields(cls)})


Handler = Callable[[Turn], Turn]
Plugin = Callable[[Turn, Handler], Turn]
