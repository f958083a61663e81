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
from typing import Self

from ingest import sync
from ingest.chunking import split
from ingest.documents import Chunk, Document, Failure, FileEntry, Prepared, Record
from ingest.errors import BadRequest
from ingest.pipeline import prepare
from ingest.sync import Plan, Progress, SyncReport
from qa.chain import build_chain, call_model
from qa.extractive import NAME as EXTRACTIVE
from qa.extractive import answer_extractively
from qa.models import ChatModel, open_model
from qa.opening import Opened, discard, open_base, reembed, rollback
from qa.plugins.build_prompt import build_prompt
from qa.plugins.cite_sources import cite_sources
from qa.plugins.require_evidence import require_evidence
from qa.plugins.retrieve import retrieve
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.settings import Settings, environ, load_settings
from qa.turn import Answer, Handler, Message, Plugin, Turn
from retrieval.embedding import Embedder
from retrieval.filters import Filters
from retrieval.hits import Hit
from retrieval.index import Explanation, Index
from retrieval.reembedding import Building

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
        model: str | ChatModel,
        plugins: Sequence[str | Plugin],
    ) -> None:
        """For `open`, which is what to call."""
        self._opened = opened
        self._embedder = opened.embedder
        self._settings = settings
        self._index = Index(opened.store, opened.embedder)
        self._ingesting = threading.Lock()
        self._parts = (model, plugins)
        self._replaced: list[Opened] = []  # versions that a reader may still be in
        self._handler = self._build(*self._parts)

    @classmethod
    def open(
        cls,
        path_or_url: str | os.PathLike[str] | None = None,
        *,
        embedder: str | Embedder | None = None,
        model: str | ChatModel | None = None,
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

    def search(self, query: str, k: int = 10, filters: Filters | None = None) -> list[Hit]:
        """The `k` best passages. `filters`: a text such as `type:pdf date>=2024`, or uri, title,
        media_type, page, metadata.NAME ... -> value or list of values; see `retrieval.filters`.
        Raises BadRequest for an empty query or a bad `k`, FilterError for a bad filter."""
        return self._index.search(query, k, where=filters)

    def explain(self, query: str, k: int = 10, filters: Filters | None = None) -> Explanation:
        """As `search`, with the weights and timings that led to the hits."""
        return self._index.explain(query, k, where=filters)

    def ask(
        self,
        question: str,
        on_token: Callable[[str], None] | None = None,
        *,
        history: Sequence[Message] = (),
        filters: Filters | None = None,
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
        )

    # --- change the model ---

    def reembed(
        self,
        embedder: str | Embedder,
        *,
        on_progress: Callable[[Building], None] | None = None,
    ) -> None:
        """Embed all passages with another embedder, and use that from then on.

        Until it is done the base answers as before; if it is killed, the next call goes on. The
        version before is kept for `rollback`, until the next call or `discard_versions`. Raises
        BadRequest if the base has that embedder already.
        """
        with self._ingesting:
            self._let_go_of_replaced()
            self._index.recover()
            self._adopt(reembed(self._opened, embedder, self._settings, on_progress))

    def rollback(self) -> None:
        """Go back to the version from before `reembed`, without what was ingested since.

        Raises BadRequest if there is none.
        """
        with self._ingesting:
            self._let_go_of_replaced()
            self._adopt(rollback(self._opened, self._settings))

    def discard_versions(self) -> bool:
        """Remove what `rollback` would go back to; whether there was any."""
        with self._ingesting:
            self._let_go_of_replaced()
            return discard(self._opened)

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
        self._let_go_of_replaced()
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

    def _adopt(self, opened: Opened) -> None:
        """Answer from another version; who is in the old one stays there until done."""
        self._replaced.append(self._opened)
        self._opened, self._embedder = opened, opened.embedder
        self._index = Index(opened.store, opened.embedder)
        self._handler = self._build(*self._parts)

    def _let_go_of_replaced(self) -> None:
        while self._replaced:
            replaced = self._replaced.pop()
            replaced.store.close()
            if not replaced.lent:
                replaced.embedder.close()

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

    def _build(self, model: str | ChatModel, plugins: Sequence[str | Plugin]) -> Handler:
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

    def _innermost(self, model: str | ChatModel) -> Handler:
        settings = self._settings
        if model == EXTRACTIVE:
            return answer_extractively(self._index, self._embedder)
        if not isinstance(model, str):
            return call_model(model)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        return call_model(
            open_model(
                model,
                base_url=settings.base_url,
                api_key=key,
                timeout=settings.timeout,
                max_tokens=settings.answer_tokens,
                temperature=settings.temperature,
                environ=environ(),
            )
        )


def _layer(plugin: str | Plugin, layers: Mapping[str, Callable[[], Plugin]]) -> Plugin:
    if not isinstance(plugin, str):
        return plugin
    if plugin not in layers:
        raise BadRequest(f"there is no plugin '{plugin}'; there are {', '.join(layers)}")
    return layers[plugin]()
