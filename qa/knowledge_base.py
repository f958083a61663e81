"""`KnowledgeBase`: ingest a folder, search, ask. The public API; builds every object."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ingest import sync
from ingest.chunking import split
from ingest.documents import Chunk, Document, FileEntry, FileState, Record
from ingest.errors import BadRequest
from ingest.foreign import adopted
from ingest.pipeline import prepare
from ingest.planning import Plan, file_state, plan_retry, read_anew
from ingest.planning import plan as plan_against
from ingest.sync import Item, Progress, SyncReport
from ingest.taking import take
from ingest.walking import Selection
from ingest.workers import Limits
from qa import traced
from qa.opening import Opened, discard, open_base, reembed, reranker_of, rollback
from qa.overview import Finding, Status, findings, status_of
from qa.prompting import Prompts, prompts_of
from qa.settings import Settings, is_url, load_settings
from qa.tracing import span, start
from qa.turn import Answer, Message, Plugin, Turn
from retrieval.adapter import Adapter
from retrieval.embedding import Embedder, LazyEmbedder, Vectors
from retrieval.explaining import Explanation
from retrieval.filters import Filters
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.inspecting import copies_in, passages_in
from retrieval.points import FORMAT, write_base
from retrieval.reembedding import Building

if TYPE_CHECKING:  # answering takes longer to load than an ingest of one file
    from qa.answering import Answering
    from qa.images import Pictured
    from qa.models import ChatModel
    from qa.parts import WithParts
    from qa.transfer import Transferred


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
        plugins: Sequence[str | Plugin | WithParts],
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
        self._made: Answering | None = None  # by `_answering`
        self._making = threading.Lock()

    @classmethod
    def open(
        cls,
        path_or_url: str | os.PathLike[str] | None = None,
        *,
        embedder: str | Embedder | None = None,
        model: str | Sequence[str] | ChatModel | None = None,
        plugins: Sequence[str | Plugin | WithParts] | None = None,
        settings: Settings | None = None,
        create: bool = True,
    ) -> KnowledgeBase:
        """Open a knowledge base, or make it.

        `path_or_url`: a folder, a bare name (a folder in `settings.data_dir`), or a Qdrant URL
        `http://host:6333/NAME`. What is not given comes from `settings`, by default those of the
        environment and `kbqa.toml`. `plugins` that name no layer of kbqa's stand around those;
        a list that does is the whole chain, see `qa.layers`. What the settings say of models and
        plugins is looked at by the first question: an ingest needs neither.

        Raises BadRequest (no such base and `create` false, or built with another embedder),
        Locked, StorageError, NotConfigured, Unreachable, NotAuthorised.
        """
        settings = settings or load_settings()
        if settings.otlp_endpoint:
            start(settings.otlp_endpoint)
        target = settings.kb if path_or_url is None else path_or_url
        opened = open_base(target, embedder or settings.embedder, settings, create=create)
        try:
            base = cls(
                opened,
                settings,
                model=model or settings.model,
                plugins=settings.plugins if plugins is None else plugins,
            )
            if model is not None or plugins is not None:
                base._answering()
            return base
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
            return self._written(
                lambda: take(
                    adopted(documents, prefix),
                    self._index,
                    self._ledger(),
                    split=self._split,
                    prune_below=f"{prefix}/" if prune else None,
                    on_progress=on_progress,
                )
            )

    def remove(self, *uris: str) -> None:
        """Drop documents, and what they contain. The next ingest of their files brings them back.

        Raises BadRequest if there is none of a uri.
        """
        ledger = self._ledger()
        for uri in uris:
            if uri not in ledger:
                raise BadRequest(f"there is no document '{uri}' in {self._opened.location}")
        wanted = set(uris)
        gone = {u: row for u, row in ledger.items() if u in wanted or row.container in wanted}
        opened = {row.container for row in gone.values()} & ledger.keys() - gone.keys()
        self._index.touch([read_anew(ledger[uri]) for uri in opened])
        self._index.remove(list(gone))

    # --- ask ---

    def search(self, query: str, k: int = 10, filters: Filters | None = None) -> list[Hit]:
        """The `k` best passages. `filters`: a text such as `type:pdf date>=2024`, or uri, title,
        media_type, page, metadata.NAME ... -> value or list of values; see `retrieval.filters`.
        Raises BadRequest for an empty query or a bad `k`, FilterError for a bad filter."""
        return list(traced.search(self._index, query, k, filters).hits)

    def explain(self, query: str, k: int = 10, filters: Filters | None = None) -> Explanation:
        """As `search`, with the weights and timings that led to the hits."""
        return traced.search(self._index, query, k, filters)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts as of passages: `(len(texts), dimension)` float32, rows of length 1."""
        return self._embedder.embed(texts)

    def ask(
        self,
        question: str,
        on_token: Callable[[str], None] | None = None,
        *,
        history: Sequence[Message] = (),
        filters: Filters | None = None,
        images: Sequence[Pictured] = (),
        on_hits: Callable[[tuple[Hit, ...]], None] | None = None,
    ) -> Answer:
        """Answer a question from the documents, with citations, or say that they do not answer it.

        `images` (files, or bytes of some) go to the model where it takes them; what is written in
        them is looked up with the question. `on_token` gets the answer piece by piece as it is
        written, `on_hits` before that the passages found; what they raise ends it. Raises
        BadRequest for a question that is empty or too long and for what is no image, and what the
        model's server raises.
        """
        with span("kbqa.ask") as asked:
            answer = self._answering().ask(
                question, on_token, history=history, filters=filters, images=images, on_hits=on_hits
            )
            asked.note(
                kbqa__abstained=answer.abstained,
                kbqa__citations=len(answer.citations),
                kbqa__cost=answer.cost,
            )
        return answer

    def prompt(
        self, question: str, *, history: Sequence[Message] = (), filters: Filters | None = None
    ) -> tuple[Message, ...]:
        """What the LLM would be sent for a question, to the letter; () where it would be asked
        nothing: the documents do not answer, or the answer is known already.

        Plugins that ask the LLM on the way there (`hyde`...) do so. Raises what `ask` does.
        """
        turn = self.before_model(question, history=history, filters=filters)
        return () if turn is None else turn.prompt

    def before_model(
        self, question: str, *, history: Sequence[Message] = (), filters: Filters | None = None
    ) -> Turn | None:
        """As `prompt`, with what was found and everything else that plugins have made of the
        question; None where the LLM would be asked nothing."""
        return self._answering().before_model(question, history=history, filters=filters)

    # --- change the model ---

    def use_model(self, model: str | Sequence[str] | ChatModel) -> None:
        """Answer with another model from now on. Raises BadRequest, NotConfigured."""
        parts = (model, self._parts[1])
        made = self._make(*parts)
        with self._making:
            self._made, self._parts = made, parts

    def reembed(
        self,
        embedder: str | Embedder | Adapter,
        *,
        on_progress: Callable[[Building], None] | None = None,
    ) -> None:
        """Embed all passages with another embedder, and use that from then on; an adapter is one.

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
            lent = [opened.embedder for opened in self._replaced if opened.lent]
            self._let_go_of_replaced()
            self._adopt(rollback(self._opened, self._settings, lent))

    def discard_versions(self) -> bool:
        """Remove what `rollback` would go back to; whether there was any."""
        with self._ingesting:
            self._let_go_of_replaced()
            return discard(self._opened)

    def export(self, file: str | os.PathLike[str]) -> Transferred:
        """Write the base to one file, for `qa.transfer.import_base`. An ingest waits meanwhile.

        Raises BadRequest if the file exists, StorageError if it cannot be written.
        """
        from qa.transfer import export_base

        folder = None if is_url(self.location) else Path(self.location)
        with self._writing():
            return export_base(self._opened.store, self._opened.base, folder, Path(file))

    # --- look ---

    @property
    def location(self) -> str:
        """Where the base lies: a folder or a URL."""
        return self._opened.location

    @property
    def prompts(self) -> Prompts:
        """The templates, those of the base first. Raises BadRequest for one that will not do."""
        folder = None if is_url(self.location) else Path(self.location)
        return prompts_of(folder, self._settings.prompts)

    def document(self, uri: str) -> Document:
        """A document with its canonical text. Raises BadRequest if there is none of that uri."""
        document = self._index.document(uri)
        if document is None:
            row = self._ledger().get(uri)
            if row is not None and row.error:
                raise BadRequest(f"'{uri}' could not be read: {row.error}")
            if row is not None:
                raise BadRequest(f"'{uri}' has no text of its own: what it holds is '{uri}!/...'")
            raise BadRequest(f"there is no document '{uri}' in {self._opened.location}")
        return document

    def documents(self) -> list[Record]:
        """The ledger in order of uri: documents, what failed, and archives."""
        return list(self._index.documents())

    def record(self, uri: str) -> Record | None:
        """The row of the ledger for a uri; None if there is none."""
        return self._index.record(uri)

    def file_state(self, uri: str) -> FileState:
        """What became of a document's file since it was read: `same`, `changed`, or `gone`; "" for
        a document without one. For a member of an archive, of the archive's file."""
        row = self._index.record(uri)
        if row is not None and row.container:
            row = self._index.record(row.container)
        return "" if row is None else file_state(row)

    def count(self) -> tuple[int, int]:
        """(documents, chunks) that answer."""
        return self._index.count()

    def status(self) -> Status:
        """The base in figures."""
        return status_of(self._opened, self._index.count()[1], self.documents())

    def diagnose(self) -> list[Finding]:
        """What is wrong with the base and its documents, with the cure."""
        return findings(self._opened.store, self.documents())

    def chunks(self) -> Iterator[Chunk]:
        """All passages that can be found, in no order."""
        return passages_in(self._opened.store)

    @property
    def embedder(self) -> Embedder:
        """What embeds questions and passages; the base closes it."""
        return self._embedder

    def copies(self) -> list[list[str]]:
        """Groups of documents that are near-copies of each other, by uri."""
        return copies_in(self._opened.store)

    def keep_embedder(self) -> Embedder:
        """The embedder, for the next base to be opened with; from now on it is the caller's."""
        self._lent = True
        return self._embedder

    def close(self) -> None:
        """Flush and release, but for an embedder that was given. Closing twice does no harm."""
        self._close(self._opened.store.close)

    def leave(self) -> None:
        """As `close`, for a process that is about to end: its base is held until then, and the next
        process that opens it finds the files in the system's cache."""
        self._close(self._opened.store.leave)

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
        with self._making:
            self._made = None

    def _close(self, store: Callable[[], None]) -> None:
        self._let_go_of_replaced()
        store()
        if not self._lent:
            self._embedder.close()
        if self._reranker is not None:
            self._reranker.close()

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
        """Carry out a plan; `on_progress` is called now and then, too, while a file is read."""
        at_hand = Progress(total=len(changes.to_read))

        def note(progress: Progress) -> None:
            nonlocal at_hand
            at_hand = progress
            if on_progress:
                on_progress(progress)

        def prepared(entries: Iterable[FileEntry]) -> Iterator[Item]:
            return self._prepare(entries, waiting=lambda: note(at_hand))

        return self._written(
            lambda: sync.apply(changes, self._index, prepare=prepared, on_progress=note)
        )

    def _written(self, work: Callable[[], SyncReport]) -> SyncReport:
        """Do an ingest, and index what came."""

        def indexed() -> SyncReport:
            report = work()
            if report.chunks:
                self._index.optimize()
            return report

        return traced.ingest(indexed)

    def _prepare(
        self, entries: Iterable[FileEntry], *, waiting: Callable[[], None]
    ) -> Iterator[Item]:
        settings = self._settings
        limits = Limits(
            timeout=settings.parse_timeout,
            memory_mb=settings.parse_memory_mb,
            workers=settings.workers or os.cpu_count() or 1,
        )
        if entries and isinstance(self._embedder, LazyEmbedder):
            self._embedder.warm()  # while the workers start
        items = prepare(entries, self._split, limits=limits, waiting=waiting)
        if not settings.describe_images:
            return items
        from qa.configured import describer_of

        return describer_of(settings.describe_images, settings).described(items, self._split)

    def _split(self, document: Document) -> list[Chunk]:
        return split(
            document,
            token_starts=self._embedder.token_starts,
            max_tokens=self._embedder.max_tokens,
        )

    def _answering(self) -> Answering:
        with self._making:
            if self._made is None:
                self._made = self._make(*self._parts)
            return self._made

    def _make(
        self, model: str | Sequence[str] | ChatModel, plugins: Sequence[str | Plugin | WithParts]
    ) -> Answering:
        from qa.answering import Answering

        return Answering.of(
            self._index,
            self._embedder,
            self._settings,
            self.prompts,
            model=model,
            plugins=plugins,
        )
