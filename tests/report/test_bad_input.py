"""Faulty runs beside good ones: each fault is named on the page, and the rest is reported."""

from __future__ import annotations

import re

import pytest

from m4rag_tasks.errors import GradesError, RunError
from m4rag_tasks.report import write_report

from . import make_run as make

NAMES = {"am": "Amharic", "ar": "Arabic", "en": "English", "hi": "Hindi"}
SCORES = {"am": [1, 0, 1, 0], "ar": [1, 0, 1, 1], "en": [1, 1, 1, 0], "hi": [0, 1, 1, 0]}


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "runs"
    return make.write_run(root, {"norag": SCORES, "mmrag": SCORES})


def file_of(runs, setting, language, model="org__model-7b"):
    (path,) = (runs / model).glob(f"*_samples_m4rag_mini_{setting}_{language}.jsonl")
    return path


def reported(runs, tmp_path):
    """The report, and its notes as the page shows them."""
    page, report = write_report([runs], tmp_path / "report", lambda *_: None, NAMES)
    html = page.read_text(encoding="utf-8")
    notes = re.search(r'<aside class="notes".*?</aside>', html, re.DOTALL)
    return report, notes.group() if notes else ""


def test_a_file_cut_off_in_the_middle_of_a_line(runs, tmp_path):
    path = file_of(runs, "mmrag", "hi")
    path.write_bytes(path.read_bytes()[:-40])
    report, notes = reported(runs, tmp_path)
    assert f"{path.name}, line 4 is cut off: the run was stopped while it was written. Run that task again." in notes
    assert [row.languages for row in report.settings] == [4, 3]


def test_a_file_with_every_answer_twice(runs, tmp_path):
    path = file_of(runs, "mmrag", "hi")
    path.write_bytes(path.read_bytes() * 2)
    report, notes = reported(runs, tmp_path)
    assert f"{path.name} holds answers to the same question more than once: 1-hi, 2-hi, 3-hi, 4-hi." in notes
    assert "Move it out of the folder" in notes
    assert [row.languages for row in report.settings] == [4, 3]


def test_runs_that_hold_other_questions(runs, tmp_path):
    path = file_of(runs, "mmrag", "hi")
    path.write_text(path.read_text(encoding="utf-8").replace('"4-hi"', '"9-hi"'), encoding="utf-8")
    report, _ = reported(runs, tmp_path)
    assert "1 are only in the first, 1 only in the second (e.g. 4-hi)" in str(report.sections).replace("9-hi", "4-hi")
    assert [row.macro is not None for row in report.settings] == [True, True]
    (change,) = report.changes
    assert "hi" in change.problem and change.difference is None
    assert all(section.tables or section.missing for section in report.sections)


def test_settings_that_are_missing(tmp_path):
    runs = make.write_run(tmp_path / "runs", {"mmrag": SCORES})
    report, _ = reported(runs, tmp_path)
    assert report.changes[0].problem == "no norag run"
    assert report.gaps[0].problem == "no oracle run"
    assert all(section.tables or section.missing for section in report.sections)
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "no norag run" in html and "no oracle run" in html


def test_two_runs_of_one_name(runs, tmp_path):
    make.write_run(runs, {"norag": {"en": [0, 0, 0, 0]}}, date="20260401_120000")
    report, notes = reported(runs, tmp_path)
    assert "org/model-7b ran m4rag_mini_norag_en 2 times: took runs/org__model-7b/20260401_120000_" in notes
    assert report.settings[0].languages == 4


def test_two_models_of_one_name_stay_apart(runs, tmp_path):
    make.write_run(runs, {"norag": SCORES}, date="20260401_120000", model_args="pretrained=org/model-7b,dtype=float16")
    report, _ = reported(runs, tmp_path)
    assert report.models == ["org/model-7b (dtype=float16)", "org/model-7b (dtype=not set)"]


def test_paths_without_answers_are_named(runs, tmp_path):
    empty, other, judged = tmp_path / "empty", tmp_path / "notes.jsonl", tmp_path / "judged"
    empty.mkdir()
    judged.mkdir()
    other.write_text("{}\n", encoding="utf-8")
    (judged / "20260301_120000_samples_m4rag_mini_judge_mmrag_en.jsonl").write_text("{}\n", encoding="utf-8")
    _, report = write_report([runs, empty, other, judged], tmp_path / "report", lambda *_: None, NAMES)
    told = [note for note in report.notes if note.startswith(("empty", "notes", "judged"))]
    assert told == [
        "empty holds no samples file of lmms-eval: was it run with --log_samples?",
        "notes.jsonl was not read: its name is none that lmms-eval gives to samples (DATE_samples_TASK.jsonl).",
        "judged holds texts or grades that a model wrote, and no answers: they are imported "
        "(m4rag context import, m4rag judge import).",
    ]
    with pytest.raises(RunError, match="judge import"):
        write_report([judged], tmp_path / "report", lambda *_: None, NAMES)


def test_a_judge_without_grades_is_refused(runs, tmp_path):
    with pytest.raises(GradesError, match="no grades"):
        write_report([runs], tmp_path / "report", lambda *_: None, NAMES, judge="org/judge")


def test_all_at_once(runs, tmp_path):
    for language, spoil in (("am", lambda text: text[:-40]), ("ar", lambda text: text * 2)):
        path = file_of(runs, "mmrag", language)
        path.write_bytes(spoil(path.read_bytes()))
    (runs / "org__model-7b" / "20260301_120000_samples_other_task.jsonl").write_text(
        '{"doc_id": 0}\n', encoding="utf-8"
    )
    report, notes = reported(runs, tmp_path)
    assert notes.count("<li>") >= 4
    assert "cut off" in notes and "more than once" in notes and "not from a task of this suite" in notes
    assert [row.averaged for row in report.settings] == [4, 2]
    assert report.changes[0].languages == 2
