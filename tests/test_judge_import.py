"""Samples of judging tasks become grades: every item once, by a judge who is named."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from m4rag_tasks import cells, datasets, suite
from m4rag_tasks.cli import main
from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import read_grades
from m4rag_tasks.judge_import import import_grades

MINI = suite.DATASETS["mini"]
SETTING = "textrag_question_bm25"
NAME = f"20260101_000000_samples_m4rag_mini_judge_{SETTING}"


@pytest.fixture(autouse=True)
def cache(mini_cache, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(mini_cache))


@pytest.fixture
def run(tmp_path):
    """Output of a run in two languages: grades by rank, one answer that names none."""
    cell = cells.cell("mini", f"judge_{SETTING}")
    folder = tmp_path / "out" / "org__big-vlm"
    folder.mkdir(parents=True)
    for code in ("am", "en"):
        docs = cell.docs(datasets.without_images(datasets.load_rows(MINI, suite.language(code))))
        answers = ["between 3 and 4" if number == 2 else f"Score: {doc['rank']}" for number, doc in enumerate(docs)]
        records = [cell.metrics_of(cell.record(*pair)) for pair in zip(docs, answers, strict=True)]
        write(folder / f"{NAME}_{code}.jsonl", [{"doc_id": 0, "input": "…", **record} for record in records])
    arguments = "pretrained=org/big-vlm,revision=abc123,tensor_parallel_size=4"
    told = {"model_name": "org/big-vlm", "config": {"model": "vllm", "model_args": arguments}}
    (folder / "20260101_000000_results.json").write_text(json.dumps(told))
    return folder


def write(path, entries):
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), encoding="utf-8")


def changed(path, change):
    """Rewrite a samples file with what `change` makes of its lines."""
    write(path, change([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]))


def test_all_grades_of_a_run_are_written_and_the_judge_is_named(run, tmp_path, capsys):
    output = tmp_path / "grades.jsonl"
    assert main(["judge", "import", str(run.parent), "--output", str(output)]) == 0
    grades = read_grades([output])
    assert {(grade.judge, grade.revision) for grade in grades} == {("org/big-vlm", "abc123")}
    assert all(grade.grade in (None, grade.rank) for grade in grades)
    assert Counter(grade.language for grade in grades) == {"am": 300, "en": 300}
    assert [grade.parse for grade in grades].count("invalid") == 2
    assert capsys.readouterr().out.splitlines()[1].split() == ["org/big-vlm", "mini", SETTING, "600", "2", "3.00"]
    again = tmp_path / "again.jsonl"
    files = sorted(run.glob("*.jsonl"), reverse=True)
    assert main(["judge", "import", *map(str, files), "--output", str(again)]) == 0
    assert again.read_bytes() == output.read_bytes()


def test_missing_and_failed_items_are_named_and_nothing_is_written(run, tmp_path, capsys):
    def lose(lines):
        del lines[6]["grade"]["grade"]
        lines[6]["grade"]["parse"] = "failed_request"
        return [*lines[:3], *lines[5:]]

    first = json.loads((run / f"{NAME}_am.jsonl").read_text().splitlines()[0])["grade"]["question_id"]
    changed(run / f"{NAME}_am.jsonl", lose)
    output = tmp_path / "grades.jsonl"
    assert main(["judge", "import", str(run), "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert f"m4rag_mini_judge_{SETTING}_am by org/big-vlm: 2 of 300, e.g. {first}#4, {first}#5" in said
    assert "1 requests failed, e.g. " in said and "_en by" not in said
    assert not output.exists()
    assert main(["judge", "import", str(run), "--output", str(output), "--partial"]) == 0
    assert len(read_grades([output])) == 597


def test_what_is_there_twice_is_refused_with_both_places(run):
    first = run / f"{NAME}_am.jsonl"
    again = run / first.name.replace("20260101", "20260102")
    again.write_bytes(first.read_bytes())
    (run / "20260102_000000_results.json").write_bytes((run / "20260101_000000_results.json").read_bytes())
    with pytest.raises(GradesError, match=r"20260102.*:1: .* a second time; the first is .*20260101.*am\.jsonl:1"):
        import_grades([run])
    assert len(import_grades([first], partial=True)[0]) == 300
    assert len(import_grades([first, first])[0]) == 300


def test_a_judge_that_no_results_file_names_has_to_be_said(run):
    (run / "20260101_000000_results.json").unlink()
    with pytest.raises(GradesError, match=r"which model judged is not beside it.*--judge NAME"):
        import_grades([run])
    grades, _ = import_grades([run], judge="mine", revision="7")
    assert {(grade.judge, grade.revision) for grade in grades} == {("mine", "7")}


def test_grades_of_another_cache_are_refused(run):
    def other(lines):
        return [{**line, "grade": {**line["grade"], "cache": "f00d"}} for line in lines]

    changed(run / f"{NAME}_am.jsonl", other)
    with pytest.raises(GradesError, match=rf"saw passages of the retrieval cache f00d, and {SETTING} on mini reads"):
        import_grades([run])
    changed(run / f"{NAME}_am.jsonl", lambda lines: [{**lines[0], "grade": {**lines[0]["grade"], "cache": None}}])
    with pytest.raises(GradesError, match="retrieval cache None"):
        import_grades([run])


def test_grades_of_two_caches_in_one_task_are_refused(run):
    def last(lines):
        return [*lines[:-1], {**lines[-1], "grade": {**lines[-1]["grade"], "cache": "f00d"}}]

    changed(run / f"{NAME}_am.jsonl", last)
    with pytest.raises(GradesError, match=r"am\.jsonl:300: the judge saw passages of the retrieval cache f00d"):
        import_grades([run])


def test_grades_about_other_rows_are_refused(run):
    path = run / "20260101_000000_results.json"
    told = json.loads(path.read_text())
    digest = datasets.rows_digest(datasets.load_rows(MINI, suite.language("en")), MINI)
    for rows in (digest, "0" * 64):
        told["configs"] = {f"m4rag_mini_judge_{SETTING}_en": {"metadata": {"rows": rows}}}
        path.write_text(json.dumps(told))
        if rows == digest:
            assert len(import_grades([run])[0]) == 600
    with pytest.raises(GradesError, match=r"_en\.jsonl:1: the judge was asked about other rows of mini"):
        import_grades([run])


def test_what_was_judged_without_its_picture_is_no_grade(run):
    def blank(lines):
        return [{**lines[0], "grade": {**lines[0]["grade"], "image": "blank"}}, *lines[1:]]

    changed(run / f"{NAME}_am.jsonl", blank)
    with pytest.raises(GradesError, match=r"_am by org/big-vlm: 1 without their picture, e\.g\. \S+#1"):
        import_grades([run])
    assert len(import_grades([run], partial=True)[0]) == 599


def test_grades_that_are_there_already_are_not_lost(run, tmp_path, capsys):
    output = tmp_path / "grades.jsonl"
    people = '{"question_id": "1", "passage_id": "p", "grade": 4, "judge": "ana"}\n'
    output.write_text(people)
    assert main(["judge", "import", str(run), "--output", str(output)]) == 1
    assert "holds 1 grades that are not among the new ones, e.g. by ana for question 1" in capsys.readouterr().err
    assert output.read_text() == people
    output.unlink()
    for _ in range(2):
        assert main(["judge", "import", str(run), "--output", str(output)]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines, {"accuracy": {"question_id": "1"}}], r":301: this is no sample of a judging task"),
        (lambda lines: [{"grade": {"item": "1#1"}}], r":1: the record lacks question_id, passage_id"),
        (
            lambda lines: [{"grade": {**lines[0]["grade"], "setting": "norag"}}],
            r":1: there is no task m4rag_mini_judge_norag_am",
        ),
        (lambda lines: [{"grade": {**lines[0]["grade"], "dataset": "maxi"}}], r"no task m4rag_maxi_judge_"),
        (lambda lines: [{"grade": {**lines[0]["grade"], "variant": "oe"}}], r"no task m4rag_mini_judge_\w+_oe_am"),
        (lambda lines: [{"grade": {"item": "1#1", "parse": "unscored", "fault": "lost"}}], r"not be recorded \(lost\)"),
    ],
)
def test_lines_that_are_no_judgements_are_named(run, change, message):
    changed(run / f"{NAME}_am.jsonl", change)
    with pytest.raises(GradesError, match=message):
        import_grades([run])


def test_files_that_are_cut_off_or_not_there_are_named(run, tmp_path):
    path = run / f"{NAME}_am.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(GradesError, match=r"am\.jsonl:300: this is no JSON, or it is cut off"):
        import_grades([run])
    with pytest.raises(GradesError, match="none does not exist"):
        import_grades([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(GradesError, match="no samples of judging tasks below"):
        import_grades([tmp_path / "empty"])
