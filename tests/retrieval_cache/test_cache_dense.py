"""Exact dense search against NumPy, and shards that survive a kill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache import CacheCorrupt, CorpusError, Passage, Query
from retrieval_cache.dense import index as dense


class TableEncoder:
    """Vectors looked up by text, so a test says what they are."""

    name, revision, uses_images, batch = "table", "1", False, 3

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors, self.calls = vectors, 0
        self.dim = len(next(iter(vectors.values())))

    def encode_queries(self, queries):
        return np.stack([self.vectors[query.text] for query in queries])

    def encode_passages(self, passages, image_root):
        self.calls += len(passages)
        return np.stack([self.vectors[passage.text] for passage in passages])


def world(passage_vectors, query_vectors):
    texts = {f"p{i}": v for i, v in enumerate(passage_vectors)}
    asked = {f"q{i}": v for i, v in enumerate(query_vectors)}
    encoder = TableEncoder({**texts, **asked})
    return encoder, [Passage(t, t, "", t, "en") for t in texts], [Query(t, t) for t in asked]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 90), st.sampled_from([4, 7, 4096]), st.integers(1, 40))
def test_search_equals_numpy(tmp_path_factory, seed, count, shard, k):
    random = np.random.default_rng(seed)
    # Few different small integers: many exact ties, which must go to the lower row.
    vectors = random.integers(-2, 3, (count, 4)).astype(np.float32)
    asked = random.integers(-2, 3, (5, 4)).astype(np.float32)
    asked[:, 0] = 1  # never zero
    encoder, passages, queries = world(vectors, asked)
    folder = tmp_path_factory.mktemp("dense")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "SHARD_ROWS", shard)
        dense.DenseIndex.build(passages, encoder, folder)
    rows, scores = dense.DenseIndex(folder, encoder).search(queries, k)
    exact = asked.astype(np.float64) @ vectors.T.astype(np.float64)
    for found, given_scores, truth in zip(rows, scores, exact, strict=True):
        order = np.lexsort((np.arange(count), -truth))[:k]
        assert found[: len(order)].tolist() == order.tolist()
        assert given_scores[: len(order)].tolist() == truth[order].tolist()
        assert (found[len(order) :] == -1).all() and np.isnan(given_scores[len(order) :]).all()


def test_search_does_not_depend_on_the_block(tmp_path):
    random = np.random.default_rng(0)
    encoder, passages, queries = world(
        random.normal(size=(300, 32)).astype(np.float32), random.normal(size=(40, 32)).astype(np.float32)
    )
    dense.DenseIndex.build(passages, encoder, tmp_path)
    index = dense.DenseIndex(tmp_path, encoder)
    rows, scores = index.search(queries, 5)
    for number, query in enumerate(queries):
        one_row, one_score = index.search([query], 5)
        assert one_row[0].tolist() == rows[number].tolist()
        assert one_score.tobytes() == scores[number].tobytes()


def test_a_zero_query_has_no_hits(tmp_path):
    encoder, passages, queries = world(np.eye(3, dtype=np.float32), np.zeros((1, 3), np.float32))
    dense.DenseIndex.build(passages, encoder, tmp_path)
    rows, scores = dense.DenseIndex(tmp_path, encoder).search(queries, 2)
    assert rows.tolist() == [[-1, -1]] and np.isnan(scores).all()


def test_finished_shards_are_kept_and_broken_ones_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(dense, "SHARD_ROWS", 4)
    encoder, passages, _ = world(np.eye(10, dtype=np.float32), np.eye(10, dtype=np.float32))
    names = dense.DenseIndex.build(passages, encoder, tmp_path)
    assert names == [f"embeddings-0000{i}.npy" for i in range(3)] and encoder.calls == 10
    (tmp_path / names[1]).write_bytes((tmp_path / names[1]).read_bytes()[:-8])
    dense.DenseIndex.build(passages, encoder, tmp_path)
    assert encoder.calls == 14
    (tmp_path / names[2]).write_bytes(b"")
    with pytest.raises(CacheCorrupt, match=names[2]):
        dense.DenseIndex(tmp_path, encoder)


def test_vectors_that_would_poison_the_index_are_refused(tmp_path):
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 1] = np.nan
    encoder, passages, _ = world(vectors, vectors)
    with pytest.raises(CorpusError, match="NaN or infinity for passage 'p1'"):
        dense.DenseIndex.build(passages, encoder, tmp_path)
