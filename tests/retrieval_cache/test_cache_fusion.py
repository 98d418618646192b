"""Reciprocal rank fusion, and the hybrid retriever over shared component indexes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache import BuildSpec, CacheMismatch, build_cache, default_spec, find_cache, retrievers, verify
from retrieval_cache.fusion import reciprocal_ranks
from retrieval_cache.ranking import NO_ROW
from retrieval_cache.retrievers import make_retriever
from retrieval_cache.specs import as_made_here, components

ranking = st.lists(st.integers(0, 30), unique=True, max_size=12)


def plain(rankings, k, rrf_k=60):
    """The formula as it is written, one query, in the order a person would compute it."""
    scores: dict[int, float] = defaultdict(float)
    for ranked in rankings:
        for rank, row in enumerate(ranked, start=1):
            scores[row] += 1 / (rrf_k + rank)
    scores = {row: np.float32(score) for row, score in scores.items()}
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def padded(rankings, depth=12):
    return np.array([[*ranked, *[NO_ROW] * (depth - len(ranked))] for ranked in rankings], np.int32)


@settings(max_examples=60)
@given(st.lists(st.tuples(ranking, ranking), min_size=1, max_size=5), st.integers(1, 30))
def test_fusion_is_the_formula(pairs, k):
    rows, scores = reciprocal_ranks([padded([a for a, _ in pairs]), padded([b for _, b in pairs])], k, 60)
    for pair, found, given_scores in zip(pairs, rows, scores, strict=True):
        expected = plain(pair, k)
        assert found[: len(expected)].tolist() == [row for row, _ in expected]
        assert given_scores[: len(expected)].tolist() == pytest.approx([score for _, score in expected], rel=1e-6)
        assert (found[len(expected) :] == NO_ROW).all() and np.isnan(given_scores[len(expected) :]).all()


def test_a_passage_of_both_rankings_beats_the_first_of_one():
    rows, scores = reciprocal_ranks([np.array([[7, 3]]), np.array([[5, 3]])], 3, 60)
    assert rows.tolist() == [[3, 5, 7]]  # 2/62, then the tie at 1/61 by row
    assert scores[0].tolist() == pytest.approx([2 / 62, 1 / 61, 1 / 61])


def test_component_indexes_are_shared_with_plain_builds(world, monkeypatch):
    world.build("bm25")
    world.build("pixel")
    before = sorted(path.name for path in (world.root / "indexes").iterdir())
    spec = default_spec("hybrid", dense="pixel")
    for name in ("Bm25Retriever", "DenseRetriever"):
        monkeypatch.setattr(getattr(retrievers, name), "build", None)  # calling it would fail
    cache = world.build("hybrid", retriever=spec)
    after = {path.name for path in (world.root / "indexes").iterdir()}
    assert after > set(before) and len(after) == 3  # the third holds nothing but its meta.json
    assert verify(cache.folder) == []
    assert [cache.hits(q)[0].article_id for q in world.queries] == [f"a{i}" for i in range(8)]


def test_the_hybrid_fuses_what_its_components_find(world):
    spec = default_spec("hybrid", dense="pixel", depth=4)
    hybrid = world.build("hybrid", retriever=spec)
    found = {part: world.build(part, k=4) for part in ("bm25", "pixel")}
    for query in world.queries:
        rankings = [[h.passage_id for h in cache.ranking(query.id) if h.score > 0] for cache in found.values()]
        rows = sorted({h for ranked in rankings for h in ranked}, key=lambda i: int(i[1 : i.index("-")]))
        expected = plain([[rows.index(h) for h in ranked] for ranked in rankings], 3)
        assert [hit.passage_id for hit in hybrid.ranking(query.id)] == [rows[row] for row, _ in expected]


def test_passages_that_no_term_speaks_for_are_not_fused(world):
    """BM25 fills up with passages of score 0; they must not gain from it."""
    asked = [replace(world.queries[0], text="zzz qqq")]
    spec = BuildSpec("mini", "test", world.corpus, default_spec("hybrid", dense="pixel"), world.image_root, k=3)
    cache = build_cache(spec, asked, world.root)
    only_dense = build_cache(replace(spec, retriever=default_spec("pixel")), asked, world.root)
    assert [h.passage_id for h in cache.ranking("q0")] == [h.passage_id for h in only_dense.ranking("q0")]


def test_the_spec_tells_all_about_its_components():
    spec = default_spec("hybrid", dense="pixel", **{"dense.text_weight": 0.5, "sparse.k1": 0.9})
    assert components(spec) == {
        "sparse": default_spec("bm25", k1=0.9), "dense": default_spec("pixel", text_weight=0.5)
    }  # fmt: skip
    assert default_spec("hybrid", **spec.params) == spec
    assert spec != default_spec("hybrid", dense="pixel")
    older = default_spec("hybrid", **{"sparse.revision": "okapi-0"})
    with pytest.raises(ValueError, match="is here at revision 'okapi-2'"):
        make_retriever(older)
    assert as_made_here(older) == default_spec("hybrid")
    with pytest.raises(ValueError, match="that are none themselves"):
        default_spec("hybrid", dense="hybrid")
    with pytest.raises(ValueError, match="no parameter rrf"):
        default_spec("hybrid", rrf=1)
    with pytest.raises(ValueError, match="'bm25' has no parameter k3"):
        default_spec("hybrid", **{"sparse.k3": 1})


def test_a_reader_that_leaves_the_retriever_open_takes_other_components(world):
    chosen = world.build("hybrid", retriever=default_spec("hybrid", dense="pixel"))
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == chosen.key
    world.root = world.root.parent / "other"
    build_cache(
        world.spec("hybrid", retriever=default_spec("hybrid", dense="pixel", rrf_k=10)), world.queries, world.root
    )
    with pytest.raises(CacheMismatch, match="rrf_k: cache 10, task 60"):
        find_cache(world.root, replace(world.wanted(), retriever=None))
