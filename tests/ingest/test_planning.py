from __future__ import annotations

import os
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import BadRequest
from ingest.planning import file_state, plan, plan_retry
from ingest.sync import SyncReport
from ingest.walking import Selection
from tests.ingest.boxes import pack, unpacking
from tests.ingest.ledger import Ledger, counts, ingest, write

pytestmark = pytest.mark.integration


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return tmp_path / "docs"


def take(docs: Path, ledger: Ledger, **options: object) -> SyncReport:
    ledger.operations.clear()
    return ingest(docs, ledger, prepare=unpacking, **options)


# --- failures ---


def test_what_failed_is_tried_again_only_when_it_changes_or_on_request(docs: Path) -> None:
    write(docs, a="Text.", b="")
    ledger = Ledger()
    assert counts(take(docs, ledger)) == {"added": 1, "failed": 1}
    row = ledger.rows["b.md"]
    assert (row.state, row.error, row.chunks, row.source) == (
        "failed", "is empty", 0, str(docs / "b.md"),
    )  # fmt: skip
    assert counts(take(docs, ledger)) == {"unchanged": 1, "failed_before": 1}
    assert ledger.operations == []
    os.utime(docs / "b.md", ns=(7, 7))
    assert counts(take(docs, ledger)) == {"unchanged": 1, "failed_before": 1}
    assert counts(take(docs, ledger, retry=True)) == {"unchanged": 1, "failed": 1}
    write(docs, b="At last.")
    assert counts(take(docs, ledger)) == {"changed": 1, "unchanged": 1}
    assert ledger.rows["b.md"].state == "ok"


def test_a_failed_file_that_goes_or_moves_takes_its_row_along(docs: Path) -> None:
    write(docs, a="Text.", b="")
    ledger = Ledger()
    take(docs, ledger)
    (docs / "b.md").rename(docs / "c.md")
    assert counts(take(docs, ledger)) == {"unchanged": 1, "renamed": 1, "failed_before": 1}
    assert ledger.rows["c.md"].error == "is empty"
    (docs / "c.md").unlink()
    assert counts(take(docs, ledger)) == {"unchanged": 1, "removed": 1}
    assert sorted(ledger.rows) == ["a.md"]


def test_what_nobody_claimed_to_be_a_document_is_looked_at_once(docs: Path) -> None:
    write(docs, a="Text.")
    (docs / "program").write_bytes(b"\x7fELF\x02\x01")
    ledger = Ledger()
    assert counts(take(docs, ledger)) == {"added": 1, "skipped": 1}
    assert counts(take(docs, ledger)) == {"unchanged": 1, "skipped": 1}
    assert ledger.operations == []


def test_an_older_parser_makes_a_file_outdated(docs: Path) -> None:
    write(docs, a="Text.", b="")
    pack(docs / "x.box.json", {"m.md": "In the box."})
    ledger = Ledger()
    take(docs, ledger)
    for uri in ("a.md", "x.box.json!/m.md"):
        ledger.rows[uri] = replace(ledger.rows[uri], parser="markdown/0")
    changes = plan(docs, ledger.rows)
    assert [entry.uri for entry in changes.outdated] == ["a.md", "x.box.json"]
    assert counts(take(docs, ledger)) == {"changed": 2, "failed_before": 1}
    assert counts(take(docs, ledger)) == {"unchanged": 2, "failed_before": 1}


def test_retrying_is_planned_from_the_ledger(docs: Path) -> None:
    write(docs, a="Text.", b="", c="")
    pack(docs / "x.box.json", {"m.md": "In the box.", "n.md": ""})
    ledger = Ledger()
    take(docs, ledger)
    again = plan_retry(ledger.rows)
    assert [entry.uri for entry in again.changed] == ["b.md", "c.md", "x.box.json"]
    assert [row.uri for row in again.members["x.box.json"]] == [
        "x.box.json!/m.md", "x.box.json!/n.md",
    ]  # fmt: skip
    (docs / "b.md").unlink()
    assert [failure.uri for failure in plan_retry(ledger.rows, ["b.md"]).failures] == ["b.md"]
    with pytest.raises(BadRequest, match=r"'a\.md' has not failed"):
        plan_retry(ledger.rows, ["a.md"])
    with pytest.raises(BadRequest, match="'z' is not in the knowledge base"):
        plan_retry(ledger.rows, ["z"])


# --- containers ---


def test_members_come_change_and_go_with_their_file(docs: Path) -> None:
    write(docs, a="Text.")
    pack(docs / "x.box.json", {"m.md": "One.", "in/n.md": "Two.", "bad.md": ""})
    ledger = Ledger()
    assert counts(take(docs, ledger)) == {"added": 3, "failed": 1}
    assert ledger.rows["x.box.json"].state == "container"
    assert ledger.rows["x.box.json!/in/n.md"].container == "x.box.json"
    assert counts(take(docs, ledger)) == {"unchanged": 3, "failed_before": 1}
    pack(docs / "x.box.json", {"m.md": "One.", "o.md": "Three.", "in/n.md": "Two, edited."})
    report = take(docs, ledger)
    assert counts(report) == {"added": 1, "changed": 1, "unchanged": 2, "removed": 1}
    assert sorted(ledger.texts) == [
        "a.md", "x.box.json!/in/n.md", "x.box.json!/m.md", "x.box.json!/o.md",
    ]  # fmt: skip
    (docs / "x.box.json").unlink()
    assert counts(take(docs, ledger)) == {"unchanged": 1, "removed": 4}
    assert sorted(ledger.rows) == ["a.md"]


def test_members_move_and_are_touched_with_their_file(docs: Path) -> None:
    pack(docs / "x.box.json", {"m.md": "# M\n\nOne."})
    ledger = Ledger()
    take(docs, ledger)
    (docs / "sub").mkdir()
    (docs / "x.box.json").rename(docs / "sub/y.box.json")
    take(docs, ledger)
    assert ledger.operations == ["rename"]
    row = ledger.rows["sub/y.box.json!/m.md"]
    assert (row.container, row.source) == ("sub/y.box.json", str(docs / "sub/y.box.json"))
    assert sorted(ledger.rows) == ["sub/y.box.json", "sub/y.box.json!/m.md"]
    moved = docs.rename(docs.parent / "moved")
    assert counts(take(moved, ledger)) == {"unchanged": 1}
    assert ledger.operations == ["touch"]
    assert {row.root for row in ledger.rows.values()} == {str(moved)}
    assert counts(take(moved, ledger)) == {"unchanged": 1}
    assert ledger.operations == []


def test_a_damaged_container_keeps_what_it_held(docs: Path) -> None:
    pack(docs / "x.box.json", {"m.md": "One."})
    ledger = Ledger()
    take(docs, ledger)
    (docs / "x.box.json").write_text("{")
    assert counts(take(docs, ledger)) == {"failed": 1}
    assert list(ledger.texts) == ["x.box.json!/m.md"]
    assert counts(take(docs, ledger)) == {"failed_before": 1, "unchanged": 1}
    pack(docs / "x.box.json", {"n.md": "Two."})
    assert counts(take(docs, ledger)) == {"added": 1, "removed": 1}
    assert list(ledger.texts) == ["x.box.json!/n.md"]


def test_a_file_that_failed_before_it_was_known_is_not_outdated(docs: Path) -> None:
    write(docs, a="Text.", b="")
    ledger = Ledger()
    take(docs, ledger)
    ledger.rows["b.md"] = replace(ledger.rows["b.md"], media_type="application/zip", parser="")
    assert counts(take(docs, ledger)) == {"unchanged": 1, "failed_before": 1}


def test_a_mail_is_a_document_with_members(docs: Path) -> None:
    pack(docs / "x.box.json", {"m.md": "Attached."}, own="The mail.")
    ledger = Ledger()
    assert counts(take(docs, ledger)) == {"added": 2}
    pack(docs / "x.box.json", {}, own="The mail.")
    assert counts(take(docs, ledger)) == {"changed": 1, "removed": 1}
    assert ledger.operations == ["remove", "replace"]
    pack(docs / "x.box.json", {"m.md": "Attached."})
    assert counts(take(docs, ledger)) == {"added": 1}
    assert list(ledger.texts) == ["x.box.json!/m.md"]


def test_the_guard_counts_files_and_not_what_they_hold(docs: Path) -> None:
    write(docs, **{f"f{number}": f"Text {number}." for number in range(12)})
    pack(docs / "x.box.json", {f"{number}.md": f"In {number}." for number in range(40)})
    ledger = Ledger()
    take(docs, ledger)
    (docs / "x.box.json").unlink()
    assert counts(take(docs, ledger)) == {"unchanged": 12, "removed": 41}


# --- what a run is about ---


def test_what_is_not_selected_stays_as_it_is(docs: Path) -> None:
    write(docs, a="A.", b="B.", sub__c="C.")
    ledger = Ledger()
    take(docs, ledger)
    shutil.rmtree(docs / "sub")
    (docs / "a.md").unlink()
    write(docs, n="N.")
    report = take(docs, ledger, selection=Selection.of(["*.md"], ["sub/", "n.md"]))
    assert counts(report) == {"unchanged": 1, "removed": 1}
    assert sorted(ledger.texts) == ["b.md", "sub/c.md"]


def test_what_is_being_written_stays_as_it_is(docs: Path) -> None:
    write(docs, a="A.", b="B.")
    ledger = Ledger()
    take(docs, ledger)
    write(docs, a="Half of", n="Half of")
    report = take(docs, ledger, leave=lambda entry: not entry.path.endswith("b.md"))
    assert counts(report) == {"unchanged": 1}
    assert ledger.texts == {"a.md": "A.", "b.md": "B."}
    assert counts(take(docs, ledger)) == {"added": 1, "changed": 1, "unchanged": 1}


# --- names ---


def test_a_file_becomes_a_folder_and_a_file_again(docs: Path) -> None:
    write(docs, a="# A\n\nFirst.", b="B.")
    ledger = Ledger()
    take(docs, ledger)
    (docs / "a.md").rename(docs / "t")
    (docs / "a.md").mkdir()
    (docs / "t").rename(docs / "a.md" / "a.md")
    assert counts(take(docs, ledger)) == {"unchanged": 1, "renamed": 1}
    assert sorted(ledger.rows) == ["a.md/a.md", "b.md"]
    shutil.rmtree(docs / "a.md")
    write(docs, a="Another.")
    assert counts(take(docs, ledger)) == {"unchanged": 1, "added": 1, "removed": 1}
    assert sorted(ledger.rows) == ["a.md", "b.md"]


NFC, NFD = unicodedata.normalize("NFC", "é.md"), unicodedata.normalize("NFD", "é.md")


@pytest.mark.parametrize(("old", "new"), [("a.md", "A.md"), (NFC, NFD), (NFD, NFC)])
def test_a_name_in_another_spelling_is_a_rename(docs: Path, old: str, new: str) -> None:
    write(docs, x="X.")
    (docs / old).write_text("# Title\n\nText.")
    ledger = Ledger()
    take(docs, ledger)
    (docs / old).rename(docs / new)
    assert counts(take(docs, ledger)) == {"unchanged": 1, "renamed": 1}
    assert sorted(ledger.rows) == sorted([new, "x.md"])


# --- files since they were read ---


def test_what_became_of_a_file_since_it_was_read(docs: Path) -> None:
    write(docs, a="Text.", b="Other.")
    ledger = Ledger()
    take(docs, ledger)
    row = ledger.rows["a.md"]
    assert file_state(row) == "same"
    os.utime(docs / "a.md", ns=(7, 7))
    assert file_state(row) == "same"
    write(docs, a="Texts")
    assert file_state(row) == "changed"
    (docs / "a.md").rename(docs / "c.md")
    assert file_state(row) == "gone"
    assert file_state(replace(row, source="")) == ""


def test_a_file_that_could_not_be_read_anew_has_changed(docs: Path) -> None:
    write(docs, a="Text.")
    ledger = Ledger()
    take(docs, ledger)
    write(docs, a="")
    take(docs, ledger)
    assert ledger.rows["a.md"].chunks == 1
    assert file_state(ledger.rows["a.md"]) == "changed"
