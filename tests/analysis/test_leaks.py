"""How often the answer stands in what was shown, and how many answers are invalid."""

import pytest

from m4rag_tasks.analysis import columns, invalid_answers, leak_audit

from .records import passage, record, run


def test_shares_are_over_the_questions_that_say_and_macro_over_varieties():
    first, second = [passage(1, True, options=[2]), passage(2, True, options=[1])], [passage(1, False, options=[])]
    rag = run([1, 0], "hi", passages=[first, second], query_has_answer=[True, False])
    rag += [record(5, 1, "am", passages=second), record(6, 1, "am", passages=[passage(1)])]
    audit = leak_audit({"mmrag": columns(rag), "oracle": columns(run([1, 1], context_has_answer=[True, True]))})
    both, oracle = audit.overall
    assert (both.setting, both.questions, both.passages.value, both.passages.n) == ("mmrag", 4, 0.25, 3)
    assert (both.first.value, both.wrong_options.value, both.query.value) == (0.25, pytest.approx(1 / 12), 0.5)
    assert both.context is None and oracle.passages is None and oracle.context.value == 1
    assert [(row.setting, row.language) for row in audit.rows[2:]] == [
        ("mmrag", "am"),
        ("mmrag", "hi"),
        ("oracle", "hi"),
    ]
    assert audit.silent == ()


def test_old_records_are_silent_and_not_free_of_leaks():
    mmrag = columns(run([1, 0], passages=[[passage(1)]] * 2))
    audit = leak_audit({"norag": columns(run([1, 0])), "mmrag": mmrag})
    assert audit.silent == ("mmrag",)
    assert all(row.passages is None and row.wrong_options is None for row in audit.rows)


def test_invalid_answers_are_a_share_of_those_that_came():
    records = run([0, 0, 1, None], parse=["invalid", "json", "json", "failed_request"]) + run([1], "am")
    overall, amharic, hindi = invalid_answers({"norag": columns(records), "empty": columns(run([None]))})
    assert (overall.language, amharic.language, hindi.language) == ("", "am", "hi")
    assert (amharic.invalid.value, hindi.invalid.value) == (0, pytest.approx(1 / 3))
    # Every question counts the same, as in the settings table.
    assert overall.invalid.value == pytest.approx(1 / 4)
