"""`KnowledgeBase`: ingest a folder, search, ask. The public API; builds every object."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingest import sync
from ingest.chunking import split
from ingest.documents import Chunk, Document, FileEntry, Record
from ingest.errors import BadRequest
from ingest.foreign import adopted
from ingest.pipeline import prepare
from ingest.planning import Plan, plan_retry
from ingest.planning import plan as plan_against
from ingest.sync import Item, Progress, SyncReport
from ingest.taking import take
from ingest.walking import Selection
from ingest.workers import Limits
from qa.chain import build_chain
from qa.configured import handler_of, reranker_of
from qa.extractive import answer_extractively
from qa.models import ChatModel
from qa.opening import Opened, discard, open_base, reembed, rollback
from qa.overview import Finding, Status, findings, status_of
from qa.plugins.build_prompt import build_prompt
from qa.plugins.cite_sources import cite_sources
from qa.plugins.require_evidence import require_evidence
from qa.plugins.retrieve import retrieve
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.settings import Settings, load_settings
from qa.turn import Answer, Handler, Message, Plugin, Turn
from retrieval.embedding import Embedder, LazyEmbedder
from retrieval.explaining import Explanation
from retrieval.filters import Filters
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.inspecting import copies_in
from retrieval.points import FORMAT, write_base
from retrieval.reembedding import Building

MAX_QUESTION = 20_000  # characters


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
        self._lent = opened.lent
        self._settings = settings
        self._reranker = reranker_of(settings)
        self._index = Index(opened.store, opened.embedder, reranker=self._reranker)
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

    def plan(
        self,
        path: str | os.PathLike[str],
        *,
        prune: bool = False,
        retry: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        leave: Callable[[FileEntry], bool] | None = None,
    ) -> Plan:
        """What `ingest` would do, without doing it."""
        selection = Selection.of(include, exclude)
        return plan_against(
            Path(path), self._ledger(), prune=prune, retry=retry, selection=selection, leave=leave
        )

    def ingest(
        self,
        path: str | os.PathLike[str],
        *,
        prune: bool = False,
        retry: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        leave: Callable[[FileEntry], bool] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Bring the base in line with a folder or file: only what changed is read and embedded.

        A file that cannot be read is in the report and stops nothing; the same file is tried again
        with `retry`. `prune` lifts the guard that keeps documents when most of them would vanish.
        `include` and `exclude` are patterns as in .gitignore; what they leave out, and files that
        `leave` says are not ready, stay as they are. Raises BadRequest for a wrong path.
        """
        started = time.monotonic()
        with self._writing():
            changes = self.plan(
                path, prune=prune, retry=retry, include=include, exclude=exclude, leave=leave
            )
            report = self._apply(changes, on_progress)
        return replace(report, seconds=time.monotonic() - started)

    def retry(
        self,
        uris: Collection[str] | None = None,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Read files again that failed: all, or those of `uris`. Raises BadRequest for one that
        has not failed."""
        with self._writing():
            return self._apply(plan_retry(self._ledger(), uris), on_progress)

    def ingest_documents(
        self,
        documents: Iterable[Any],
        *,
        prefix: str = "",
        prune: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Add texts that come from elsewhere, or replace those of the same uri.

        `documents` are ours, LlamaIndex's or LangChain's (see `ingest.foreign` for the uris that
        these get, below `prefix`). Removes nothing, but with `prune` the documents below `prefix`
        that are not among these.
        """
        if prune and not prefix:
            raise BadRequest("prune needs a prefix: it says which documents may be removed")
        with self._writing():
            report = take(
                adopted(documents, prefix),
                self._index,
                self._ledger(),
                split=self._split,
                prune_below=f"{prefix}/" if prune else None,
                on_progress=on_progress,
            )
            if report.chunks:
                self._index.optimize()
        return report

    def remove(self, *uris: str) -> None:
        """Drop documents, and what they contain. Raises BadRequest if there is none of a uri."""
        ledger = self._ledger()
        for uri in uris:
            if uri not in ledger:
                raise BadRequest(f"there is no document '{uri}' in {self._opened.location}")
        wanted = set(uris)
        self._index.remove(
            [u for u, row in ledger.items() if u in wanted or row.container in wanted]
        )

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
            cost=turn.cost,
            notes=turn.notes,
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
            failed = self._ledger().get(uri)
            if failed is not None and failed.error:
                raise BadRequest(f"'{uri}' could not be read: {failed.error}")
            raise BadRequest(f"there is no document '{uri}' in {self._opened.location}")
        return document

    def documents(self) -> list[Record]:
        """The ledger in order of uri: documents, what failed, and archives."""
        return sorted(self._index.documents(), key=lambda record: record.uri)

    def status(self) -> Status:
        """The base in figures."""
        return status_of(self._opened, self._index.count()[1], self.documents())

    def diagnose(self) -> list[Finding]:
        """What is wrong with the base and its documents, with the cure."""
        return findings(self._opened.store, self.documents())

    def copies(self) -> list[list[str]]:
        """Groups of documents that are near-copies of each other, by uri."""
        return copies_in(self._opened.store)

    def keep_embedder(self) -> Embedder:
        """The embedder, for the next base to be opened with; from now on it is the caller's."""
        self._lent = True
        return self._embedder

    def close(self) -> None:
        """Flush and release, but for an embedder that was given. Closing twice does no harm."""
        self._let_go_of_replaced()
        self._opened.store.close()
        if not self._lent:
            self._embedder.close()
        if self._reranker is not None:
            self._reranker.close()

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
        self._replaced.append(replace(self._opened, lent=self._lent))
        self._opened, self._embedder, self._lent = opened, opened.embedder, opened.lent
        self._index = Index(opened.store, opened.embedder, reranker=self._reranker)
        self._handler = self._build(*self._parts)

    def _let_go_of_replaced(self) -> None:
        while self._replaced:
            replaced = self._replaced.pop()
            replaced.store.close()
            if not replaced.lent:
                replaced.embedder.close()

    def _ledger(self) -> dict[str, Record]:
        return {record.uri: record for record in self._index.documents()}

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One ingest at a time, after what an earlier one left undone."""
        with self._ingesting:
            self._index.recover()
            if self._opened.base.format < FORMAT:  # an older kbqa would not understand what comes
                write_base(self._opened.store, replace(self._opened.base, format=FORMAT))
            yield

    def _apply(self, changes: Plan, on_progress: Callable[[Progress], None] | None) -> SyncReport:
        report = sync.apply(changes, self._index, prepare=self._prepare, on_progress=on_progress)
        if report.chunks:
            self._index.optimize()
        return report

    def _prepare(self, entries: Iterable[FileEntry]) -> Iterator[Item]:
        settings = self._settings
        limits = Limits(
            timeout=settings.parse_timeout,
            memory_mb=settings.parse_memory_mb,
            workers=settings.workers or os.cpu_count() or 1,
        )
        if entries and isinstance(self._embedder, LazyEmbedder):
            self._embedder.warm()  # while the workers start
        return prepare(entries, self._split, limits=limits)

    def _split(self, document: Document) -> list[Chunk]:
        return split(
            document,
            token_starts=self._embedder.token_starts,
            max_tokens=self._embedder.max_tokens,
        )

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
        extractive = answer_extractively(self._index, self._embedder)
        return build_chain(chain, handler_of(model, extractive, settings))


def _layer(plugin: str | Plugin, layers: Mapping[str, Callable[[], Plugin]]) -> Plugin:
    if not isinstance(plugin, str):
        return plugin
    if plugin not in layers:
        raise BadRequest(f"there is no plugin '{plugin}'; there are {', '.join(layers)}")
    return layers[plugin]()
