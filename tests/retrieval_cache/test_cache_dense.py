"""Exact dense search against NumPy, and shards that survive a kill."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache import CacheCorrupt, CorpusError, Passage, Query
from retrieval_cache.dense import exact, shards
from retrieval_cache.dense.embed import embedding_shards
from retrieval_cache.dense.index import DenseIndex
from retrieval_cache.dense.nearest import error_bound, nearest


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


def kept(vectors):
    return shards.unpack(shards.pack(vectors))


def truth(vectors, asked, k):
    """Best k by float64 inner products with the vectors as they are kept, rounded to float32; ties to the lower row."""
    products = asked[:, None].astype(np.float64) * kept(vectors).astype(np.float64)
    scores = products.sum(axis=2).astype(np.float32)
    order = np.stack([np.lexsort((np.arange(len(vectors)), -line))[:k] for line in scores])
    return order, np.take_along_axis(scores, order, 1)


def test_equal_passages_of_a_shard_are_embedded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 4)
    encoder, passages, _ = world(np.eye(3, dtype=np.float32), [])
    asked = [passages[row] for row in (2, 0, 2, 0, 1, 2)]
    told = []
    for unit in embedding_shards(asked, encoder, tmp_path):
        unit.make(told.append)
    assert encoder.calls == 4 and sum(told) == 6
    assert np.array_equal(shards.Shards(tmp_path, 3).take(np.arange(6), 4), np.eye(3)[[2, 0, 2, 0, 1, 2]])


@settings(max_examples=20)
@given(
    st.integers(0, 999),
    st.integers(1, 150),
    st.sampled_from([4, 7, 4096]),
    st.sampled_from([1, 300, 1 << 20]),
    st.integers(1, 40),
    st.sampled_from(["faiss", "torch"]),
)
def test_search_equals_numpy(tmp_path_factory, seed, count, shard, block, k, through):
    random = np.random.default_rng(seed)
    # Few different small integers: many exact ties, which must go to the lower row.
    vectors = random.integers(-2, 3, (count, 4)).astype(np.float32)
    asked = random.integers(-2, 3, (5, 4)).astype(np.float32)
    asked[:, 0] = 1  # never zero
    encoder, passages, _ = world(vectors, asked)
    folder = tmp_path_factory.mktemp("dense")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_ROWS", shard)
        patch.setattr(exact, "BLOCK_BYTES", block)
        patch.setattr(exact, "_SCORES_AT_ONCE", 40)
        if through == "torch":
            patch.setattr(exact, "nearest", lambda found, device: nearest(found, "cpu:0"))
        DenseIndex.build(passages, encoder, folder)
        rows, scores = exact.exact_search(shards.Shards(folder, 4), asked, k)
    expected_rows, expected_scores = truth(vectors, asked, k)
    found = min(k, count)
    assert rows[:, :found].tolist() == expected_rows.tolist()
    assert scores[:, :found].tolist() == expected_scores.tolist()
    assert (rows[:, found:] == -1).all() and np.isnan(scores[:, found:]).all()


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(1, 60), st.sampled_from([1e-9, 1e-4, 1.0, 200.0]))
def test_near_ties_are_ordered_by_their_exact_scores(tmp_path_factory, seed, k, length):
    """Copies that differ in the last bit of one number: float32 sums cannot tell them apart."""
    random = np.random.default_rng(seed)
    packed = shards.pack(np.repeat(random.normal(size=(3, 48)) * length, 40, axis=0))
    packed[np.arange(120), random.integers(0, 48, 120)] ^= 1
    vectors = shards.unpack(packed)
    asked = random.normal(size=(4, 48)).astype(np.float32)
    folder = tmp_path_factory.mktemp("dense")
    for number in range(4):
        shards.write_shard(
            folder / f"embeddings-0000{number}.npy", shards.pack(vectors[30 * number : 30 * number + 30])
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK_BYTES", 50 * 48 * 4)
        rows, scores = exact.exact_search(shards.Shards(folder, 48), asked, k)
    expected_rows, expected_scores = truth(vectors, asked, k)
    assert rows.tolist() == expected_rows.tolist()
    assert scores.tolist() == expected_scores.tolist()


def test_equal_passages_beyond_the_candidates_are_all_looked_at(tmp_path):
    """With more copies than candidates only the second pass can know the lowest rows."""
    vectors = np.ones((500, 8), np.float32)
    vectors[:100] = 0.5
    encoder, passages, queries = world(vectors, np.ones((3, 8), np.float32))
    DenseIndex.build(passages, encoder, tmp_path)
    rows, scores = DenseIndex(tmp_path, encoder).search(queries, 5)
    assert rows.tolist() == [[100, 101, 102, 103, 104]] * 3 and (scores == 8).all()


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_float32_scores_keep_within_their_bound(device):
    """ "cpu" is faiss, "cpu:0" is torch."""
    random = np.random.default_rng(5)
    block = random.normal(size=(400, 96)).astype(np.float32)
    vectors = (10.0 ** random.uniform(-3, 3, (30, 1)) * random.normal(size=(30, 96))).astype(np.float32)
    near, rows = nearest(vectors, device)(block, 7)
    exact_scores = np.einsum("id,ijd->ij", vectors.astype(np.float64), block[rows].astype(np.float64))
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bound = error_bound(96, norms, np.linalg.norm(block, axis=1).max())
    assert (np.abs(near - exact_scores) <= bound[:, None]).all()
    left_out = np.sort(vectors @ block.T, axis=1)[:, :-7]
    assert (left_out <= near.min(axis=1, keepdims=True) + 2 * bound[:, None]).all()


def test_search_depends_neither_on_the_block_of_queries_nor_on_the_device(tmp_path):
    random = np.random.default_rng(0)
    encoder, passages, queries = world(
        random.normal(size=(300, 32)).astype(np.float32), random.normal(size=(40, 32)).astype(np.float32)
    )
    DenseIndex.build(passages, encoder, tmp_path)
    index = DenseIndex(tmp_path, encoder)
    rows, scores = index.search(queries, 5)
    for number, query in enumerate(queries):
        one_row, one_score = index.search([query], 5)
        assert one_row[0].tolist() == rows[number].tolist()
        assert one_score.tobytes() == scores[number].tobytes()
    index.device = "cpu:0"  # through torch
    again = index.search(queries, 5)
    assert again[0].tobytes() == rows.tobytes() and again[1].tobytes() == scores.tobytes()


def test_torch_is_not_imported_without_a_gpu(tmp_path):
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from retrieval_cache import device; from retrieval_cache.dense import exact\n"
        "from retrieval_cache.dense.shards import Shards, pack, write_shard\n"
        "device._DRIVERS = (); folder = Path(sys.argv[1])\n"
        "write_shard(folder / 'embeddings-00000.npy', pack(np.eye(3)))\n"
        "exact.exact_search(Shards(folder, 3), np.eye(3, dtype=np.float32), 2, device.best_device())\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_zero_query_has_no_hits(tmp_path):
    encoder, passages, queries = world(np.eye(3, dtype=np.float32), np.zeros((1, 3), np.float32))
    DenseIndex.build(passages, encoder, tmp_path)
    rows, scores = DenseIndex(tmp_path, encoder).search(queries, 2)
    assert rows.tolist() == [[-1, -1]] and np.isnan(scores).all()


def test_finished_shards_are_kept_and_broken_ones_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 4)
    encoder, passages, _ = world(np.eye(10, dtype=np.float32), np.eye(10, dtype=np.float32))
    names = DenseIndex.build(passages, encoder, tmp_path)
    assert names == [f"embeddings-0000{i}.npy" for i in range(3)] and encoder.calls == 10
    whole = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).write_bytes(whole[:-8])
    with pytest.warns(UserWarning, match=f"embedding its passages again, because .*{names[1]} was changed"):
        DenseIndex.build(passages, encoder, tmp_path)
    assert encoder.calls == 14 and (tmp_path / names[1]).read_bytes() == whole
    (tmp_path / names[2]).write_bytes(b"")
    with pytest.raises(CacheCorrupt, match=names[2]):
        DenseIndex(tmp_path, encoder)


def test_a_shard_with_a_flipped_bit_anywhere_is_not_taken_for_a_whole_one(tmp_path):
    path = tmp_path / "embeddings-00000.npy"
    shards.write_shard(path, shards.pack(np.eye(4)))
    assert shards.is_shard(path, 4, 4) and not shards.is_shard(path, 4, 5)
    whole = path.read_bytes()
    for place, bit in product(range(len(whole)), range(8)):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        assert not shards.is_shard(path, 4, 4), place


def test_vectors_that_would_poison_the_index_are_refused(tmp_path):
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 1] = np.nan
    encoder, passages, _ = world(vectors, vectors)
    with pytest.raises(CorpusError, match="NaN or infinity for passage 'p1'"):
        DenseIndex.build(passages, encoder, tmp_path)


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_packed_vectors_err_by_a_step_at_most_and_are_kept_from_then_on(vectors):
    vectors = np.array(vectors, np.float32)
    once = kept(vectors)
    # The smallest power of two that may be a step is 2^-126.
    bound = np.maximum(np.abs(vectors.astype(np.float64)).max(axis=1) * 2.0**-15, 2.0**-127)
    assert (np.abs(once.astype(np.float64) - vectors) <= bound[:, None]).all()
    assert kept(once).tobytes() == once.tobytes()
    assert shards.pack(once).dtype == np.int16


def test_small_integers_are_kept_exactly():
    vectors = np.random.default_rng(0).integers(-9, 10, (50, 7)).astype(np.float32)
    assert (kept(vectors) == vectors).all()


def test_a_shard_that_is_cut_off_while_it_is_searched_is_refused(tmp_path):
    shards.write_shard(tmp_path / "embeddings-00000.npy", shards.pack(np.eye(6)))
    opened = shards.Shards(tmp_path, 6)
    path = tmp_path / "embeddings-00000.npy"
    path.write_bytes(path.read_bytes()[:-36])  # the checksum, and two numbers
    with pytest.raises(CacheCorrupt, match="does not hold 16-bit vectors of 6"):
        exact.exact_search(opened, np.eye(6, dtype=np.float32), 2)


def test_blocks_and_rows_are_read_as_written(tmp_path):
    vectors = np.arange(44, dtype=np.float32).reshape(11, 4)
    for number, start in enumerate(range(0, 11, 3)):
        shards.write_shard(tmp_path / f"embeddings-0000{number}.npy", shards.pack(vectors[start : start + 3]))
    opened = shards.Shards(tmp_path, 4)
    assert len(opened) == 11
    for max_rows, firsts in ((1, [0, 3, 6, 9]), (6, [0, 6]), (8, [0, 6]), (100, [0])):
        read = [(first, block.copy()) for first, block in opened.blocks(max_rows)]
        assert [first for first, _ in read] == firsts
        assert shards.unpack(np.concatenate([block for _, block in read])).tobytes() == vectors.tobytes()
    wanted = np.array([2, 9, 10])
    assert [first for first, _ in opened.blocks(3, wanted)] == [0, 9]
    assert opened.take(wanted, 3).tolist() == vectors[wanted].tolist()
