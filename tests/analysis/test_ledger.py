"""Every question has one path; flips name the passage that fits."""

import numpy as np
import pytest

from m4rag_tasks.analysis import PATHS, columns, flip_ledger

from .records import passage, run


def test_the_eight_paths_hold_every_question_once():
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 2, (3, 200))
    ledger = flip_ledger(*(columns(run(row.tolist())) for row in scores))
    assert [path.path for path in ledger.paths] == list(PATHS)
    assert PATHS[0] == "RRR" and PATHS[-1] == "WWW" and len(PATHS) == 8
    expected = ["".join("RW"[1 - score] for score in column) for column in scores.T]
    assert {path.path: path.questions for path in ledger.paths} == {path: expected.count(path) for path in PATHS}
    assert sum(path.share.value for path in ledger.paths) == pytest.approx(1)
    assert len(ledger.flips) == int((scores[0] != scores[1]).sum())
    assert sum(sum(counts.values()) for counts in ledger.reasons.values()) == len(ledger.flips)


def test_without_an_oracle_run_paths_end_after_two_steps():
    scores = np.random.default_rng(3).integers(0, 2, (3, 100))
    runs = [columns(run(row.tolist())) for row in scores]
    short, whole = flip_ledger(*runs[:2]), flip_ledger(*runs)
    assert [path.path for path in short.paths] == ["RR", "RW", "WR", "WW"]
    assert [path.questions for path in short.paths] == [
        sum(path.questions for path in whole.paths if path.path.startswith(two)) for two in ("RR", "RW", "WR", "WW")
    ]
    assert [flip.question_id for flip in short.flips] == [flip.question_id for flip in whole.flips]
    assert [flip.repaired for flip in short.flips] == [flip.repaired for flip in whole.flips]


def test_flips_name_the_passage_with_the_answer_the_chosen_option_or_the_best_grade():
    shown = [
        [passage(1, False, 5, [1]), passage(2, True, 4, [2])],  # repaired, the answer stands in the second
        [passage(1, False, 2, [1]), passage(2, False, 4, [])],  # repaired, only a grade tells
        [passage(1, True, 5, [2]), passage(2, False, 1, [3])],  # broken, the chosen option stands in the second
        [passage(1, False, 3, [1]), passage(2, False, 3, [])],  # broken, nothing tells
        [passage(1), passage(2)],  # broken, not recorded
        [passage(1, True, 5, [2])],  # right all along
    ]
    without, oracle = columns(run([0, 0, 1, 1, 1, 1])), columns(run([1] * 6))
    ledger = flip_ledger(without, columns(run([1, 1, 0, 0, 0, 1], passages=shown)), oracle)
    found = [(flip.path, flip.repaired, flip.passage_id, flip.rank, flip.reason) for flip in ledger.flips]
    assert found == [
        ("WRR", True, "p2", 2, "answer"),
        ("WRR", True, "p2", 2, "grade"),
        ("RWR", False, "p2", 2, "chosen"),
        ("RWR", False, None, None, None),
        ("RWR", False, None, None, None),
    ]
    assert ledger.reasons == {"repaired": {"answer": 1, "grade": 1}, "broken": {"chosen": 1, None: 2}}
