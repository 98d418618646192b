"""The arrays of passages are what a plain walk through each question's passages finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks.analysis.passages import shown

OPTIONS = st.none() | st.lists(st.integers(1, 4), max_size=3)
PASSAGE = st.fixed_dictionaries(
    {},
    optional={
        "has_answer": st.none() | st.booleans(),
        "has_options": OPTIONS,
        "grade": st.none() | st.floats(1, 5, width=16),
    },
)
QUESTIONS = st.lists(st.tuples(st.lists(PASSAGE, max_size=4), st.integers(1, 4), st.integers(0, 4)), max_size=6)


def walked(passages, gold, prediction):
    """What one question's passages hold, looked at one by one."""
    found = {"answer_rank": -1, "grade_rank": -1, "chosen_rank": -1, "best_rank": -1, "grade": None, "wrong": None}

    def all_of(key):
        values = [passage.get(key) for passage in passages]
        return None if not values or None in values else values

    def first(flags):
        return next((rank for rank, flag in enumerate(flags, start=1) if flag), 0)

    if (flags := all_of("has_answer")) is not None:
        found["answer_rank"] = first(flags)
    if (numbers := all_of("has_options")) is not None:
        found["wrong"] = len({number for one in numbers for number in one} - {gold}) / 3
        found["chosen_rank"] = 0 if prediction == gold else first(prediction in one for one in numbers)
    if (grades := all_of("grade")) is not None:
        found |= {
            "grade": sum(grades) / len(grades),
            "grade_rank": first(grade >= 4 for grade in grades),
            "best_rank": first(grade == max(grades) for grade in grades),
        }
    return found


@given(QUESTIONS)
def test_arrays_are_what_a_plain_walk_finds(questions):
    passages, gold, prediction = [list(column) for column in zip(*questions, strict=True)] or [[], [], []]
    found = shown(passages, np.array(gold, dtype=int), np.array(prediction, dtype=int), np.full(len(gold), 4))
    for place, question in enumerate(questions):
        expected = walked(*question)
        shares = ((expected.pop("grade"), found.grade[place]), (expected.pop("wrong"), found.wrong_options[place]))
        assert {name: int(getattr(found, name)[place]) for name in expected} == expected
        assert all(np.isnan(got) if share is None else np.isclose(got, share) for share, got in shares)
