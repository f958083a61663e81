from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.documents import Document, FileEntry, Prepared
from ingest.errors import BadRequest
from retrieval.conditions import And, Between, Compare, Condition, Match, Not, Or, Prefix
from retrieval.edge_store import EdgeStore
from retrieval.facts import date_of, facts_of, languages_of, modified, tags_of
from retrieval.filter_text import FilterError, from_options, parse
from retrieval.filters import compiled
from retrieval.globs import glob
from retrieval.index import Index
from tests.fakes import HashEmbedder
from tests.qa.command_line import environment
from tests.retrieval.knowledge import prepared

URIS = ["handbook/leave.md", "handbook/it/vpn.md", "handbook/it/plan.pdf", "产品/手册.md", "a.md"]
PDF = Match("media_type", ("application/pdf",))
DOCX = Match(
    "media_type", ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)
)
ZH = Match("language", ("zh",))


def uris_of(prefix: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    under = [uri for uri in URIS if uri.startswith(prefix)]
    fits = [uri for uri in under if pattern.fullmatch(uri)]
    return fits, [uri for uri in under if uri not in fits]


def conditions(filters: object) -> Condition:
    """As compiled, an `Or` of one part being that part."""

    def plain(node: Condition) -> Condition:
        if isinstance(node, And | Or):
            parts = tuple(map(plain, node.parts))
            return parts[0] if len(parts) == 1 else type(node)(parts)
        return Not(plain(node.part)) if isinstance(node, Not) else node

    return plain(compiled(filters, matching_uris=uris_of, metadata_names=lambda: ["author"]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type:pdf", PDF),
        ("type:.PDF", PDF),
        ("type=application/pdf", PDF),
        ("type:image/*", Prefix("media_type", "image/")),
        ("type:image", Prefix("media_type", "image/")),
        ("type:(pdf,docx)", Or((PDF, DOCX))),
        ("type:( pdf , docx )", Or((PDF, DOCX))),
        ("type:(pdf OR docx)", Or((PDF, DOCX))),
        ("type:pdf lang:zh", And((PDF, ZH))),
        ("type:pdf AND lang:zh-CN", And((PDF, ZH))),
        ("lang:Chinese", ZH),
        ("lang:（zho，中文）", Match("language", ("zh", "zh"))),
        ("lang:python", Match("language", ("python",))),
        ("type：pdf （lang：zh OR type：docx）", And((PDF, Or((ZH, DOCX))))),
        ("type:pdf OR lang:zh type:docx", Or((PDF, And((ZH, DOCX))))),
        ("(type:pdf OR lang:zh) type:docx", And((Or((PDF, ZH)), DOCX))),
        ("NOT type:pdf", Not(PDF)),
        ("-type:pdf -lang:zh", And((Not(PDF), Not(ZH)))),
        ("-(type:pdf lang:zh)", Not(And((PDF, ZH)))),
        ("type!=pdf", Not(PDF)),
        ("tag:(Finance,'#Q3 plan')", Match("tags", ("finance", "q3 plan"))),
        ('title:"Annual \\"leave\\""', Match("title", ('Annual "leave"',))),
        ("page:3", Match("page", (3,))),
        ("page>=3 page<7", And((Between("page", gte=3), Between("page", lt=7)))),
        ("uri=handbook/leave.md", Match("uri", ("handbook/leave.md",))),
        ("path:handbook/**", Prefix("uri", "handbook/")),
        ("path:handbook/", Prefix("uri", "handbook/")),
        ("path:handbook", Or((Match("uri", ("handbook",)), Prefix("uri", "handbook/")))),
        ("path:handbook/*.md", Match("uri", ("handbook/leave.md",))),
        ("path:*.pdf", Match("uri", ("handbook/it/plan.pdf",))),
        ("path:*.md", Not(Match("uri", ("handbook/it/plan.pdf",)))),
        ("path:产品/**", Prefix("uri", "产品/")),
        (
            "path:handbook/**/*.md",
            And((Prefix("uri", "handbook/"), Not(Match("uri", ("handbook/it/plan.pdf",))))),
        ),
        ("date:2024", Between("date", gte="2024-01-01T00:00:00Z", lt="2025-01-01T00:00:00Z")),
        ("date:2024-12", Between("date", gte="2024-12-01T00:00:00Z", lt="2025-01-01T00:00:00Z")),
        ("date>=2024-02-29", Between("date", gte="2024-02-29T00:00:00Z")),
        ("date>2024", Between("date", gte="2025-01-01T00:00:00Z")),
        ("date<2024-03", Between("date", lt="2024-03-01T00:00:00Z")),
        ("date<=2024-03", Between("date", lt="2024-04-01T00:00:00Z")),
        ("date>=20240315", Between("date", gte="2024-03-15T00:00:00Z")),
        ("date>2024/3/15", Between("date", gte="2024-03-16T00:00:00Z")),
        ("date>=2024年", Between("date", gte="2024-01-01T00:00:00Z")),
        ("date<=2024年3月", Between("date", lt="2024-04-01T00:00:00Z")),
        ("date>2024年3月15日", Between("date", gte="2024-03-16T00:00:00Z")),
        ("date>=2024-03-15T10:30+08:00", Between("date", gte="2024-03-15T02:30:00Z")),
        ("metadata.author:李", Match("metadata.author", ("李",))),
        ("metadata.year:2024", Match("metadata.year", ("2024", 2024, 2024.0))),
        ("metadata.year:'2024'", Match("metadata.year", ("2024",))),
        ("metadata.draft:true", Match("metadata.draft", ("true", True))),
        ("metadata.price<9.5", Between("metadata.price", lt=9.5)),
        ("metadata.due<=2024-03-01", Between("metadata.due", lt="2024-03-02T00:00:00Z")),
        ("lang:ORkney", Match("language", ("orkney",))),
        ("type:pdf or lang:zh", Or((PDF, ZH))),
        ("not type:pdf and lang:zh", And((Not(PDF), ZH))),
        ("title:“年假 or ‘x’”", Match("title", ("年假 or ‘x’",))),
        ("tag:(「甲 乙」，‘b’)", Match("tags", ("甲 乙", "b"))),
        ("title:a\udcffb", Match("title", ("a?b",))),
        ("metadata.a-b:x", Match("metadata.a-b", ("x",))),
        ("metadata.dc.title:x", Match('metadata."dc.title"', ("x",))),
        ('metadata."a b:c"!=x', Not(Match('metadata."a b:c"', ("x",)))),
        ("metadata.due>2024-03-01T10:00", Between("metadata.due", gte="2024-03-01T10:00:01Z")),
    ],
)
def test_what_a_filter_means(text: str, expected: Condition) -> None:
    assert conditions(text) == expected
    assert conditions(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "it is empty"),
        ("   ", 3, "it is empty"),
        ("pdf", 0, "followed by no operator"),
        ("type:pdf report", 9, "followed by no operator"),
        ("type:", 5, "value is missing after ':'"),
        ("type:pdf date>", 14, "value is missing after '>'"),
        ("date>>2024", 5, "'>>' is no operator"),
        ("=x", 0, "a field is missing"),
        ("type:(pdf,)", 10, "value is missing"),
        ("type:(pdf", 5, "parenthesis is not closed"),
        ("(type:pdf", 0, "parenthesis is not closed"),
        ("type:pdf)", 8, "closes nothing"),
        ("title:'a", 6, "quotation mark is not closed"),
        ("type:pdf OR", 11, "a field is missing"),
        ("NOT", 3, "a field is missing"),
        ("type:pdf autor:x", 9, "unknown filter field 'autor'"),
        ("author:x", 0, r"did you mean metadata\.author\?"),
        ("lang:zh type:pfd", 8, "'pfd' is no kind of file"),
        ("date:yesterday", 0, "'yesterday' is no date: write 2024, 2024-03"),
        ("date:2024-13", 0, "is no date"),
        ("date>=9999", 0, "is no date"),
        ("date:2024-00", 0, "'2024-00' is no date"),
        ("date:2024-03-00", 0, "is no date"),
        ("date:0000", 0, "is no date"),
        ("date:2024-W11", 0, "is no date"),
        ("date>=2024-01-01<2025", 0, "is no date"),
        ("date:0001-01-01T00:00:00+14:00", 0, "is no date"),
        ("date>9999-12-31T23:59:59", 0, "is no date"),
        ("page:1-3", 0, "is no page number: write page:7, or page>=3 page<=5"),
        ("page:x", 0, "is no page number"),
        ("page>x", 0, "is no number"),
        ("page>nan", 0, "'nan' is no number"),
        ("metadata.n<1e999", 0, "is no number"),
        (f"page:{10**12}", 0, "is no page number"),
        ("type:pdf path:[z-a]", 9, r"'\[z-a\]' is no glob: bad character range z-a"),
        ("metadata.'a\"b':x", 0, "a quotation mark or backslash"),
        ("metadata.'a:x", 9, "quotation mark is not closed"),
        ("page>(1,2)", 0, "takes one value"),
        ("type>pdf", 0, "type has no order"),
        ("(" * 60 + "type:pdf", 50, "more than 50 levels"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError, match=reason) as caught:
        conditions(text)
    assert caught.value.position == position
    assert f"at character {position + 1}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.marked.splitlines()[1] == " " * position + "^"
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_the_caret_stands_below_wide_characters() -> None:
    with pytest.raises(FilterError) as caught:
        parse("title:年假 =x")
    assert caught.value.marked == "title:年假 =x\n" + " " * 11 + "^"


def test_options_of_the_command_line() -> None:
    assert from_options([]) is None
    assert from_options(["uri=a.md"]) == Compare("uri", "=", ("a.md",), (False,), 0)
    both = from_options(["uri=a.md", "uri=b.md", "lang:zh"])
    assert both is not None
    assert conditions(both) == And((Match("uri", ("a.md", "b.md")), ZH))
    two_words = from_options(["title=Annual leave"])
    assert two_words is not None
    assert conditions(two_words) == Match("title", ("Annual leave",))
    with pytest.raises(FilterError, match="no operator"):
        from_options(["title=Annual leave lang:zh x"])


def test_mappings() -> None:
    found = conditions({"uri": ["a", "b"], "metadata.year": 2024, "page": 2, "date": "2024"})
    assert isinstance(found, And)
    assert found.parts[:3] == (
        Match("uri", ("a", "b")),
        Match("metadata.year", (2024,)),
        Match("page", (2,)),
    )
    assert conditions({"type": "pdf"}) == PDF
    with pytest.raises(BadRequest, match="unknown filter field 'author'"):
        conditions({"author": "Ann"})
    assert conditions({"page": "2"}) == Match("page", (2,))
    assert conditions({"metadata.dc:title": "x"}) == Match('metadata."dc:title"', ("x",))
    assert conditions({"title": "a\udcffb"}) == Match("title", ("a?b",))
    for value in ({"gte": 1}, float("nan"), 2**63, None):
        with pytest.raises(FilterError, match="cannot filter page"):
            conditions({"page": value})
    with pytest.raises(FilterError, match="unknown filter field '1'"):
        conditions({1: "a"})
    with pytest.raises(FilterError, match="a text or a mapping, not a list"):
        conditions(["type:pdf"])


@given(st.text(max_size=40) | st.text(alphabet="ab:=()\"'- ,ORNT<>!.中：", max_size=30))
def test_any_text_is_a_tree_or_a_filter_error(text: str) -> None:
    with contextlib.suppress(FilterError):
        conditions(parse(text))


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("*.md", ["a.md", "x/y/a.md"], ["a.mdx", "a.md/b"]),
        ("a/*.md", ["a/b.md"], ["a/b/c.md", "x/a/b.md"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["a/bc"]),
        ("**/c", ["c", "a/c"], ["ac"]),
        ("a/**", ["a/b", "a/b/c"], ["ab"]),
        ("a?c/x", ["abc/x"], ["a/c/x", "ac/x"]),
        ("[ab].txt", ["a.txt", "d/b.txt"], ["c.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("a+(1).md", ["a+(1).md"], ["aa1.md"]),
        ("[.md", ["[.md"], ["a.md"]),
        ("[!].md", ["[!].md"], ["a.md"]),
        ("[!]a].md", ["b.md"], ["a.md", "].md"]),
    ],
)
def test_globs(pattern: str, fits: list[str], fails: list[str]) -> None:
    assert all(map(glob(pattern).fullmatch, fits))
    assert not any(map(glob(pattern).fullmatch, fails))


@given(st.text("ab/*?", max_size=12), st.text("ab/", max_size=12))
@example("**/a*b", "a/ab")
@example("a/**/b/**/c", "a/b/b/c")
def test_a_glob_fits_what_its_signs_say(pattern: str, path: str) -> None:
    assert (glob(pattern).fullmatch(path) is not None) == _fits(
        pattern if "/" in pattern else f"**/{pattern}", path
    )


def _fits(pattern: str, path: str, begins: bool = True) -> bool:
    """The definition, tried out. `begins`: a folder's name begins here in the pattern."""
    if not pattern:
        return not path
    first, rest = pattern[0], pattern[1:]
    if pattern.startswith("**/") and begins:
        after = [path, *(path[at + 1 :] for at, sign in enumerate(path) if sign == "/")]
        return any(_fits(pattern[3:], part) for part in after)
    if pattern.startswith("**"):
        return any(_fits(pattern[2:], path[at:], False) for at in range(len(path) + 1))
    if first == "*":
        within = range(len(path.partition("/")[0]) + 1)
        return any(_fits(rest, path[at:], False) for at in within)
    same = path[:1] == first if first != "?" else path[:1] not in ("", "/")
    return same and _fits(rest, path[1:], first == "/")


@pytest.mark.parametrize("stars", ["*a" * 60, "**a" * 60, "**/*a*" * 30, "*?" * 60])
def test_a_glob_of_stars_does_not_hang(stars: str) -> None:
    code = "import sys; from retrieval.globs import glob; glob(sys.argv[1]).fullmatch('a/' * 200)"
    subprocess.run(
        [sys.executable, "-c", code, f"{stars}b"], env=environment(), timeout=20, check=True
    )


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("The router restarts when both of the buttons are held for ten seconds.", ["en"]),
        ("年假为十五天，需提前两周申请。", ["zh"]),
        ("Die Heizung ist nicht mit dem Netz verbunden und wird von Hand geschaltet.", ["de"]),
        ("Le routeur redémarre dans les dix secondes et la lampe est verte.", ["fr"]),
        ("ルーターを再起動します。", ["ja"]),
        ("라우터를 다시 시작합니다.", ["ko"]),
        ("Маршрутизатор перезапускается.", ["ru"]),
        ("使用 kubectl apply 部署服务，然后检查 Pod 的状态。", ["zh"]),
        (
            "The annual leave is fifteen days for all of the staff. 年假为全体员工十五天。",
            ["en", "zh"],
        ),
        ("", []),
        ("1 2 3", []),
    ],
)
def test_languages(text: str, languages: list[str]) -> None:
    assert languages_of(text) == languages


def test_facts() -> None:
    document = Document("a.md", "0", "年假", metadata={"tags": "[HR, Leave]", "date": "2024/3/1"})
    assert facts_of(document) == {
        "language": ["zh"],
        "tags": ["hr", "leave"],
        "date": "2024-03-01T00:00:00Z",
    }
    assert facts_of(Document("a.md", "0", "", metadata={"lang": "zh-CN"}))["language"] == ["zh"]
    for said, code in (("English", "en"), ("eng", "en"), ("und", "zh"), ("python", "python")):
        assert languages_of("年假", {"language": said}) == [code]
    assert "date" not in facts_of(Document("a.md", "0", ""))
    assert date_of({}) is None
    assert modified(1_700_000_000 * 10**9) == "2023-11-14T22:13:20Z"
    assert modified(0) == ""
    assert date_of({"date": "2024年5月6日"}) == "2024-05-06T00:00:00Z"
    assert date_of({"date": "2024-05-06T08:00:00+08:00"}) == "2024-05-06T00:00:00Z"
    assert date_of({"date": "soon", "created": "2020-01-02"}) == "2020-01-02T00:00:00Z"
    assert date_of({"date": "0001-01-01T00:00:00+08:00"}) is None
    listed = Document("a.md", "0", "", metadata={"tags": ["HR", "Annual leave"]})
    assert facts_of(listed)["tags"] == ["hr", "annual leave"]
    assert tags_of({"tags": 2024}) == ["2024"]
    assert tags_of({"tags": ["A", "b"], "keywords": "b; 财务、报销"}) == ["a", "b", "财务", "报销"]


def test_a_path_with_brackets_is_found_by_its_name(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "base", dimension=32, lock_timeout=0)
    index = Index(store, HashEmbedder())
    index.replace([prepared("app/[id]/page.tsx", "lamp"), prepared("app/i/page.tsx", "lamp")])

    def found(where: str) -> set[str]:
        return {hit.uri for hit in index.search("lamp", where=where)}

    assert found("path:'app/[id]/page.tsx'") == {"app/[id]/page.tsx", "app/i/page.tsx"}
    assert found("path:'app/[id]'") == {"app/[id]/page.tsx"}
    assert found("path:'app/[id]/'") == {"app/[id]/page.tsx"}
    assert found("path:'app/[[]id]/*'") == {"app/[id]/page.tsx"}
    store.close()


def test_the_date_of_a_file_counts_where_the_document_says_none(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "base", dimension=32, lock_timeout=0)
    index = Index(store, HashEmbedder())
    for uri, year, metadata in [
        ("old.txt", 2020, {}),
        ("new.txt", 2024, {}),
        ("said.txt", 2024, {"date": "2020-05-06"}),
        ("none.txt", None, {}),
    ]:
        item = prepared(uri, "lamp", metadata=metadata)
        if year:
            seconds = int(datetime(year, 3, 1, tzinfo=UTC).timestamp())
            entry = FileEntry(uri, f"/{uri}", "/", 4, seconds * 10**9, 0)
            item = Prepared(item.document, item.chunks, entry)
        index.replace([item])

    def found(where: str) -> set[str]:
        return {hit.uri for hit in index.search("lamp", where=where)}

    assert found("date:2020") == {"old.txt", "said.txt"}
    assert found("date>=2024-03") == {"new.txt"}
    assert found("date<2030") == {"old.txt", "new.txt", "said.txt"}
    assert found("-date:2020") == {"new.txt", "none.txt"}
    assert found("path:*.txt -path:n*") == {"old.txt", "said.txt"}
    index.touch([FileEntry("old.txt", "/old.txt", "/", 4, 1_800_000_000 * 10**9, 0)])
    with pytest.raises(FilterError, match=r"unknown filter field 'dat'.*metadata there is date"):
        index.search("lamp", where="dat:2020")
    store.close()
