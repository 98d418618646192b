"""Approximate search: what it shares with exact search, and what is measured of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrieval_cache import CacheCorrupt, default_spec, find_cache, verify
from retrieval_cache.dense import exact, ivf
from retrieval_cache.dense.shards import Shards, pack, write_shard

PARAMS = {"nlist": 16, "nprobe": 3, "quantizer": "SQ8", "seed": 3}


def clustered(count, dim=24, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, dim))
    vectors = centres[random.integers(0, 20, count)] + 0.7 * random.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def shards(tmp_path):
    vectors = clustered(3000)
    for number in range(3):
        write_shard(tmp_path / f"embeddings-0000{number}.npy", pack(vectors[1000 * number : 1000 * number + 1000]))
    return Shards(tmp_path, 24)


@pytest.mark.parametrize("quantizer, least", [("SQ8", 0.6), ("PQ2", 0.15)])
def test_scores_are_exact_and_recall_is_what_is_said(shards, tmp_path, quantizer, least):
    params = {**PARAMS, "quantizer": quantizer}
    ivf.build_ivf(shards, tmp_path / ivf.FILE, params)
    index = ivf.IvfIndex(tmp_path / ivf.FILE, shards, params)
    asked = clustered(300, seed=1)
    rows, scores = index.search(asked, 5)
    assert scores.tobytes() == exact.pair_scores(shards, asked, rows.astype(np.int64)).astype(np.float32).tobytes()
    assert (np.diff(scores, axis=1) <= 0).all()
    true, _ = exact.exact_search(shards, asked, 5)
    recall = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(rows.tolist(), true.tolist(), strict=True)])
    assert index.recall(asked, 5, "cpu") == pytest.approx(recall)
    assert least <= recall < 1
    # The file takes what the estimate says, but for its head.
    assert (tmp_path / ivf.FILE).stat().st_size == pytest.approx(ivf.index_bytes(3000, 24, params), rel=0.05)


def test_looking_at_all_lists_finds_what_exact_search_finds(shards, tmp_path):
    params = {**PARAMS, "nprobe": 16}
    ivf.build_ivf(shards, tmp_path / ivf.FILE, params)
    asked = clustered(50, seed=1)
    assert ivf.IvfIndex(tmp_path / ivf.FILE, shards, params).recall(asked, 5, "cpu") > 0.99


def test_same_vectors_same_bytes_and_the_seed_counts(shards, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        ivf.build_ivf(shards, tmp_path / name, {**PARAMS, "seed": seed})
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_groups_of_queries_do_not_depend_on_the_block(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(ivf, "GROUP", 32)
    ivf.build_ivf(shards, tmp_path / ivf.FILE, PARAMS)
    index = ivf.IvfIndex(tmp_path / ivf.FILE, shards, PARAMS)
    asked = clustered(100, seed=1)
    asked[7] = 0
    whole = index.search(asked, 5)
    assert (whole[0][7] == -1).all() and np.isnan(whole[1][7]).all()
    parts = [index.search(asked[start : start + 64], 5) for start in (0, 64)]
    for number in range(2):
        assert np.concatenate([part[number] for part in parts]).tobytes() == whole[number].tobytes()


def test_a_file_that_is_not_this_index_is_refused(shards, tmp_path):
    path = tmp_path / ivf.FILE
    path.write_bytes(b"not an index")
    with pytest.raises(CacheCorrupt, match="faiss cannot read it"):
        ivf.IvfIndex(path, shards, PARAMS)
    ivf.build_ivf(shards, path, PARAMS)
    (tmp_path / "embeddings-00002.npy").unlink()
    with pytest.raises(CacheCorrupt, match="does not hold 2,000 passages"):
        ivf.IvfIndex(path, Shards(tmp_path, 24), PARAMS)


def test_quantizers_that_cannot_be_are_refused():
    for name in ("SQ4", "PQ5", "PQ0", "Flat", "PQ8,RFlat", "IVF3"):
        with pytest.raises(ValueError, match="quantizer is"):
            ivf.quantizer({"quantizer": name}, 24)


def test_a_build_shares_the_embeddings_and_tells_its_recall(world, tree):
    plain = world.build("pixel")
    chosen = default_spec("pixel", index="ivf", nprobe=1)
    cache = world.build("pixel", retriever=chosen)
    assert len(list((world.root / "indexes").iterdir())) == 2
    assert not list((world.root / "indexes").glob(f"*/{ivf.FILE}/embeddings*"))
    assert cache.manifest.measured == {"recall_at_3": 1.0, "recall_queries": 8}
    assert plain.manifest.measured == {} and verify(cache.folder) == []
    for query in world.queries:
        assert cache.ranking(query.id) == plain.ranking(query.id)
    # Chosen when building, so a reader that leaves the retriever open takes it.
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == cache.key
    with pytest.raises(ValueError, match="has no parameter nprobe"):
        default_spec("pixel", nprobe=1)
    with pytest.raises(ValueError, match="'exact' or 'ivf'"):
        default_spec("pixel", index="hnsw")


def test_lists_grow_with_the_corpus():
    params = {"nlist": 0, "nprobe": 0}
    assert ivf.sizes(8, params) == (1, 1)
    assert ivf.sizes(1_000_000, params) == (4096, 128)
    assert ivf.sizes(1_000_000, {"nlist": 100, "nprobe": 400}) == (100, 100)
