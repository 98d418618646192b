"""`m4rag compare`: what changed between two runs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from m4rag_tasks.cli import main
from m4rag_tasks.errors import RunError
from m4rag_tasks.report import compare

from . import make_run as make

NAMES = {"am": "Amharic", "ar": "Arabic", "en": "English", "hi": "Hindi"}


def write(root, scores, model="org/model-7b", **changes):
    make.write_run(root, {"mmrag": scores}, model=model, changes={"dataset": "wc", **changes})
    return root


@pytest.fixture
def two(tmp_path):
    """B gains all of Amharic, loses one question in Arabic, and is the same in English."""
    wrong, right = [0] * 30, [1] * 30
    a = write(tmp_path / "a", {"am": wrong, "ar": right, "en": right})
    b = write(tmp_path / "b", {"am": right, "ar": [0, *right[1:]], "en": right}, model="org/other")
    return a, b


def test_terminal_says_what_changed_where_and_whether_it_is_chance(two):
    text, page = compare(*two, NAMES)
    assert page is None
    lines = text.splitlines()
    assert lines[:2] == ["A: org/model-7b, a", "B: org/other, b"]
    (row,) = [line for line in lines if line.startswith("WorldCuisines, Multimodal RAG  ")]
    assert re.search(r"\+32\.2 \[", row) and re.search(r"\s30\s+1\s+3$", row)
    clear = lines[lines.index("Clear changes (adjusted p < 0.05):") + 1 :]
    assert [line.split(":")[0].strip() for line in clear if line.startswith("  ")] == [
        "WorldCuisines, Multimodal RAG, Amharic"
    ]


def test_files_hold_the_same_as_tables_page_and_markdown(two, tmp_path):
    _, page = compare(*two, NAMES, tmp_path / "out")
    assert page == tmp_path / "out" / "compare.html"
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "compare.html",
        "compare.json",
        "compare.md",
        "tables",
    ]
    with (page.parent / "tables" / "compared_by_language.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["language"]: row for row in csv.DictReader(file)}
    assert [float(rows[code]["difference"]) for code in ("am", "en")] == [1, 0]
    assert (rows["ar"]["gained"], rows["ar"]["lost"]) == ("0", "1")
    tables = json.loads((page.parent / "compare.json").read_text(encoding="utf-8"))["tables"]
    assert [row["change"] for row in tables["compared_flips"]["rows"][:3]] == ["gained", "lost", "gained"]
    html = page.read_text(encoding="utf-8")
    assert make.QUESTION["ar"] in html and make.QUESTION["am"] in html
    assert "**By language variety**" in (page.parent / "compare.md").read_text(encoding="utf-8")


def test_two_settings_are_compared_where_each_side_has_one(tmp_path):
    runs = make.write_run(tmp_path, {"norag": {"en": [0, 0, 1]}, "mmrag": {"en": [1, 0, 1]}})
    files = {path.name.split("_samples_")[1]: path for path in runs.rglob("*_samples_*")}
    text, _ = compare(files["m4rag_mini_norag_en.jsonl"], files["m4rag_mini_mmrag_en.jsonl"], NAMES)
    assert "M4-RAG mini, No retrieval → Multimodal RAG" in text and "+33.3" in text


def test_varieties_with_other_questions_are_named_and_the_rest_compared(tmp_path):
    a = write(tmp_path / "a", {"en": [0, 1, 1], "hi": [1, 1, 1], "ar": [1, 1, 1]})
    b = write(tmp_path / "b", {"en": [1, 1, 1], "hi": [1, 1, 1], "am": [1, 1, 1]})
    path = next(b.rglob("*_hi.jsonl"))
    path.write_text(path.read_text(encoding="utf-8").replace('"3-hi"', '"9-hi"'), encoding="utf-8")
    text, _ = compare(a, b, NAMES)
    assert "Hindi: not the same questions, so not compared (1 are only in A, 1 only in B, e.g. 3-hi)" in text
    assert "only one side has these varieties complete: Amharic, Arabic" in text
    assert "+33.3" in text


def test_runs_without_a_common_question_are_refused(tmp_path):
    a = write(tmp_path / "a", {"en": [0, 1]})
    b = make.write_run(tmp_path / "b", {"norag": {"en": [1, 1]}, "oracle": {"en": [1, 1]}})
    with pytest.raises(RunError, match=r"no run in common.*A holds WorldCuisines, Multimodal RAG; B holds M4-RAG mini"):
        compare(a, b, NAMES)


def test_folders_of_one_name_are_told_apart_by_the_one_above(two, tmp_path, monkeypatch):
    same = write(tmp_path / "c" / "a", {"am": [0] * 30, "ar": [1] * 30, "en": [1] * 30})
    text, _ = compare(two[0], same, NAMES)
    assert text.splitlines()[:2] == [f"A: org/model-7b, {tmp_path.name}/a", "B: org/model-7b, c/a"]
    monkeypatch.chdir(two[0])
    text, _ = compare(Path(), two[1], NAMES)
    assert text.splitlines()[:2] == ["A: org/model-7b, a", "B: org/other, b"]


def test_a_side_with_two_models_is_refused(two, tmp_path):
    a, b = two
    write(a, {"am": [1] * 30}, model="org/third")
    with pytest.raises(RunError, match=r"A holds runs of 2 models \(org/model-7b, org/third\)"):
        compare(a, b, NAMES)


def test_the_command_prints_and_writes(two, tmp_path, capsys):
    assert main(["compare", *map(str, two), "--output-dir", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "B − A, points" in out and f"Comparison: {tmp_path / 'out' / 'compare.html'}" in out
    assert main(["compare", str(two[0]), str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
