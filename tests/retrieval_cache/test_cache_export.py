"""Exports: caches that stand alone, and TREC runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval_cache import (
    CacheCorrupt,
    CacheMismatch,
    Hit,
    Query,
    build_cache,
    export_cache,
    find_cache,
    verify,
    write_trec_run,
)
from retrieval_cache.store import export as export_module


@pytest.fixture(params=["bm25", "pixel"])
def cache(request, world):
    """Two passages for each of three questions, of eight passages in all."""
    world.queries[:] = world.queries[2:5]
    return world.build(request.param, k=2)


def test_an_export_gives_the_same_hits_from_fewer_passages(world, cache, tmp_path):
    out = tmp_path / "out"
    export_cache(cache, out)
    found = find_cache(out, replace(world.wanted(cache.manifest.retriever.name), k=2))
    assert found.key == cache.key and verify(found.folder) == []
    assert [found.hits(query) for query in world.queries] == [cache.hits(query) for query in world.queries]
    assert [found.ranking(query.id) for query in world.queries] == [cache.ranking(q.id) for q in world.queries]
    assert len(found.passages) == found.manifest.passages_here < len(cache.passages)
    assert not (out / "passages").exists() and not (out / "indexes").exists()


def test_exporting_again_and_from_an_export_changes_no_byte(world, cache, tree, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    exported = export_cache(cache, first)
    before = tree(first)
    export_cache(cache, first)
    export_cache(exported, second)
    assert tree(first) == tree(second) == before


def test_a_damaged_or_unfinished_export_is_written_again(world, cache, tree, tmp_path):
    exported = export_cache(cache, tmp_path / "out")
    before = tree(tmp_path / "out")
    path = exported.folder / "passages.arrow"
    path.write_bytes(path.read_bytes()[:-1])
    export_cache(cache, tmp_path / "out")
    assert tree(tmp_path / "out") == before
    (exported.folder / "manifest.json").unlink()
    export_cache(cache, tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_damaged_passages_are_not_exported(cache, tmp_path):
    path = cache.passages.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheCorrupt, match="was changed"):
        export_cache(cache, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.arrow"))


def test_the_cache_itself_is_not_replaced_by_its_export(world, cache, tree):
    before = tree(world.root)
    with pytest.raises(CacheMismatch, match="holds the cache that is to be exported"):
        export_cache(cache, world.root)
    assert tree(world.root) == before


def test_a_flipped_bit_in_an_export_is_found(cache, tmp_path):
    exported = export_cache(cache, tmp_path / "out")
    for name in ("hits.arrow", "passages.arrow"):
        path = exported.folder / name
        good = path.read_bytes()
        content = bytearray(good)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert any("was changed" in problem for problem in verify(exported.folder)), name
        path.write_bytes(good)


def test_a_trec_run_holds_the_rankings(cache, tmp_path):
    path = tmp_path / "run.txt"
    count = write_trec_run(cache, path)
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    assert len(lines) == count == 6
    expected = [(q, hit.passage_id, str(hit.rank)) for q in cache.query_ids() for hit in cache.ranking(q)]
    assert [(q, passage, rank) for q, _, passage, rank, _, _ in lines] == expected
    assert {(literal, tag) for _, literal, *_, tag in lines} == {("Q0", f"test-{cache.folder.name}")}
    assert not list(tmp_path.glob("*.tmp"))


class Rankings:
    """A cache of one query with scores of our choice."""

    def __init__(self, scores):
        self.found = [Hit(f"p{rank}", rank, float(score)) for rank, score in enumerate(scores, start=1)]

    def ranking(self, query_id):
        return self.found


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
def test_order_survives_printing_and_sorting_by_float32(scores):
    scores = sorted(scores, reverse=True)
    scores += scores[-1:] * 3  # ties
    ordered = list(export_module._ordered(Rankings(scores), "q"))
    printed = [np.float32(f"{score:.9g}") for _, _, score in ordered]
    assert all(a > b for a, b in pairwise(printed))
    assert np.allclose(printed, np.array(scores, np.float32), rtol=1e-4, atol=1e-4)


def test_ids_with_spaces_are_refused(world, tmp_path):
    cache = build_cache(world.spec(), [Query("a b", "lake")], world.root)
    with pytest.raises(CacheMismatch, match="the id 'a b' has spaces"):
        write_trec_run(cache, tmp_path / "run.txt")
    assert not list(tmp_path.glob("run*"))
