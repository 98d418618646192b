"""Retention, correction and confusion, against counts by hand."""

import numpy as np
import pytest

from m4rag_tasks.analysis import columns, confusion, correction, retained_by_grade, retained_by_rank, retention
from m4rag_tasks.metrics import NoRecordsError

from .records import passage, run


def graded(*grades):
    return [passage(number, grade=grade) for number, grade in enumerate(grades, start=1)]


def answered(*flags):
    return [passage(number, answer=flag) for number, flag in enumerate(flags, start=1)]


def test_all_questions_in_one_bucket_give_the_rates_of_all():
    rng = np.random.default_rng(8)
    without, with_ = (rng.integers(0, 2, 60).tolist() for _ in "ab")
    images = [f"{number // 3}.png" for number in range(60)]
    before = columns(run(without, image_id=images))
    after = columns(run(with_, image_id=images, passages=[graded(5, 4.5)] * 60))
    (bucket,) = retained_by_grade(before, after).rows
    assert bucket.name == "above 4"
    assert bucket.questions == 60
    assert bucket.retention == retention(before, after)
    assert bucket.correction == correction(before, after)


def test_buckets_are_of_the_mean_grade_with_four_below_above_four():
    shown = [graded(1, 2), graded(2, 2), graded(3, 3), graded(4, 4), graded(4, 5), [passage(1)]]
    found = retained_by_grade(columns(run([1, 1, 1, 0, 1, 1])), columns(run([0, 1, 1, 1, 1, 1], passages=shown)))
    assert [(row.name, row.questions) for row in found.rows] == [
        ("below 2", 1),
        ("2 to 3", 1),
        ("3 to 4", 2),
        ("above 4", 1),
    ]
    assert found.rows[0].retention.value == 0
    assert found.rows[0].correction is None
    assert found.rows[2].correction.value == 1
    assert found.unknown == 1


def test_ranks_are_of_the_first_passage_with_the_answer_or_a_high_grade():
    shown = [answered(True, True), answered(False, True), answered(False, False), answered(False, True)]
    before, after = columns(run([1, 0, 1, 0])), columns(run([1, 1, 0, 0], passages=shown))
    rows = {row.name: row for row in retained_by_rank(before, after).rows}
    assert {name: row.questions for name, row in rows.items()} == {"1": 1, "2": 2, "none": 1}
    assert rows["2"].correction.value == 0.5
    assert rows["none"].retention.value == 0
    assert retained_by_rank(before, after, by="grade").unknown == 4
    assert retained_by_rank(before, after, by="grade").rows == ()


def test_confusion_counts_all_questions_once():
    shown = [graded(1, 4), graded(5, 1), graded(1, 3), graded(2, 2), [passage(1)]]
    found = confusion(columns(run([1, 0, 1, 0, 1], passages=shown)))
    assert (found.relevant_right, found.relevant_wrong, found.irrelevant_right, found.irrelevant_wrong) == (1, 1, 1, 1)
    assert found.unknown == 1
    assert found.right_if_relevant.value == found.right_if_irrelevant.value == found.relevant.value == 0.5
    with pytest.raises(NoRecordsError, match="by answer"):
        confusion(columns(run([1, 0], passages=[shown[0]] * 2)), by="answer")
