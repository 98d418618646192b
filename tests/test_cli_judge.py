"""`m4rag judge …` on the command line."""

from __future__ import annotations

import csv
import json

import pytest

from m4rag_tasks.cli import main
from m4rag_tasks.grades import Grade, write_grades


@pytest.fixture
def files(tmp_path):
    """A model's grades, and a person's of half of them."""
    grades = [
        Grade(f"{q}-en", f"p-{p}", 1 + (q + p) % 5, "model", "json", p, "mmrag", "mini", "en", f"{q}.png")
        for q in range(10)
        for p in range(5)
    ]
    write_grades(tmp_path / "model.jsonl", grades)
    lines = [f"{grade.question_id},{grade.passage_id},{max(1, grade.grade - 1)},ana" for grade in grades[:25]]
    (tmp_path / "ana.csv").write_text("\n".join(["question_id,passage_id,grade,judge", *lines]))
    return tmp_path


def test_agreement_is_shown_and_written(files, capsys):
    named = [str(files / "model.jsonl"), str(files / "ana.csv")]
    assert main(["judge", "agreement", *named, "--csv", str(files / "k.csv"), "--json", str(files / "k.json")]) == 0
    shown = capsys.readouterr().out
    with (files / "k.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kappa"], row["judges"], row["language"]) for row in rows] == [
        ("Fleiss", "model | ana", "all"),
        ("Fleiss", "model | ana", "en"),
        ("weighted", "model | ana", "all"),
        ("weighted", "model | ana", "en"),
    ]
    # Every fifth grade is a 1 from both; all others differ by 1.
    weighted = rows[2]
    assert (weighted["items"], weighted["images"], weighted["equal"], weighted["near"]) == ("25", "5", "0.2", "1.0")
    assert 0 < float(weighted["low"]) <= float(weighted["value"]) <= float(weighted["high"]) < 1
    assert f"{float(weighted['value']):.3f}" in shown
    told = json.loads((files / "k.json").read_text())
    assert told["pairs"][0]["confusion"][1] == [5, 0, 0, 0, 0] and told["judges"][1]["graded"] == 25
    again = files / "again.json"
    main(["judge", "agreement", *named, "--json", str(again)])
    assert again.read_bytes() == (files / "k.json").read_bytes()


def test_agreement_of_one_judge_is_refused_in_words(files, capsys):
    assert main(["judge", "agreement", str(files / "ana.csv")]) == 1
    assert "m4rag: Agreement needs two judges" in capsys.readouterr().err
