"""What the context costs and gains."""

import pytest

from m4rag_tasks.analysis import columns, costs

from .records import run


def test_cost_by_hand():
    without = run([0, 0, 1, 0], input_tokens=[100, 100, 200, 200])
    with_ = run([1, 0, 1, 1], input_tokens=[1100, 1100, 2200, 2200], context_chars=4000)
    (cost,) = costs(columns(without), {"mmrag": columns(with_)}).rows
    assert (cost.chars, cost.tokens, cost.prompt_tokens, cost.gain) == (4000, 1500, 1650, 0.5)
    assert cost.gain_per_1000_tokens.value == pytest.approx(0.5 / 1.5)
    assert cost.gain_per_1000_chars.value == pytest.approx(0.5 / 4)
    # All contexts as long: the interval is that of the gain, by four.
    spread = (4 / 3 * sum((gain - 0.5) ** 2 for gain in (1, 0, 0, 1))) ** 0.5 / 4
    assert cost.gain_per_1000_chars.high - cost.gain_per_1000_chars.value == pytest.approx(3.182446 * spread / 4)


def test_what_is_not_recorded_or_not_comparable_is_named():
    found = costs(columns(run([0, 1])), {"mmrag": columns(run([1, 1])), "oracle": columns(run([1, 1, 1]))})
    (row,) = found.rows
    assert row.chars is row.tokens is row.gain_per_1000_tokens is None
    assert found.problems[0].startswith("oracle: the runs do not hold the same questions")
