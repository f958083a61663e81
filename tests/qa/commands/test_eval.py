from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.qa.command_line import Kbqa, is_one_clear_line, run
from tests.qa.conftest import write_documents
from tests.qa.evaluation.conftest import QUESTIONS, write_questions
from tests.qa.evaluation.test_questions import folder_of
from tests.scripted_server import Messages, ScriptedServer, status

pytestmark = pytest.mark.integration


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A file of questions on the small base."""
    return write_questions(tmp_path / "questions.jsonl")


def test_figures_for_people(kbqa: Kbqa, base_folder: Path, asked: Path) -> None:
    done = kbqa("eval", asked, "--kb", base_folder)
    assert done.code == 0, done
    assert "5 questions of questions.jsonl, 1 of them without an answer" in done.out
    for words in ("ndcg@10", "recall@5", "mrr", "95 % interval", "en", "zh", "p50", "p99"):
        assert words in done.out
    assert done.err == ""


def test_where_no_question_can_be_made_nothing_is_written(kbqa: Kbqa, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("we met, talked and went home\n")
    kbqa("ingest", tmp_path / "a.txt", "--kb", tmp_path / "kb")
    made = tmp_path / "made.jsonl"
    done = kbqa("eval", "--generate", "3", "-o", made, "--kb", tmp_path / "kb")
    is_one_clear_line(done, 2, "no question could be made", "--model")
    assert not made.exists()


def test_figures_for_machines(kbqa: Kbqa, base_folder: Path, asked: Path) -> None:
    done = kbqa("eval", asked, "--kb", base_folder, "--answers", "--json", "-k", "3")
    assert done.code == 0, done
    found = done.json
    assert set(found) == {
        "name", "base", "figures", "latency_ms", "spent", "notes", "questions", "failures",
    }  # fmt: skip
    assert set(found["figures"]["recall@3"]) == {"all", "en", "zh"}
    assert set(found["figures"]["recall@3"]["all"]) == {"mean", "low", "high", "count"}
    assert set(found["latency_ms"]["answer"]) == {"p50", "p95", "p99"}
    assert set(found["spent"]) == {"all", "en", "zh", "judge"}
    assert found["figures"]["refusal_recall"]["all"]["mean"] == 1
    assert [row["question"] for row in found["questions"]] == [q["question"] for q in QUESTIONS]
    assert found["questions"][0]["said"]["text"]


def test_the_gate(kbqa: Kbqa, base_folder: Path, asked: Path) -> None:
    passed = kbqa("eval", asked, "--kb", base_folder, "--fail-under", "recall@5=.9", "--json")
    assert (passed.code, passed.json["failures"]) == (0, [])
    done = kbqa("eval", asked, "--kb", base_folder, "--fail-under", "recall@7=1",
                "--fail-under", "precision@10=.9", "--json")  # fmt: skip
    assert done.code == 1
    (failure,) = done.json["failures"]
    assert failure.startswith("precision@10 is 0.")
    assert f"failed: {failure}" in done.err


def test_a_gate_on_answers_asks(kbqa: Kbqa, base_folder: Path, asked: Path) -> None:
    done = kbqa("eval", asked, "--kb", base_folder, "--fail-under", "refusal_recall=1")
    assert done.code == 0, done
    assert "an answer" in done.out


def test_a_model_is_asked_and_another_judges(
    kbqa: Kbqa, base_folder: Path, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(messages: Messages) -> str:
        prompt = messages[-1]["content"]
        if "YES" in prompt:  # a template of the judge
            return "YES." if "25 days" in prompt else "**NO**"
        if "alarm E-17 mean" in prompt:
            return "Alarm E-17 means that 40 bolts are missing [1]."
        return "You have 25 days of annual leave [1]."

    price = '{"openai:m": {"input": 1000, "output": 1000}}'
    monkeypatch.setenv("KBQA_PRICES", price)
    report = tmp_path / "report.md"
    with ScriptedServer(answer) as server:
        monkeypatch.setenv("KBQA_BASE_URL", server.base_url)
        arguments = ("eval", asked, "--kb", base_folder, "--limit", "2", "--model", "openai:m")
        done = kbqa(*arguments, "--judge", "openai:judge", "--report", report, "--json",
                    "--fail-under", "judge_answer=.4", "--fail-under", "support=.8")  # fmt: skip
    assert done.code == 1, done
    (failure,) = done.json["failures"]
    assert failure.startswith("support is 0.")
    figures = done.json["figures"]
    assert figures["judge_answer"]["all"]["mean"] == 0.5
    assert figures["judge_support"]["all"]["count"] == 2
    prompts = server.requests
    assert done.json["spent"]["all"] == {
        "prompt_tokens": 24, "completion_tokens": 6, "cost": 0.03, "estimated": False,
    }  # fmt: skip
    assert done.json["spent"]["judge"]["prompt_tokens"] == 12 * (len(prompts) - 2)
    assert "| judge: prompt tokens | " in report.read_text("utf-8")


def test_a_judge_that_fails_is_told_and_fails_nothing(
    kbqa: Kbqa, base_folder: Path, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(then=status(401, "wrong key")) as server:
        monkeypatch.setenv("KBQA_BASE_URL", server.base_url)
        done = kbqa("eval", asked, "--kb", base_folder, "--limit", "3", "--judge", "openai:judge")
    assert done.code == 0, done
    assert "support" in done.out
    assert "judge_answer" not in done.out
    assert done.err.startswith("not judged: the judge failed: ")
    assert "(401)" in done.err
    assert done.err.count("(2 questions)") == 1
    assert len(server.requests) == 3


def test_saved_and_compared(kbqa: Kbqa, base_folder: Path, asked: Path, tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    assert kbqa("eval", asked, "--kb", base_folder, "--save", saved).code == 0
    done = kbqa("eval", asked, "--kb", base_folder, "--against", saved, "--fail-worse", "--json")
    assert done.code == 0, done
    assert done.json["comparison"]["changes"] == []
    text = saved.read_text("utf-8")
    row = json.loads(text)
    row["questions"][0]["scores"]["ndcg@10"] = 0.5
    saved.write_text(json.dumps(row), "utf-8")
    done = kbqa("eval", asked, "--kb", base_folder, "--against", saved)
    assert "1 questions changed in ndcg@10:" in done.out
    assert "better 0.500 -> 1.000  How many days of annual leave" in done.out


def test_a_fall_fails(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    rows = [{"question": f"annual leave {n}?", "document": "furnace.pdf", "id": f"{n}"}
            for n in range(8)]  # fmt: skip
    asked = tmp_path / "q.jsonl"
    asked.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    saved = tmp_path / "before.json"
    assert kbqa("eval", asked, "--kb", base_folder, "--measure", "hit@1", "--save", saved).code == 0
    row = json.loads(saved.read_text("utf-8"))
    for question in row["questions"]:
        question["scores"]["hit@1"] = 1.0
    saved.write_text(json.dumps(row), "utf-8")
    done = kbqa("eval", asked, "--kb", base_folder, "--measure", "hit@1", "--against", saved,
                "--fail-worse")  # fmt: skip
    assert done.code == 1
    assert "failed: hit@1 fell by 1.0000" in done.err


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_a_report(name: str, kbqa: Kbqa, base_folder: Path, asked: Path, tmp_path: Path) -> None:
    done = kbqa("eval", asked, "--kb", base_folder, "--report", tmp_path / name)
    assert done.code == 0, done
    assert "recall@5" in (tmp_path / name).read_text("utf-8")


def test_two_settings_files(kbqa: Kbqa, base_folder: Path, asked: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f'kb = "{base_folder}"\nmin_score = 0.0\n', "utf-8")
    two.write_text(f'kb = "{base_folder}"\nmin_score = 1.0\n', "utf-8-sig")  # as Notepad does
    done = kbqa("eval", asked, "--compare", one, two, "--answers", "--json")
    assert done.code == 0, done
    found = done.json["comparison"]["differences"]
    assert found["refusal_recall"]["first"] == 0
    assert found["refusal_recall"]["second"] == 1
    assert found["answer_recall"]["difference"] < 0
    assert found["ndcg@10"]["p"] == 1
    assert done.json["base"] == f"{base_folder} with {two}"
    told = kbqa("eval", asked, "--compare", one, two, "--report", tmp_path / "r.html")
    assert f"with {one}" in told.out
    assert "Against the first run" in (tmp_path / "r.html").read_text("utf-8")


def test_a_threshold_for_the_settings_file(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    rows = [{"question": "How many days of annual leave does an employee have?", "answer": "25"},
            {"question": "红烧肉要炖多长时间？", "unanswerable": True}]  # fmt: skip
    asked = tmp_path / "q.jsonl"
    asked.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    told = kbqa("eval", asked, "--kb", base_folder, "--calibrate")
    assert told.code == 0, told
    assert "1 answerable and 1 unanswerable questions, AUROC 1.000" in told.out
    line = told.out.splitlines()[-1].removeprefix("* for kbqa.toml: ")
    done = kbqa("eval", asked, "--kb", base_folder, "--calibrate", "--json")
    assert line == f"min_score = {done.json['min_score']:g}"
    assert (done.json["false_refusals"], done.json["refused"]) == (0, 1)


def test_a_folder_brings_its_documents(kbqa: Kbqa, tmp_path: Path) -> None:
    done = kbqa("eval", folder_of(tmp_path / "set"), "--json", "--quiet")
    assert done.code == 0, done
    assert done.json["base"] == "a base made of set"
    assert done.json["figures"]["recall@10"]["all"] == {
        "mean": 1.0, "low": 1.0, "high": 1.0, "count": 2,
    }  # fmt: skip


def test_a_folder_asked_of_a_base(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set")
    is_one_clear_line(
        kbqa("eval", folder, "--kb", base_folder), 2, "no document that the questions of set"
    )


def test_documents_for_the_questions(kbqa: Kbqa, asked: Path, tmp_path: Path) -> None:
    docs = write_documents(tmp_path / "docs")
    done = kbqa("eval", asked, "--docs", docs, "--limit", "2", "--json", "--quiet")
    assert done.code == 0, done
    assert len(done.json["questions"]) == 2
    assert done.json["figures"]["recall@10"]["all"]["mean"] == 1


def test_questions_are_made_and_can_be_asked(kbqa: Kbqa, base_folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.jsonl"
    done = kbqa("eval", "--generate", "3", "-o", made, "--kb", base_folder, "--seed", "4")
    assert done.code == 0, done
    assert done.out == f"3 questions in {made}: edit them, then `kbqa eval {made}`\n"
    again = kbqa("eval", "--generate", "3", "--kb", base_folder, "--seed", "4")
    assert again.out == made.read_text("utf-8")
    assert kbqa("eval", made, "--kb", base_folder).code == 0
    is_one_clear_line(
        kbqa("eval", "--generate", "3", "-o", made, "--kb", base_folder), 2, "exists already"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval"], ["name a file or folder of questions", "--generate N"]),
        (["eval", "missing.jsonl"], ["no such file or folder: missing.jsonl"]),
        (["eval", "Q", "--fail-under", "recal@5=.9"], ["unknown measure", "recall@K, "]),
        (["eval", "Q", "--fail-under", "recall@5"], ["MEASURE=LIMIT"]),
        (["eval", "Q", "--measure", "recall@0"], ["1 to 100"]),
        (["eval", "Q", "--measure", "suport"], ["did you mean 'support'?", "citation_recall, "]),
        (["eval", "Q", "--fail-under", "judge_answer=1"], ["needs a model", "--judge MODEL"]),
        (["eval", "Q", "--judge", "nobody:m"], ["unknown model 'nobody:m'"]),
        (["eval", "Q", "-k", "0"], ["k is 0"]),
        (["eval", "Q", "--limit", "0"], ["limit of questions is 0"]),
        (["eval", "Q", "--level", "word"], ["answer, passage, page, document"]),
        (["eval", "Q", "--report", "r.pdf"], ["ends in .md or .html"]),
        (["eval", "Q", "--report", "gone/r.md", "--kb", "x"], ["there is no folder gone"]),
        (["eval", "Q", "--save", "gone/r.json", "--kb", "x"], ["there is no folder gone"]),
        (["eval", "Q", "--save", ".", "--kb", "x"], ["--save .: it is a folder"]),
        (["eval", "--generate", "3", "-o", "gone/q.jsonl", "--kb", "x"], ["no folder gone"]),
        (["eval", "Q", "--against", "gone.json"], ["no such file: gone.json"]),
        (["eval", "Q", "--fail-worse"], ["--fail-worse needs --against"]),
        (["eval", "Q", "--docs", "gone"], ["no such file or folder: gone"]),
        (["eval", "Q", "--docs", ".", "--kb", "x"], ["give one of them"]),
        (["eval", "Q", "--kb", "nothing-there"], ["there is no knowledge base", "kbqa ingest"]),
        (["eval", "Q", "--compare", "a.toml", "b.toml"], ["no such file: a.toml"]),
        (["eval", "Q", "--generate", "3"], ["takes no file of questions"]),
    ],
)
def test_what_cannot_be_done(
    arguments: list[str], words: list[str], kbqa: Kbqa, asked: Path
) -> None:
    given = [str(asked) if argument == "Q" else argument for argument in arguments]
    is_one_clear_line(kbqa(*given), 2, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kb = ", ["b.toml"]),
        ("top_k = 0", ["b.toml", "top_k is 0"]),
        ("topk = 3", ["b.toml", "no setting 'topk'"]),
    ],
)
def test_bad_settings_files(
    content: str, words: list[str], kbqa: Kbqa, asked: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text("", "utf-8")
    (tmp_path / "b.toml").write_text(content, "utf-8")
    done = kbqa("eval", asked, "--compare", tmp_path / "a.toml", tmp_path / "b.toml")
    is_one_clear_line(done, 2, *words)


def test_errors_are_json_where_json_is_wanted(kbqa: Kbqa, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "x", "answer": "y"}\nthis is not JSON\n', "utf-8")
    done = kbqa("eval", path, "--json")
    assert done.json["exit_code"] == 2
    assert "line 2 is no JSON" in done.json["error"]


def test_a_process_of_its_own_prints_chinese_in_any_locale(base_folder: Path, asked: Path) -> None:
    done = run("eval", asked, "--kb", base_folder, "--json", env={"LC_ALL": "C"})
    assert done.code == 0, done
    assert "备用密封件" in done.out
