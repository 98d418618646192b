"""Query shards: built apart, on one root or several, they become the cache of an undivided build."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval_cache import (
    CacheCorrupt,
    CacheIncomplete,
    CacheMissing,
    Shard,
    build_cache,
    build_shard,
    find_cache,
    merge_cache,
    retrievers,
    searches,
    verify,
)
from retrieval_cache.store import parts


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for retriever in (retrievers.Bm25Retriever, retrievers.DenseRetriever):
        monkeypatch.setattr(retriever, "query_block", 2)


@pytest.fixture
def whole(world, tree):
    """The files of an undivided build."""

    def files(name: str = "bm25") -> dict[str, bytes]:
        root = world.root.parent / f"whole-{name}"
        build_cache(world.spec(name), world.queries, root)
        return tree(root)

    return files


def shard(world, number: int, count: int, root: Path | None = None, name: str = "bm25", say=lambda line: None):
    return build_shard(world.spec(name), world.queries, root or world.root, Shard(number, count), say)


@pytest.mark.parametrize("name", ["bm25", "pixel"])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_shards_on_one_root_then_merged(world, tree, whole, name, count):
    counts = [shard(world, number, count, name=name) for number in range(count, 0, -1)]
    assert sum(searched for searched, _ in counts) == 8 == counts[0][1]
    assert not list(world.root.rglob("manifest.json"))
    cache = merge_cache(world.spec(name), world.queries, world.root)
    assert verify(cache.folder) == [] and tree(world.root) == whole(name)
    assert find_cache(world.root, world.wanted(name)).key == cache.key


def test_a_plain_build_finishes_from_the_parts_and_searches_only_what_is_missing(world, tree, whole, monkeypatch):
    for number in (1, 3, 4):
        shard(world, number, 4)
    searched = []
    searcher = type(searches.Searches(world.queries, [], np.arange(8)))
    real = searcher.units

    def counting(self, blocks, hits, into, open_index, say):
        def opened():
            index = open_index()

            class Counting:
                def search(self, queries, k):
                    searched.extend(query.id for query in queries)
                    return index.search(queries, k)

            return Counting()

        return real(self, blocks, hits, into, opened, say)

    monkeypatch.setattr(searcher, "units", counting)
    build_cache(world.spec(), world.queries, world.root)
    assert searched == ["q2", "q3"]
    assert tree(world.root) == whole()


def test_shards_of_other_roots_are_merged_and_what_is_missing_is_named(world, tree, whole, tmp_path):
    roots = [tmp_path / f"machine{number}" for number in range(4)]
    for number in (1, 2, 4):
        shard(world, number, 4, roots[number - 1])
    with pytest.raises(CacheIncomplete, match=r"1 of 4 blocks .* searches 5–6 of 8\.") as caught:
        merge_cache(world.spec(), world.queries, world.root, [roots[0], roots[1], roots[3]])
    assert "--shard" in caught.value.fix
    shutil.rmtree(roots[0])  # what was taken is kept
    shard(world, 3, 4, roots[2])
    merge_cache(world.spec(), world.queries, world.root, roots[2:3])
    assert tree(world.root) == whole()


def test_merging_copies_passages_and_index_and_makes_neither(world, tree, whole, tmp_path, monkeypatch):
    other = tmp_path / "other"
    shard(world, 1, 1, other, "pixel")
    lines = []
    merge_cache(world.spec("pixel"), world.queries, world.root, [other], lines.append)
    assert not any("cutting" in line for line in lines) and sum("copying" in line for line in lines) == 2
    assert tree(world.root) == whole("pixel")


def test_a_damaged_source_is_not_copied_but_made_here(world, tree, whole, tmp_path):
    other = tmp_path / "other"
    shard(world, 1, 1, other)
    passages = next((other / "passages").rglob("*.arrow"))
    passages.write_bytes(passages.read_bytes()[:-1])
    merge_cache(world.spec(), world.queries, world.root, [other])
    assert tree(world.root) == whole()


def test_a_source_that_is_no_folder(world, tmp_path):
    with pytest.raises(CacheMissing, match="no cache folder"):
        merge_cache(world.spec(), world.queries, world.root, [tmp_path / "nowhere"])


def test_nothing_is_searched_for_a_finished_cache(world, tree):
    world.build()
    before, lines = tree(world.root), []
    shard(world, 1, 2, say=lines.append)
    assert tree(world.root) == before and "finished already" in lines[-1]


@pytest.mark.parametrize("number, count", [(0, 3), (4, 3), (1, 0)])
def test_shards_that_do_not_exist(number, count):
    with pytest.raises(ValueError, match="there is no shard"):
        Shard(number, count)


@given(st.integers(1, 40), st.integers(1, 50))
def test_shards_are_all_blocks_once_and_in_order(blocks, count):
    parted = [Shard(number, count).of(range(blocks)) for number in range(1, count + 1)]
    assert [block for part in parted for block in part] == list(range(blocks))
    assert max(map(len, parted)) - min(map(len, parted)) <= 1


def test_a_flipped_bit_in_a_part_costs_that_part_alone(world, tree, whole):
    for number in range(1, 5):
        shard(world, number, 4)
    files = list(parts.part_paths(next(world.root.glob("hits/*/*/*"))))
    damaged = files[2]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 16
    damaged.write_bytes(content)
    lines = []
    with pytest.raises(CacheIncomplete, match="searches 5–6 of 8"):
        merge_cache(world.spec(), world.queries, world.root, progress=lines.append)
    assert sum("searching again, because" in line and damaged.name in line for line in lines) == 1
    build_cache(world.spec(), world.queries, world.root)
    assert tree(world.root) == whole()


BLOCK = parts.Block("b" * 64, 4, 6, 9, "a" * 64, 3, 50)
FOUND = (np.array([[1, 2, 3], [49, 0, -1]], np.int32), np.array([[3, 2, 1], [2, 1, np.nan]], np.float32))


def test_no_flipped_bit_of_a_part_changes_what_is_read(tmp_path):
    path = tmp_path / BLOCK.name
    parts.write_part(path, BLOCK, FOUND)
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(CacheCorrupt):
            parts.read_part(path, BLOCK)


@given(st.integers(0, 3000), st.binary(max_size=40))
def test_no_bytes_read_as_a_part_by_accident(tmp_path_factory, cut, more):
    path = tmp_path_factory.mktemp("part") / BLOCK.name
    parts.write_part(path, BLOCK, FOUND)
    content = path.read_bytes()[:cut] + more
    if content == path.read_bytes():
        return
    path.write_bytes(content)
    with pytest.raises(CacheCorrupt):
        parts.read_part(path, BLOCK)


@given(st.data())
def test_a_part_is_read_as_it_was_written(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("part") / "part"
    count, k = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    block = parts.Block("b" * 64, 0, count, count, "a" * 64, k, 2**31 - 1)
    values = st.integers(-1, 2**31 - 2), st.floats(width=32)
    rows, scores = (
        np.array(data.draw(st.lists(value, min_size=count * k, max_size=count * k)), kind).reshape(count, k)
        for value, kind in zip(values, (np.int32, np.float32), strict=True)
    )
    parts.write_part(path, block, (rows, scores))
    found = parts.read_part(path, block)
    assert np.array_equal(found[0], rows) and found[1].tobytes() == scores.tobytes()


@pytest.mark.parametrize(
    "other", [{"build": "c" * 64}, {"start": 3}, {"of": 10}, {"asked": "c" * 64}, {"k": 2}, {"passages": 40}]
)
def test_a_part_of_something_else_is_refused(tmp_path, other):
    path = tmp_path / BLOCK.name
    parts.write_part(path, BLOCK, FOUND)
    with pytest.raises(CacheCorrupt, match="a part of something else"):
        parts.read_part(path, replace(BLOCK, **other))


def test_rows_that_do_not_exist_are_refused(tmp_path):
    path = tmp_path / BLOCK.name
    parts.write_part(path, replace(BLOCK, passages=49), FOUND)
    with pytest.raises(CacheCorrupt, match="passages that do not exist"):
        parts.read_part(path, replace(BLOCK, passages=49))


def test_progress_of_a_build_is_counted_from_its_parts(world):
    for number in (1, 4):
        shard(world, number, 4)
    folder = next(world.root.glob("hits/*/*/*"))
    assert parts.searched(folder) == (4, 8)
    next(parts.part_paths(folder)).write_bytes(b"half of")
    assert parts.searched(folder) == (2, 8)
    assert parts.searched(world.root) == (0, 0)
