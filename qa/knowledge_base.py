"""`KnowledgeBase`: ingest a folder, search, ask. The public API; builds every object."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest import sync
from ingest.chunking import split
from ingest.documents import Chunk, Document, Failure, FileEntry, Prepared, Record
from ingest.errors import BadRequest
from ingest.pipeline import prepare
from ingest.sync import Plan, Progress, SyncReport
from qa.chain import build_chain, call_model, fall_back
from qa.extractive import NAME as EXTRACTIVE
from qa.extractive import answer_extractively
from qa.model_wrappers import FALLS
from qa.models import ChatModel, ModelOptions, Price, open_model
from qa.opening import Opened, open_base
from qa.plugins.build_prompt import build_prompt
from qa.plugins.cite_sources import cite_sources
from qa.plugins.require_evidence import require_evidence
from qa.plugins.retrieve import retrieve
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.settings import Settings, environ, load_settings
from qa.turn import Answer, Handler, Message, Plugin, Turn
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.index import Explanation, Index

MAX_QUESTION = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Status:
    """A knowledge base in figures. `location` is its folder or URL."""

    location: str
    documents: int
    chunks: int
    embedder: str
    dimension: int


class KnowledgeBase:
    """Documents that answer questions. Usable from several threads; a context manager.

    >>> with KnowledgeBase.open("handbook") as kb:
    ...     kb.ingest("docs/")
    ...     print(kb.ask("How many days of leave do I have?").text)
    """

    def __init__(
        self,
        opened: Opened,
        settings: Settings,
        *,
        model: str | Sequence[str] | ChatModel,
        plugins: Sequence[str | Plugin],
    ) -> None:
        """For `open`, which is what to call."""
        self._opened = opened
        self._embedder = opened.embedder
        self._settings = settings
        self._index = Index(opened.store, opened.embedder)
        self._ingesting = threading.Lock()
        self._handler = self._build(model, plugins)

    @classmethod
    def open(
        cls,
        path_or_url: str | os.PathLike[str] | None = None,
        *,
        embedder: str | Embedder | None = None,
        model: str | Sequence[str] | ChatModel | None = None,
        plugins: Sequence[str | Plugin] | None = None,
        settings: Settings | None = None,
        create: bool = True,
    ) -> KnowledgeBase:
        """Open a knowledge base, or make it.

        `path_or_url`: a folder, a bare name (a folder in `settings.data_dir`), or a Qdrant URL
        `http://host:6333/NAME`. What is not given comes from `settings`, by default those of the
        environment and `kbqa.toml`. `plugins` that name no layer of ours stand around ours;
        a list that does is the whole chain.

        Raises BadRequest (no such base and `create` false, or built with another embedder),
        Locked, StorageError, NotConfigured, Unreachable, NotAuthorised.
        """
        settings = settings or load_settings()
        target = settings.kb if path_or_url is None else path_or_url
        opened = open_base(target, embedder or settings.embedder, settings, create=create)
        try:
            return cls(
                opened,
                settings,
                model=model or settings.model,
                plugins=settings.plugins if plugins is None else plugins,
            )
        except BaseException:
            opened.store.close()
            raise

    # --- ingest ---

    def plan(self, path: str | os.PathLike[str], *, prune: bool = False) -> Plan:
        """What `ingest` would do, without doing it."""
        ledger = {record.uri: record for record in self._index.documents()}
        return sync.plan(Path(path), ledger, prune=prune)

    def ingest(
        self,
        path: str | os.PathLike[str],
        *,
        prune: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Bring the base in line with a folder or file: only what changed is read and embedded.

        A file that cannot be read is in the report and stops nothing. `prune` lifts the guard
        that keeps documents when most of them would vanish. Raises BadRequest for a wrong path.
        """
        started = time.monotonic()
        with self._ingesting:
            self._index.recover()
            changes = self.plan(path, prune=prune)
            report = sync.apply(
                changes, self._index, prepare=self._prepare, on_progress=on_progress
            )
            if report.chunks:
                self._index.optimize()
        return replace(report, seconds=time.monotonic() - started)

    def ingest_documents(
        self,
        documents: Iterable[Document],
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Add texts that come from elsewhere, or replace those of the same uri. Removes nothing."""
        started = time.monotonic()
        counts = Counter[str]()
        progress = Progress(total=0)
        with self._ingesting:
            self._index.recover()
            ledger = {record.uri: record.sha256 for record in self._index.documents()}
            fresh = self._fresh(documents, ledger, counts)
            for batch in sync.in_batches(fresh):
                self._index.replace([item for item in batch if isinstance(item, Prepared)])
                progress.done += len(batch)
                progress.chunks = counts["chunks"]
                if on_progress:
                    on_progress(progress)
            if counts["chunks"]:
                self._index.optimize()
        return SyncReport(
            added=counts["added"],
            changed=counts["changed"],
            unchanged=counts["unchanged"],
            chunks=counts["chunks"],
            seconds=time.monotonic() - started,
        )

    def remove(self, uri: str) -> None:
        """Drop one document. Raises BadRequest if there is none of that uri."""
        self.document(uri)
        self._index.remove([uri])

    # --- ask ---

    def search(
        self, query: str, k: int = 10, filters: Mapping[str, Any] | None = None
    ) -> list[Hit]:
        """The `k` best passages. `filters`: uri, title, media_type, page or metadata.NAME -> value
        (or list of values). Raises BadRequest for an empty query, a bad `k`, an unknown field."""
        return self._index.search(query, k, where=filters)

    def explain(
        self, query: str, k: int = 10, filters: Mapping[str, Any] | None = None
    ) -> Explanation:
        """As `search`, with the weights and timings that led to the hits."""
        return self._index.explain(query, k, where=filters)

    def ask(
        self,
        question: str,
        on_token: Callable[[str], None] | None = None,
        *,
        history: Sequence[Message] = (),
        filters: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Answer a question from the documents, with citations, or say that they do not answer it.

        `on_token` gets the answer piece by piece as it is written. Raises BadRequest for a
        question that is empty or too long, and what the model's server raises.
        """
        question = question.encode("utf-8", "replace").decode().strip()  # a lone surrogate: no text
        if not question:
            raise BadRequest("the question is empty")
        if len(question) > MAX_QUESTION:
            raise BadRequest(
                f"the question has {len(question):,} characters; the limit is {MAX_QUESTION:,}"
            )
        turn = Turn(question, history=tuple(history), filters=filters, on_token=on_token)
        turn = self._handler(turn)
        return Answer(
            text=turn.text,
            citations=turn.citations,
            hits=turn.hits,
            abstained=turn.abstained,
            model=turn.model,
            usage=turn.usage,
            timings=turn.timings,
            cost=turn.cost,
            notes=turn.notes,
        )

    # --- look ---

    def document(self, uri: str) -> Document:
        """A document with its canonical text. Raises BadRequest if there is none of that uri."""
        document = self._index.document(uri)
        if document is None:
            raise BadRequest(f"there is no document '{uri}' in {self._opened.location}")
        return document

    def documents(self) -> list[Record]:
        """The ledger: one row per document, in order of uri."""
        return sorted(self._index.documents(), key=lambda record: record.uri)

    def status(self) -> Status:
        """The base in figures."""
        documents, chunks = self._index.count()
        base = self._opened.base
        return Status(self._opened.location, documents, chunks, base.embedder, base.dimension)

    def close(self) -> None:
        """Flush and release, but for an embedder that was given. Closing twice does no harm."""
        self._opened.store.close()
        if not self._opened.lent:
            self._embedder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- inside ---

    def _prepare(self, entries: Iterable[FileEntry]) -> Iterator[Prepared | Failure]:
        return prepare(entries, self._split)

    def _split(self, document: Document) -> list[Chunk]:
        return split(
            document,
            token_starts=self._embedder.token_starts,
            max_tokens=self._embedder.max_tokens,
        )

    def _fresh(
        self, documents: Iterable[Document], ledger: dict[str, str], counts: Counter[str]
    ) -> Iterator[Prepared]:
        """The documents whose version is not in the ledger yet, counted."""
        for document in documents:
            if not document.uri:
                raise BadRequest("a document has an empty uri")
            known = ledger.get(document.uri)
            if known == document.sha256:
                counts["unchanged"] += 1
                continue
            ledger[document.uri] = document.sha256
            chunks = self._split(document)
            counts["changed" if known else "added"] += 1
            counts["chunks"] += len(chunks)
            yield Prepared(document, chunks)

    def _build(
        self, model: str | Sequence[str] | ChatModel, plugins: Sequence[str | Plugin]
    ) -> Handler:
        settings = self._settings
        layers: dict[str, Callable[[], Plugin]] = {
            "trace": lambda: trace,
            "rewrite_query": lambda: rewrite_query,
            "retrieve": partial(retrieve, self._index, k=settings.top_k),
            "require_evidence": partial(require_evidence, min_score=settings.min_score),
            "build_prompt": partial(build_prompt, budget=settings.prompt_tokens),
            "cite_sources": partial(cite_sources, self._index.document),
        }
        if not any(isinstance(plugin, str) for plugin in plugins):
            plugins = [*plugins, *layers]
        chain = [_layer(plugin, layers) for plugin in plugins]
        return build_chain(chain, self._innermost(model))

    def _innermost(self, model: str | Sequence[str] | ChatModel) -> Handler:
        if isinstance(model, str):
            model = [model]
        if isinstance(model, ChatModel):
            return call_model(model)
        extractive = answer_extractively(self._index, self._embedder)
        if not model or EXTRACTIVE in model[:-1]:
            raise BadRequest(f"model {list(model)}: 'extractive' always answers, so it comes last")
        if model[-1] != EXTRACTIVE:
            return call_model(self._open_model(model))
        if len(model) == 1:
            return extractive
        return fall_back(call_model(self._open_model(model[:-1])), extractive, on=FALLS)

    def _open_model(self, specs: Sequence[str]) -> ChatModel:
        settings = self._settings
        options = ModelOptions(
            base_url=settings.base_url,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            timeout=settings.timeout,
            max_tokens=settings.answer_tokens,
            temperature=settings.temperature,
            attempts=settings.model_attempts,
            concurrency=settings.model_concurrency,
            prices={spec: Price(p.input, p.output) for spec, p in settings.prices.items()},
        )
        return open_model(specs, options, environ=environ())


def _layer(plugin: str | Plugin, layers: Mapping[str, Callable[[], Plugin]]) -> Plugin:
    if not isinstance(plugin, str):
        return plugin
    if plugin not in layers:
        raise BadRequest(f"there is no plugin '{plugin}'; there are {', '.join(layers)}")
    return layers[plugin]()
