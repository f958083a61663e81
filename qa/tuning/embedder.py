"""The embedder of a base learns from its documents: pairs, training, judgement, adoption."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.documents import Chunk
from ingest.errors import BadRequest, StorageError
from qa.evaluation.questions import Question
from qa.settings import Settings, is_url
from qa.tuning import batches as batching
from qa.tuning.judging import Judgement, asked_of, judge, passages_of
from qa.tuning.labelled import feedback_questions, pairs_of_questions, resolved
from qa.tuning.loss import KEPT
from qa.tuning.pairs import Pair, Split, pairs_of, split
from qa.tuning.training import CHECKPOINT, EPOCHS, Trained, require_packages, train, trainable
from retrieval.adapter import Adapter, parted
from retrieval.embedding import CosineScale, Embedder, open_embedder, scale_of
from retrieval.minilm import drop_graph

if TYPE_CHECKING:
    from qa.knowledge_base import KnowledgeBase
    from qa.models import ChatModel
    from retrieval.reembedding import Building

LEAST = 200  # pairs to learn from
MOST_CHUNKS = 20_000  # looked at; of a larger base, drawn at random
PAIRS_A_MINUTE = 1000  # at most; 2 slow cores see 300
MINING = 0.1  # of the time
GENERATED = 200  # questions asked of an LLM
SEARCHED = 40  # hits, among which are hard negatives
TOO_CLOSE = 10  # of these, the first ones may answer as well as the right one
FOLDER, KEY = "tuning", "key"  # in the base: of a training that is not done
KNOWN = 0.9  # share of tokens below which a vocabulary does not fit
COMPARED = 150  # questions and passages whose cosines are compared
_SAMPLE = 50  # passages

Stage = Callable[[str, float, float | None], None]  # what is done, share 0..1, seconds left


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a base offers to learn from. Of the labelled questions, `unused` name nothing in it."""

    base: str
    split: Split
    chunks: tuple[Chunk, ...]
    known_share: float
    unused: int = 0

    @property
    def fits(self) -> bool:
        """Whether the model's vocabulary has the words of these documents."""
        return self.known_share >= KNOWN


@dataclass(frozen=True, slots=True)
class Tuned:
    """How a tuning went. `adopted`: the base is searched with what was learned."""

    kinds: Mapping[str, int]
    trained: Trained
    judgement: Judgement
    adapter: Adapter
    adopted: bool


def prospect(
    kb: KnowledgeBase,
    settings: Settings,
    *,
    questions: Iterable[Question] = (),
    model: ChatModel | None = None,
    minutes: float = 10.0,
    seed: int = 0,
) -> Prospect:
    """The pairs that the documents of `kb` give, with those of `questions`, of the feedback that
    the server has kept, and of a model that is asked for some.

    Raises BadRequest for an embedder that cannot be tuned and for a base that is too small.
    """
    base, _ = parted(kb.embedder.name)
    trainable(base)
    chunks = _sampled(kb.chunks(), seed)
    by_uri: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_uri[chunk.uri].append(chunk)
    labelled = [question for question in questions if not question.unanswerable]
    asked = {
        "labelled": resolved(labelled, by_uri),
        "feedback": feedback_questions(settings),
    }
    if model is not None:
        from qa.evaluation.generating import generate

        asked["generated"] = generate(kb, GENERATED, model=model, seed=seed)
    named = [
        pair for kind, some in asked.items() for pair in pairs_of_questions(some, by_uri, kind)
    ]
    parts = split([*named, *pairs_of(chunks, seed=seed)], seed=seed)
    if len(parts.training) < LEAST or not parts.held_out:
        raise BadRequest(
            f"{kb.location} is too small to learn from: it gives {len(parts.training)} pairs of a "
            f"question and a passage, and at least {LEAST} are needed"
        )
    used = {pair.query for pair in named}
    return Prospect(
        base,
        _limited(parts, minutes, seed),
        chunks,
        _known(kb.embedder, chunks, seed),
        unused=sum(question.text not in used for question in labelled),
    )


def tune(
    kb: KnowledgeBase,
    found: Prospect,
    settings: Settings,
    *,
    minutes: float = 10.0,
    seed: int = 0,
    on_stage: Stage | None = None,
) -> Tuned:
    """Train on what was found, judge on what was held out, and adopt what has proved better.

    Killed, the base is as it was, and the next call with the same documents goes on. Raises
    NotConfigured when a package is missing, StorageError, BadRequest.
    """
    tell = on_stage or (lambda *_: None)
    require_packages()
    folder = _folder(kb, settings)
    key = _key(kb, found.base, seed, found)
    _begin(folder, key)
    began = time.monotonic()
    spare = 60 * minutes * MINING
    confused = _mined(kb, found.split.training, began + spare, tell)
    order = batching.batches(found.split.training, confused, seed=seed)
    with closing(open_embedder(found.base, cache_dir=settings.cache_dir)) as untuned:
        trained = train(
            found.base,
            found.split.training,
            order,
            guide=untuned,
            seconds=60 * minutes - (time.monotonic() - began),
            folder=folder,
            key=key,
            seed=seed,
            on_progress=lambda at: tell(
                f"step {at.steps}, loss {at.loss:.3f}", at.share, at.seconds_left
            ),
        )
    adapter = trained.adapter.made_for(found.base, {})
    tuned = open_embedder(adapter.spec, cache_dir=settings.cache_dir, adapter=adapter)
    try:
        cosines = _cosine_scale(kb, tuned, found, seed)
        tuned.cosine_scale = cosines  # type: ignore[attr-defined]
        judgement = judge(
            found.chunks,
            found.split.held_out,
            kb.embedder,
            tuned,
            seed=seed,
            on_progress=lambda share: tell("judging", share, None),
        )
    finally:
        tuned.close()
    card = _card(kb, found, trained, judgement)
    adapter = adapter.made_for(found.base, card, cosines)
    if judgement.is_better:
        kb.reembed(adapter, on_progress=lambda at: _tell_building(at, tell))
    else:
        drop_graph(settings.cache_dir, adapter)
    shutil.rmtree(folder, ignore_errors=True)
    return Tuned(found.split.kinds, trained, judgement, adapter, judgement.is_better)


def interrupted(
    kb: KnowledgeBase, settings: Settings, seed: int = 0, found: Prospect | None = None
) -> str:
    """What an earlier training has left: "resumes", "outdated" (documents or labelled questions
    have changed since, it begins anew), or "" for nothing."""
    folder = _folder(kb, settings)
    if not (folder / CHECKPOINT).exists():
        return ""
    try:
        said = (folder / KEY).read_text("utf-8")
    except OSError:
        return "outdated"
    return "resumes" if said == _key(kb, parted(kb.embedder.name)[0], seed, found) else "outdated"


def _begin(folder: Path, key: str) -> None:
    """Note what the checkpoints in the folder belong to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / KEY).write_text(key, "utf-8")
    except OSError as exc:
        raise StorageError(f"cannot write {folder}: {exc.strerror or exc}") from exc


def _sampled(chunks: Iterable[Chunk], seed: int) -> tuple[Chunk, ...]:
    """At most `MOST_CHUNKS` of them in the order of documents: of more, whichever a draw keeps
    (Vitter's reservoir)."""
    chance = random.Random(seed)
    kept: list[Chunk] = []
    for number, chunk in enumerate(chunks):
        if number < MOST_CHUNKS:
            kept.append(chunk)
        elif (place := chance.randrange(number + 1)) < MOST_CHUNKS:
            kept[place] = chunk
    return tuple(sorted(kept, key=lambda chunk: (chunk.uri, chunk.position)))


def _limited(parts: Split, minutes: float, seed: int) -> Split:
    """As many pairs as can be seen in the time: real questions first, then drawn at random."""
    most = max(LEAST, round(PAIRS_A_MINUTE * minutes))
    if len(parts.training) <= most:
        return parts
    pairs = list(parts.training)
    random.Random(seed).shuffle(pairs)
    pairs.sort(key=lambda pair: pair.kind not in ("labelled", "feedback", "generated"))
    return Split(tuple(pairs[:most]), parts.held_out)


def _known(embedder: Embedder, chunks: Sequence[Chunk], seed: int) -> float:
    some = random.Random(seed).sample(chunks, min(_SAMPLE, len(chunks)))
    shares = [embedder.known_share(chunk.text) for chunk in some]
    return sum(shares) / max(1, len(shares))


def _cosine_scale(kb: KnowledgeBase, tuned: Embedder, found: Prospect, seed: int) -> CosineScale:
    """What gives the tuned model's cosines the mean, and within a question the spread, of those of
    the model it was; from questions and passages drawn at random."""
    chance = random.Random(seed)
    pairs = chance.sample(found.split.training, min(COMPARED, len(found.split.training)))
    chunks = chance.sample(found.chunks, min(COMPARED, len(found.chunks)))
    own = kb.embedder
    figures = []
    for embedder in (own, tuned):
        queries = np.array([embedder.embed_query(pair.query) for pair in pairs])
        cosines = queries @ embedder.embed([chunk.embedded_text for chunk in chunks]).T
        figures.append((float(cosines.mean()), float(cosines.std(axis=1).mean())))
    (mean, spread), (tuned_mean, tuned_spread) = figures
    before = scale_of(own)  # the base may have been tuned before
    slope = spread / max(tuned_spread, 1e-6)
    return CosineScale(before.slope * slope, before(mean - slope * tuned_mean))


def _mined(
    kb: KnowledgeBase, pairs: Sequence[Pair], until: float, tell: Stage
) -> Mapping[tuple[str, int], Sequence[tuple[str, int]]]:
    """For passages, those which the base's own search confuses with them; as many as there is
    time for."""
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for number, pair in enumerate(pairs):
        if time.monotonic() > until:
            break
        if pair.place not in found:
            hits = kb.search(pair.query, SEARCHED)[TOO_CLOSE:]
            found[pair.place] = [(hit.uri, hit.chunk.position) for hit in hits]
        if number % 50 == 0:
            tell("looking for hard negatives", number / len(pairs), None)
    return found


def _folder(kb: KnowledgeBase, settings: Settings) -> Path:
    if is_url(kb.location):
        name = hashlib.sha256(kb.location.encode()).hexdigest()[:12]
        return settings.data_dir / f".{FOLDER}" / name
    return Path(kb.location) / FOLDER


def _key(kb: KnowledgeBase, base: str, seed: int, found: Prospect | None) -> str:
    """What a training depends on: the documents, labelled questions, the model, the seed."""
    pairs = found.split.training if found is not None else ()
    labelled = sorted((pair.query, *pair.place) for pair in pairs if pair.kind == "labelled")
    said = json.dumps([corpus_of(kb), labelled, base, seed, EPOCHS, KEPT])
    return hashlib.sha256(said.encode()).hexdigest()


def corpus_of(kb: KnowledgeBase) -> str:
    """A fingerprint of the documents of a base."""
    digest = hashlib.sha256()
    for record in sorted(kb.documents(), key=lambda record: record.uri):
        digest.update(f"{record.uri}\0{record.sha256}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _card(
    kb: KnowledgeBase, found: Prospect, trained: Trained, judgement: Judgement
) -> dict[str, Any]:
    """What an adapter says of itself."""
    from retrieval.reembedding import Fingerprint

    return {
        "model": found.base,
        "fingerprint": Fingerprint.of(kb.embedder).tag,
        "kbqa": version("kbqa"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "corpus": corpus_of(kb),
        "pairs": found.split.kinds,
        "steps": trained.steps,
        "seconds": round(trained.seconds),
        "questions": judgement.questions,
        "dense": asdict(judgement.dense),
        "hybrid": asdict(judgement.hybrid),
    }


def _tell_building(at: Building, tell: Stage) -> None:
    tell(f"embedding anew, {at.done} of {at.total} documents", at.done / max(1, at.total), None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a tuning will take after its training, in seconds; `questions` will judge it."""

    questions: int
    judging: float
    embedding: float


def estimate(kb: KnowledgeBase, found: Prospect, seed: int = 0) -> Estimate:
    """From the time that a few passages take to be embedded."""
    asked = asked_of(found.split.held_out, seed=seed)
    some = random.Random(seed).sample(found.chunks, min(_SAMPLE, len(found.chunks)))
    kb.embedder.embed([chunk.embedded_text for chunk in some[:1]])  # opens what is opened once
    started = time.monotonic()
    kb.embedder.embed([chunk.embedded_text for chunk in some])
    each = (time.monotonic() - started) / max(1, len(some))
    judged = 2 * (len(passages_of(found.chunks, asked, seed)) + len(asked))  # before and after
    return Estimate(len(asked), judged * each, kb.count()[1] * each)
