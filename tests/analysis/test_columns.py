"""Records become arrays, and runs are put side by side by question."""

import numpy as np
import pytest

from m4rag_tasks.analysis import columns, paired
from m4rag_tasks.metrics import IdsError, NoRecordsError, PairingError, RecordError

from .records import passage, record, run


def test_what_is_not_recorded_is_unknown_and_not_no():
    found = columns([record(1, 1), record(2, 0, passages=[passage(1), passage(2)])])
    assert found.answer_rank.tolist() == found.grade_rank.tolist() == found.context_answer.tolist() == [-1, -1]
    assert np.isnan(found.grade).all() and np.isnan(found.tokens).all()
    assert [len(one or ()) for one in found.told("passages")] == [0, 2]


def test_ranks_are_those_of_the_first_passage_that_fits():
    shown = [passage(1, False, 2, [3]), passage(2, True, 5, [2]), passage(3, True, 5, [2, 3])]
    wrong, right = record(1, 0, passages=shown), record(2, 1, passages=shown)
    found = columns([wrong, right])
    assert found.answer_rank.tolist() == found.grade_rank.tolist() == found.best_rank.tolist() == [2, 2]
    assert found.grade.tolist() == [4, 4]
    assert found.chosen_rank.tolist() == [1, 0]
    # Of three wrong options one stands in the passages, in two of them.
    assert found.wrong_options.tolist() == [1 / 3, 1 / 3]


def test_a_mean_grade_needs_all_grades():
    found = columns([record(1, 1, passages=[passage(1, grade=5), passage(2)])])
    assert np.isnan(found.grade[0]) and found.grade_rank[0] == -1


def test_questions_are_split_by_what_records_say_of_a_further_key():
    found = columns([record(1, 1, country="B"), record(2, 0), record(3, 1, country="A"), record(4, 1, country="B")])
    assert {name: inside.tolist() for name, inside in found.split("country").items()} == {
        "A": [False, False, True, False],
        "B": [True, False, False, True],
    }
    assert found.split("category") == {}
    assert columns(run([1], "hi") + run([1], "am")).within({"hi"}).tolist() == [False, True]


def test_order_of_records_does_not_matter():
    records = run([1, 0, 1, 1], "hi") + run([0, 0, 1, 1], "am")
    one, other = columns(records), columns(records[::-1])
    assert one.question_id.tolist() == other.question_id.tolist()
    assert one.score.tolist() == other.score.tolist()


@pytest.mark.parametrize(
    ("records", "error", "told"),
    [
        ([], NoRecordsError, "no records"),
        ([record(1, 1), record(1, 0)], IdsError, "0001-hi"),
        ([record(1, 0.5)], RecordError, "0001-hi"),
        ([record(1, 1, image_id=None)], RecordError, "no image_id"),
        ([{**record(1, 1), "language": None}], RecordError, "no language"),
        ([{"score": 1.0}], RecordError, "no question_id"),
        ([record(1, 1, context_chars="long")], RecordError, "number is expected"),
        ([record(1, 1, passages=[{"grade": "good"}])], RecordError, "number is expected"),
    ],
)
def test_unusable_records_are_named(records, error, told):
    with pytest.raises(error, match=told):
        columns(records)


def test_pairs_are_cut_to_shared_varieties_and_to_what_both_scored():
    a = columns(run([1, 0, None], "hi") + run([1], "am"))
    b = columns(run([0, 0, 1], "hi") + run([1], "sw"))
    pair = paired(a, b)
    assert pair.languages == ("hi",)
    assert pair.scores.tolist() == [[1, 0], [0, 0]]
    assert pair.failed == 1


def test_runs_of_other_questions_or_images_are_not_paired():
    a = columns(run([1, 0]))
    with pytest.raises(PairingError, match=r"1 only in the second \(e.g. 0002-hi\)"):
        paired(a, columns(run([1, 0, 1])))
    with pytest.raises(PairingError, match="no language variety"):
        paired(a, columns(run([1, 0], "am")))
    with pytest.raises(PairingError, match="about another image"):
        paired(a, columns(run([1, 0], image_id="x.png")))
    with pytest.raises(NoRecordsError, match="none of the 2 questions"):
        paired(a, columns(run([None, None])))
