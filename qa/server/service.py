"""What the routes of one server share. Built in `app.py`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from fastapi import Request

from ingest.errors import KbqaError
from qa.conversation import Conversations
from qa.knowledge_base import KnowledgeBase
from qa.server.bases import Bases
from qa.server.database import Database
from qa.server.feedback import Feedback
from qa.server.folders import Folders
from qa.server.jobs import Job, Jobs, Spec
from qa.server.keys import Keys
from qa.server.limits import Limits
from qa.server.metrics import Metrics
from qa.server.streaming import Threads
from qa.server.uploads import Uploads
from qa.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """The parts; `ending` is set when the server has been told to end."""

    settings: Settings
    database: Database
    keys: Keys
    limits: Limits
    bases: Bases
    folders: Folders
    uploads: Uploads
    jobs: Jobs
    conversations: Conversations
    feedback: Feedback
    metrics: Metrics
    threads: Threads
    ending: Event = field(default_factory=Event)
    _waiting: list[Callable[[], None]] = field(default_factory=list)

    def on_end(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when the server is told to end; returns what takes that back."""
        self._waiting.append(listener)
        return lambda: self._waiting.remove(listener)

    def end(self) -> None:
        """Tell all who wait that the server is about to end."""
        self.ending.set()
        for listener in list(self._waiting):
            listener()

    def create_base(self, name: str) -> KnowledgeBase:
        """Make a base; of one of that name that was removed, nothing is left by then.

        Raises what `Bases.create` raises, and StorageError.
        """
        cut_off = self.database.read("SELECT kb FROM deletions WHERE kb = ?", name)
        if cut_off and not self.bases.has(name):
            self.forget_base(name)
        return self.bases.create(name)

    def start_job(self, name: str, base: KnowledgeBase, spec: Spec) -> Job:
        """Queue an ingest into a base. Raises NotFound if it was removed since it was opened."""
        with self.bases.staying(name, base):
            return self.jobs.start(name, spec)

    def delete_base(self, name: str) -> None:
        """Remove a base and what is kept of it. Once it is gone, the rest is finished by the next
        server, should this one be killed.

        Raises NotFound, Conflict while an ingest job of it has not ended, and what
        `Bases.delete` raises.
        """
        self.jobs.require_ended(name)
        self.database.write("INSERT OR IGNORE INTO deletions VALUES (?)", name)
        try:
            self.bases.delete(name)
        except BaseException:
            if self.bases.has(name):
                self.database.write("DELETE FROM deletions WHERE kb = ?", name)
            else:  # it is gone, only some of its files are not
                self.forget_base(name)
            raise
        self.forget_base(name)

    def finish_deletions(self) -> None:
        """Forget the bases that an earlier server removed before it was killed."""
        for row in self.database.read("SELECT kb FROM deletions"):
            with suppress(KbqaError):  # its Qdrant server does not answer: a later start will see
                if not self.bases.has(row["kb"]):
                    self.forget_base(row["kb"])
                self.database.write("DELETE FROM deletions WHERE kb = ?", row["kb"])

    def forget_base(self, name: str) -> None:
        """Remove what is kept of a base: uploads, jobs, conversations, verdicts, keys for it."""
        self.keys.forget_base(name)
        self.jobs.forget(name)
        self.conversations.forget_below(name)  # of each key
        self.feedback.forget(name)
        self.uploads.remove_all(name)
        self.database.write("DELETE FROM deletions WHERE kb = ?", name)

    def close(self) -> None:
        """Stop jobs, close bases and records."""
        self.jobs.end(self.settings.serve_drain)
        self.bases.close()
        self.database.close()


def service_of(request: Request) -> Service:
    """That of the server which got this request."""
    service: Service = request.app.state.service
    return service
