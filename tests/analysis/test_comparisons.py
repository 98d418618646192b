"""Settings and runs against each other, corrected for how many tests there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks.analysis import columns, compare_by_language, compare_settings, difference, holm

from .records import run


def test_holm_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-15
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


def test_one_pair_of_settings_is_a_family_of_one():
    rng = np.random.default_rng(3)
    a, b = (run(rng.integers(0, 2, 40).tolist(), "hi") + run(rng.integers(0, 2, 10).tolist(), "am") for _ in "ab")
    (row,) = compare_settings({"m": {"norag": columns(a), "mmrag": columns(b)}}).rows
    assert (row.a, row.b) == ("mmrag", "norag")
    assert row.difference == difference(columns(b), columns(a))
    assert row.adjusted_p == row.difference.p_value
    assert row.languages == 2


def test_the_family_is_all_pairs_of_all_models_and_what_cannot_be_paired_is_told():
    rng = np.random.default_rng(4)
    good = {name: columns(run(rng.integers(0, 2, 30).tolist())) for name in ("norag", "mmrag", "oracle")}
    bad = {"norag": columns(run([1, 0])), "mmrag": columns(run([1, 0, 1]))}
    found = compare_settings({"one": good, "two": bad})
    assert found.tests == len(found.rows) == 3
    assert found.problems[0].startswith("two, mmrag against norag: the runs do not hold the same questions")
    p_values = [row.difference.p_value for row in found.rows]
    assert [row.adjusted_p for row in found.rows] == holm(p_values)


def test_by_language_has_every_variety_and_class():
    a = columns(run([1] * 20, "hi") + run([1] * 12 + [0] * 8, "am") + run([0] * 20, "sw"))
    b = columns(run([1] * 20, "hi") + run([0] * 20, "am") + run([0] * 20, "sw"))
    found = compare_by_language(a, b)
    assert found.overall.estimate.value == pytest.approx(0.2)
    assert {name: one.estimate.value for name, one in found.resources.items()} == {"high": 0, "low": pytest.approx(0.3)}
    assert [(row.language, row.significant) for row in found.rows] == [("am", True), ("hi", False), ("sw", False)]
    assert found.tests == 3
