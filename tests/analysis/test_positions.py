"""Where the right option stands, and where the passage with the answer does."""

import numpy as np
import pytest
from scipy import stats

from m4rag_tasks.analysis import answer_positions, columns, passage_positions
from m4rag_tasks.metrics import NoRecordsError

from .records import passage, run


def asked(rng, n=400, accuracy=0.5, pull=0.0, options=4, share=1):
    """Answers right with chance `accuracy`, errors even, but with chance `pull` the first option is chosen."""
    gold = rng.integers(1, options + 1, n)
    wrong = (gold + rng.integers(1, options, n) - 1) % options + 1
    said = np.where(rng.random(n) < accuracy, gold, wrong)
    said = np.where(rng.random(n) < pull, 1, said)
    images = [f"{number // share}.png" for number in range(n)]
    fields = {"gold": gold.tolist(), "prediction": said.tolist(), "choices": options, "image_id": images}
    return columns(run((said == gold).astype(int).tolist(), **fields))


def test_counts_and_accuracies_by_hand():
    records = run([1, 0, 0, 1], gold=[1, 1, 2, 2], prediction=[1, 2, None, 2], choices=2)
    first, second = answer_positions(columns(records)).rows
    assert (first.gold, first.accuracy.value, first.predicted) == (2, 0.5, 1)
    assert (second.gold, second.accuracy.value, second.predicted) == (2, 0.5, 2)
    # Two of three valid ones are right: 1 1 2 are expected at 2/3, 2/3 and 1/3.
    assert first.expected == pytest.approx(5 / 3)
    assert answer_positions(columns(records)).invalid == 1


def test_a_pull_to_the_first_option_is_found():
    found = answer_positions(asked(np.random.default_rng(1), pull=0.2))
    assert found.freedom == 3
    assert found.p_value < 1e-4
    assert found.rows[0].predicted > found.rows[0].expected + 20


@pytest.mark.parametrize("share", [1, 4])
def test_without_a_pull_the_test_rejects_one_time_in_twenty(share):
    rng = np.random.default_rng(6)
    p_values = [answer_positions(asked(rng, 240, rng.uniform(0.3, 0.9), share=share)).p_value for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.085
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_questions_of_unlike_numbers_of_options_are_counted_together():
    rng = np.random.default_rng(9)
    four, five = asked(rng, 100), asked(rng, 100, options=5)
    rows = [*records_of(four, "hi"), *records_of(five, "am")]
    found = answer_positions(columns(rows))
    assert len(found.rows) == 5
    assert sum(row.predicted for row in found.rows) == pytest.approx(sum(row.expected for row in found.rows)) == 200


def records_of(run_, language):
    return run(
        run_.score.astype(int).tolist(),
        language,
        gold=run_.gold.tolist(),
        prediction=run_.prediction.tolist(),
        choices=int(run_.choices[0]),
    )


def test_answers_without_options_have_no_positions():
    with pytest.raises(NoRecordsError, match="no scored question has options"):
        answer_positions(columns(run([1, 0], choices=0, prediction="")))


def test_accuracy_and_gain_by_the_rank_of_the_answer():
    first, third = [passage(1, True)], [passage(1, False), passage(2, False), passage(3, True)]
    none = [passage(1, False)]
    with_ = columns(run([1, 1, 0, 1, 0], passages=[first, first, third, third, none]))
    found = passage_positions(with_, columns(run([0, 1, 0, 0, 1])))
    assert [(row.rank, row.questions, row.accuracy.value) for row in found] == [
        ("1", 2, 1.0),
        ("3", 2, 0.5),
        ("none", 1, 0.0),
    ]
    assert [row.gain.estimate.value for row in found] == [0.5, 0.5, -1.0]
    assert passage_positions(with_)[0].gain is None
    with pytest.raises(NoRecordsError, match="by grade"):
        passage_positions(with_, by="grade")
