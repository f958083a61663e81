"""What every `Store` does. Inherit it and write `open_store`; the folder stands for the place."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.errors import BadRequest, KbqaError
from retrieval.conditions import And, Between, Compare, Condition, Match, Not, Or, Prefix
from retrieval.embedding import Vectors
from retrieval.store import BM25_B, BM25_K, Point, Scored, Store
from retrieval.terms import analyse, analyse_query

DIM = 8


def uid(number: int) -> int:
    """An id that uses all of its 63 bits, not in the order of `number`."""
    return int.from_bytes(uuid.uuid5(uuid.NAMESPACE_URL, str(number)).bytes[:8], "big") >> 1


def axis(*values: float) -> Vectors:
    """A vector of length 1 along `values`, the rest 0."""
    vector = np.zeros(DIM, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def chunk(number: int, text: str = "", vector: Vectors | None = None, **fields: Any) -> Point:
    payload = {"kind": "chunk", "number": number, "text": text, "terms": " ".join(analyse(text))}
    return Point(uid(number), {**payload, **fields}, vector)


def row(number: int, **fields: Any) -> Point:
    return Point(uid(number), {"kind": "document", **fields})


def ids(found: Sequence[Scored]) -> list[int]:
    return [item.id for item in found]


def bm25(frequencies: Sequence[tuple[int, int]], length: int, lengths: Sequence[int]) -> float:
    """The formula. `frequencies` are (in this text, number of texts that hold it) per term."""
    norm = BM25_K * (1 - BM25_B + BM25_B * length / (sum(lengths) / len(lengths)))
    return sum(
        math.log(1 + (len(lengths) - df + 0.5) / (df + 0.5)) * tf * (BM25_K + 1) / (tf + norm)
        for tf, df in frequencies
    )


class StoreContract:
    """The contract suite; a fresh place for each test."""

    concurrent = True
    """Whether threads may share the store."""

    encodes = True
    """Whether what is written leaves Python, so that text must be Unicode."""

    def open_store(self, folder: Path, *, dimension: int | None = None) -> Store:
        """The store at `folder`; created if a dimension is given and there is none."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.open_store(tmp_path / "base", dimension=DIM)
        yield store
        store.close()

    def test_reads_what_was_written(self, store: Store) -> None:
        point = chunk(
            1, "Grüße 👩‍🚀 塔在巴黎 \x00 \u2028", axis(1, 2), heading=["a", "b"], page=None
        )
        nested = row(2, metadata={"author": "李", "rated": True, "price": 1.5}, size=2**53)
        store.write([point, nested])
        found = store.read([point.id, nested.id, uid(3)])
        assert {id_: dict(item.payload) for id_, item in found.items()} == {
            point.id: point.payload,
            nested.id: nested.payload,
        }
        assert found[point.id].vector is None

    def test_reads_fields(self, store: Store) -> None:
        store.write([chunk(1, "tower", axis(1), page=3)])
        found = store.read([uid(1)], fields=["page", "kind", "missing"])[uid(1)]
        assert found == Point(uid(1), {"page": 3, "kind": "chunk"})
        assert store.read([uid(1)], fields=[])[uid(1)].payload == {}

    def test_vectors_come_back(self, store: Store) -> None:
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(20, DIM)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        store.write([chunk(number, "", vector) for number, vector in enumerate(rows)])
        store.write([row(100)])
        found = store.read([*map(uid, range(20)), uid(100)], vectors=True)
        for number, vector in enumerate(rows):
            read = found[uid(number)].vector
            assert read is not None
            assert read.dtype == np.float32
            np.testing.assert_allclose(read, vector, atol=1e-6)
        assert found[uid(100)].vector is None

    def test_replaces_all_of_a_point(self, store: Store) -> None:
        store.write([chunk(1, "old words", axis(1), page=3)])
        store.write([chunk(1, "new", axis(0, 1))])
        assert "page" not in store.read([uid(1)])[uid(1)].payload
        assert store.search(None, "old", limit=5) == ([], [])
        dense, lexical = store.search(axis(0, 1), "new", limit=5)
        assert dict(dense) == pytest.approx({uid(1): 1}, abs=1e-6)
        assert ids(lexical) == [uid(1)]
        store.write([row(1)])
        assert store.search(axis(0, 1), "new", limit=5) == ([], [])

    def test_nothing_to_do(self, store: Store) -> None:
        store.write([])
        store.delete([])
        store.delete([uid(9)])
        store.delete_where({"kind": "chunk"})
        store.optimize()
        assert store.read([]) == {}
        assert store.read([uid(9)]) == {}
        assert list(store.scan({})) == []
        assert store.search(axis(1), "tower", limit=5) == ([], [])
        assert store.search(None, "", limit=5) == ([], [])
        assert store.count({}) == 0
        assert store.term_counts([]) == []
        assert store.term_counts(["tower"]) == [0]

    def test_scans_over_pages(self, store: Store) -> None:
        store.write([chunk(number, "tower", axis(1)) for number in range(2500)])
        store.write([row(number) for number in range(2500, 2510)])
        found = [point.payload["number"] for point in store.scan({"kind": "chunk"})]
        assert sorted(found) == list(range(2500))
        assert len(store.read([uid(number) for number in range(2510)], fields=[])) == 2510
        point = next(store.scan({"number": 7}, fields=["number"], vectors=True))
        assert point.payload == {"number": 7}
        assert point.vector is not None

    def test_deletes(self, store: Store) -> None:
        store.write([chunk(number, "tower", axis(1)) for number in range(5)])
        store.delete([uid(1), uid(3), uid(99)])
        assert sorted(point.id for point in store.scan({})) == sorted(map(uid, (0, 2, 4)))
        dense, lexical = store.search(axis(1), "tower", limit=9)
        assert len(dense) == len(lexical) == 3
        store.write([chunk(1, "tower", axis(1))])
        assert store.count({"kind": "chunk"}) == 4

    def test_deletes_where_unless(self, store: Store) -> None:
        versions = [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")]
        points = [
            chunk(number, uri=uri, document_id=version)
            for number, (uri, version) in enumerate(versions)
        ]
        store.write([*points, row(9, uri="a", document_id="a1")])
        where = {"kind": ["chunk", "content"], "uri": ["a", "b"]}
        store.delete_where(where, unless={"document_id": ["a2", "x"]})
        left = {(p.payload["kind"], p.payload["document_id"]) for p in store.scan({})}
        assert left == {("chunk", "a2"), ("chunk", "c1"), ("document", "a1")}
        store.delete_where({"kind": "chunk"}, unless={"uri": "c", "document_id": "other"})
        assert {p.payload["kind"] for p in store.scan({})} == {"document"}
        store.delete_where({})
        assert store.count({}) == 0

    def test_searches_both_legs(self, store: Store) -> None:
        store.write(
            [
                chunk(1, "The tower stands in Paris", axis(1, 0.5)),
                chunk(2, "The river runs through Paris, Paris", axis(1)),
                chunk(3, "Bread", axis(0, 1)),
                row(4, title="tower"),
            ]
        )
        dense, lexical = store.search(axis(1), "pari tower", limit=10)
        assert ids(dense) == [uid(2), uid(1), uid(3)]
        cosines = [1, 1 / math.sqrt(1.25), 0]
        assert [item.score for item in dense] == pytest.approx(cosines, abs=1e-6)
        assert ids(lexical) == [uid(1), uid(2)]
        assert store.search(axis(1), "", limit=10) == (dense, [])
        assert store.search(None, "pari tower", limit=10) == ([], lexical)
        assert store.search(axis(1), "absent", limit=10) == (dense, [])

    def test_limits(self, store: Store) -> None:
        store.write([chunk(number, "tower", axis(1, number)) for number in range(30)])
        dense, lexical = store.search(axis(1), "tower", limit=7)
        assert ids(dense) == [uid(number) for number in range(7)]
        assert len(lexical) == 7
        assert [len(leg) for leg in store.search(axis(1), "tower", limit=1000)] == [30, 30]
        assert store.search(axis(1), "tower", limit=0) == ([], [])

    def test_ties_are_ordered_by_id(self, store: Store) -> None:
        store.write([chunk(number, "tower", axis(1)) for number in range(25)])
        store.write([chunk(number, "tower", axis(1)) for number in range(5)])
        everything = sorted(map(uid, range(25)))
        dense, lexical = store.search(axis(1), "tower", limit=25)
        assert ids(dense) == ids(lexical) == everything

    def test_bm25_is_the_formula(self, store: Store) -> None:
        texts = ["alpha beta beta gamma", "alpha " * 7 + "delta", "epsilon beta"]
        store.write([chunk(number, text) for number, text in enumerate(texts)])
        store.write([row(9, text="alpha")])  # not a text of the corpus: it has no terms
        _, lexical = store.search(None, "alpha beta", limit=5)
        lengths = [4, 8, 2]
        expected = {
            uid(0): bm25([(1, 2), (2, 2)], 4, lengths),
            uid(1): bm25([(7, 2)], 8, lengths),
            uid(2): bm25([(1, 2)], 2, lengths),
        }
        assert dict(lexical) == pytest.approx(expected, rel=1e-5)
        # by hand: idf ln 1.6 = .470004, average length 14/3, norm 1.2 * (.25 + .75 * 24/14)
        # = 1.842857, 7 * 2.2 / (7 + 1.842857) = 1.741519
        assert dict(lexical)[uid(1)] == pytest.approx(0.818521, abs=1e-5)
        assert store.search(None, "beta alpha beta", limit=5)[1] == lexical

    def test_finds_chinese_and_mixed_terms(self, store: Store) -> None:
        texts = {
            1: "埃菲尔铁塔位于巴黎，高330米。",
            2: "巴黎的面包 costs 3 EUR.",
            3: "错误代码 ERR_CONN-1042 表示网络中断",
            4: "黎明时分，巴士出发。",
        }
        store.write([chunk(number, text) for number, text in texts.items()])

        def found(question: str) -> list[int]:
            return ids(store.search(None, " ".join(analyse_query(question)), limit=9)[1])

        assert found("铁塔在哪里") == [uid(1)]
        assert found("巴黎")[:2] == [uid(2), uid(1)]
        assert found("err_conn-1042 是什么")[0] == uid(3)
        assert found("面包多少 EUR？") == [uid(2)]
        assert found("１０４２") == [uid(3)]  # full width

    def test_terms_are_not_cut_further(self, store: Store) -> None:
        word = "é" * 50 + "x" * 300
        store.write([Point(uid(1), {"terms": f"a 1 中 {word} naïve"}), row(2)])
        for term in ("a", "1", "中", word, "naïve"):
            assert len(store.search(None, term, limit=5)[1]) == 1, term
            assert store.term_counts([term]) == [1]
        assert store.search(None, "naive", limit=5)[1] == []

    @pytest.mark.parametrize(
        ("where", "numbers"),
        [
            ({}, {0, 1, 2, 3}),
            ({"media_type": "text/html"}, {1, 2}),
            ({"media_type": ["text/html", "text/plain"]}, {0, 1, 2}),
            ({"media_type": []}, set()),
            ({"media_type": ("text/html",), "page": 2}, {2}),
            ({"page": 2}, {2}),
            ({"page": [0, 2, 7]}, {0, 2}),
            ({"page": 2.0}, {2}),
            ({"price": 0.5}, {1}),
            ({"price": [0.5, 1.5]}, {1, 3}),
            ({"draft": True}, {1, 3}),
            ({"draft": False}, {0, 2}),
            ({"draft": [True]}, {1, 3}),
            ({"draft": [True, False]}, {0, 1, 2, 3}),
            ({"draft": 1}, set()),
            ({"metadata.author": "李"}, {0, 3}),
            ({"metadata.tags": "red"}, {0, 2}),
            ({"metadata.missing": "x"}, set()),
            ({"mixed": [1, "one"]}, {0, 1}),
        ],
    )
    def test_filters(self, store: Store, where: dict[str, Any], numbers: set[int]) -> None:
        types = ["text/plain", "text/html", "text/html", "application/pdf"]
        store.write(
            [
                chunk(
                    number,
                    "tower",
                    axis(1),
                    media_type=types[number],
                    page=number,
                    price=number / 2,
                    draft=bool(number % 2),
                    metadata={"author": "Ann" if number in (1, 2) else "李", "tags": tags},
                    mixed=[1, "one", 2, 3][number],
                )
                for number, tags in enumerate([["red", "blue"], [], ["red"], "blue"])
            ]
        )
        expected = {uid(number) for number in numbers}
        assert {point.id for point in store.scan(where)} == expected
        assert store.count(where) == len(expected)
        for leg in store.search(axis(1), "tower", limit=9, where=where):
            assert set(ids(leg)) == expected
        store.delete_where(where)
        assert store.count({}) == 4 - len(expected)

    @pytest.mark.parametrize("value", [None, {"gte": 1}, 2**70, [None], object()])
    def test_refuses_what_is_no_filter(self, store: Store, value: object) -> None:
        with pytest.raises(BadRequest, match="cannot filter page"):
            store.count({"page": value})

    def test_refuses_what_cannot_be_stored(self, store: Store) -> None:
        if not self.encodes:
            pytest.skip("qdrant-client's local engine keeps Python's own strings")
        store.write([row(1)])
        with pytest.raises(BadRequest) as caught:
            store.write([Point(uid(2), {"text": "a\ud800b"})])
        assert "\n" not in str(caught.value)
        assert store.count({}) == 1

    def test_points_without_vector_are_not_found_by_meaning(self, store: Store) -> None:
        store.write([chunk(1, "tower"), chunk(2, "bread", axis(-1))])
        dense, lexical = store.search(axis(1), "tower", limit=9)
        assert ids(dense) == [uid(2)]
        assert ids(lexical) == [uid(1)]

    def test_counts(self, store: Store) -> None:
        texts = ["alpha beta", "alpha alpha", "塔 alpha", "gamma", ""]
        store.write([chunk(number, text) for number, text in enumerate(texts)])
        store.write([row(9, terms_of_row="alpha")])
        assert store.count({"kind": "chunk"}) == 5
        assert store.count({"kind": "document"}) == 1
        assert store.count({"kind": "none"}) == 0
        assert store.term_counts(["alpha", "塔", "delta", "beta", "gamma"]) == [3, 1, 0, 1, 1]
        store.delete([uid(0)])
        assert store.term_counts(["alpha", "beta"]) == [2, 0]

    def test_keeps_large_points(self, store: Store) -> None:
        large = "中" * 1_700_000  # 5 MB
        points = [Point(uid(number), {"kind": "content", "text": large}) for number in range(3)]
        store.write([*points, *(row(number) for number in range(10, 600))])
        found = store.read([uid(2)])[uid(2)].payload["text"]
        assert found == large
        assert store.count({}) == 593

    def test_is_there_after_reopening(self, tmp_path: Path) -> None:
        place = tmp_path / "base"
        points = [chunk(n, f"tower w{n} 巴黎", axis(1, n), page=n) for n in range(50)]
        store = self.open_store(place, dimension=DIM)
        store.write(points)
        store.delete([uid(0)])
        before = store.search(axis(1, 2), "w7 tower", limit=99)
        store.close()
        store.close()
        store = self.open_store(place)
        assert store.count({"kind": "chunk"}) == 49
        assert store.read([uid(7)])[uid(7)].payload == points[7].payload
        assert store.search(axis(1, 2), "w7 tower", limit=99) == before
        store.write([chunk(0, "back", axis(1))])
        assert store.term_counts(["back", "tower"]) == [1, 49]
        store.close()

    def test_there_must_be_one(self, tmp_path: Path) -> None:
        with pytest.raises(KbqaError, match="there is no"):
            self.open_store(tmp_path / "absent")

    def test_reads_while_one_thread_writes(self, store: Store) -> None:
        if not self.concurrent:
            pytest.skip("qdrant-client's local engine is not made for threads")
        store.write([chunk(number, "tower bread", axis(1, number)) for number in range(100)])
        done = threading.Event()
        errors: list[BaseException] = []

        def read() -> None:
            try:
                while not done.is_set():
                    dense, lexical = store.search(axis(1), "tower", limit=10)
                    assert len(dense) == len(lexical) == 10
                    assert all(a.score >= b.score for a, b in pairwise(dense))
                    assert len(store.read(ids(dense), vectors=True)) == 10
                    assert store.count({"kind": "chunk"}) >= 100
                    assert sum(1 for _ in store.scan({"number": 5})) == 1
            except BaseException as exc:
                errors.append(exc)
                raise

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for first in range(100, 600, 50):
                store.write([chunk(n, "tower bread", axis(1, n)) for n in range(first, first + 50)])
                store.write([chunk(5, "tower bread", axis(1, 5))])
                store.delete([uid(first)])
            store.optimize()
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert store.count({"kind": "chunk"}) == 590


CONDITIONS: list[tuple[Condition, set[int]]] = [
    (And(()), {0, 1, 2, 3}),
    (Or(()), set()),
    (Not(Or(())), {0, 1, 2, 3}),
    (Not(And(())), set()),
    (Match("uri", ("a/x.md", "b.md")), {0, 3}),
    (Match("uri", ()), set()),
    (Prefix("uri", "a/"), {0, 1, 2}),
    (Prefix("uri", "a/b/"), {1, 2}),
    (Prefix("uri", ""), {0, 1, 2, 3}),
    (Prefix("uri", "中"), set()),
    (And((Prefix("uri", "a/"), Not(Prefix("uri", "a/b/")))), {0}),
    (Or((Match("page", (0,)), Match("tags", ("red",)))), {0, 2}),
    (Not(Match("tags", ("red",))), {1, 3}),
    (Not(Match("missing", ("x",))), {0, 1, 2, 3}),
    (Between("page", gte=1, lt=3), {1, 2}),
    (Between("page", gt=1), {2, 3}),
    (Between("page", lte=0), {0}),
    (Between("date", gte="2024-02-01T00:00:00Z", lt="2024-04-01T00:00:00Z"), {1, 2}),
    (Between("date", gt="2024-02-01T00:00:00Z"), {2, 3}),
    (Between("metadata.year", gte=2001), {1, 3}),
    (Match('metadata."dc:the title.n"', ("1",)), {1}),
    (Between("metadata.since", lt="2024-03-01T00:00:00Z"), {0, 1}),
    (Match("metadata.year", ("2000", 2000)), {0, 2}),
    (Match("language", ("zh",)), {2, 3}),
    (And((Match("language", ("zh",)), Match("language", ("en",)))), {2}),
]


class ConditionContract(StoreContract):
    """What every store makes of `retrieval.conditions`."""

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        uris = ["a/x.md", "a/b/y.pdf", "a/b/中 文.md", "b.md"]
        languages = [["en"], [], ["en", "zh"], ["zh"]]
        store.write(
            [
                chunk(
                    n,
                    "tower",
                    axis(1, n),
                    uri=uris[n],
                    page=n,
                    date=f"2024-0{n + 1}-01T00:00:00Z",
                    tags=[["red"], [], ["red", "blue"], ["blue"]][n],
                    language=languages[n],
                    metadata={
                        "year": 2000 + n % 2,
                        "since": f"2024-0{n + 1}-01",
                        "dc:the title.n": str(n),
                    },
                )
                for n in range(4)
            ]
        )
        return store

    @pytest.mark.parametrize(("where", "numbers"), CONDITIONS)
    def test_conditions(self, filled: Store, where: Condition, numbers: set[int]) -> None:
        expected = {uid(number) for number in numbers}
        assert {point.id for point in filled.scan(where)} == expected
        assert filled.count(where) == len(expected)
        for leg in filled.search(axis(1), "tower", limit=9, where=where):
            assert set(ids(leg)) == expected
        filled.delete_where(where, unless=Match("page", (0,)))
        assert filled.count({}) == 4 - len(expected - {uid(0)})

    def test_what_is_not_compiled_is_refused(self, store: Store) -> None:
        with pytest.raises(BadRequest, match="not compiled"):
            store.count(Compare("type", "=", ("pdf",)))
