"""From samples files to columns: what was shown and how many tokens that took arrives; what is odd is unknown."""

from __future__ import annotations

import json

import numpy as np
import pytest
from report import make_run as make

from m4rag_tasks.analysis import columns
from m4rag_tasks.grades import with_grades
from m4rag_tasks.report import load_runs

PASSAGES = [
    {"id": "p1", "title": "One", "rank": 1, "score": 2.0, "has_answer": False, "has_options": [3]},
    {"id": "p2", "title": "Two", "rank": 2, "score": 1.0, "has_answer": True, "has_options": [2, 3]},
]


def loaded(folder, records, token_counts):
    path = make.write_task(folder, "mmrag", "am", records)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line, counts in zip(lines, token_counts, strict=True):
        line["token_counts"] = counts
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    (run,) = load_runs([folder])
    return run


def test_what_was_shown_and_its_tokens_arrive(tmp_path):
    shown = {"passages": PASSAGES, "context_chars": 900, "query_has_answer": False}
    records = [make.record(number, "am", "mmrag", score, **shown) for number, score in enumerate((1, 0))]
    run = loaded(tmp_path, records, [[{"input_tokens": 700, "output_tokens": 3}], [None]])
    found = columns(run.records)
    assert found.answer_rank.tolist() == [2, 2]
    assert found.chosen_rank.tolist() == [0, 1]
    assert found.tokens[0] == 700 and np.isnan(found.tokens[1])
    assert found.context_chars.tolist() == [900, 900]
    assert found.query_answer.tolist() == [0, 0] and found.context_answer.tolist() == [-1, -1]
    ids = [record["question_id"] for record in run.records]
    graded = columns(with_grades(run.records, {(name, passage): 4.0 for name in ids for passage in ("p1", "p2")}))
    assert graded.grade.tolist() == [4, 4] and graded.grade_rank.tolist() == [1, 1]


@pytest.mark.parametrize("odd", [{"has_answer": "yes"}, {"has_options": 3}, {"has_options": ["2", True]}, {"id": 7}])
def test_odd_values_are_unknown(tmp_path, odd):
    record = make.record(1, "am", "mmrag", 1, passages=[{**PASSAGES[1], **odd}])
    found = columns(loaded(tmp_path, [record], [["many"]]).records)
    assert found.answer_rank.tolist() == [-1 if "has_answer" in odd else 1]
    share = found.wrong_options[0]
    assert np.isnan(share) if odd.get("has_options") == 3 else share == (0 if "has_options" in odd else 1 / 3)
    assert np.isnan(found.tokens[0])
