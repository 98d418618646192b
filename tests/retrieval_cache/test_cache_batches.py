"""Batches: every item once, one kind each, within their limits; less padding than in the order given."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval_cache.encoders.batches import make_batches, padded_share


@given(
    st.lists(st.tuples(st.integers(1, 500), st.booleans()), max_size=60),
    st.integers(1, 2000),
    st.integers(1, 20),
)
def test_every_item_once_and_within_the_limits(items, limit, most):
    tokens, pictured = [count for count, _ in items], [has for _, has in items]
    batches = make_batches(tokens, pictured, limit, most)
    assert sorted(item for batch in batches for item in batch) == list(range(len(items)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len({pictured[item] for item in batch}) == 1
        assert len(batch) == 1 or len(batch) * max(tokens[item] for item in batch) <= limit


def test_sorting_saves_padding():
    tokens = np.random.default_rng(0).integers(5, 250, 400).tolist()
    sorted_batches = make_batches(tokens, [False] * 400, 4096, 16)
    as_given = [list(range(start, start + 16)) for start in range(0, 400, 16)]
    assert padded_share(tokens, sorted_batches) < 0.05
    assert padded_share(tokens, as_given) > 0.3
    assert padded_share([], []) == 0
