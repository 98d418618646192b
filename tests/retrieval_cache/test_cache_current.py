"""Changed questions and pictures: the advised build mends it, the last build wins."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval_cache import (
    CacheCorrupt,
    CacheMismatch,
    CorpusError,
    build_cache,
    default_spec,
    find_cache,
    list_caches,
    verify,
)
from retrieval_cache.store import cache as cache_module


def find(world, **other):
    return find_cache(world.root, world.wanted(**other))


def note(world) -> Path:
    return world.root / "hits/mini/test/current.json"


def test_after_a_changed_question_the_advised_build_helps_and_so_does_the_way_back(world):
    first = world.build()
    asked = world.queries[0]
    world.queries[0] = replace(asked, text="Where do Finns throw water?")
    with pytest.raises(CacheMismatch, match="made for other data"):
        find(world).hits(world.queries[0])
    second = world.build()
    assert find(world).key == second.key != first.key
    assert find(world).hits(world.queries[0])[0].title == "Sauna"

    with pytest.raises(CacheMismatch, match="made for other data"):
        find(world).hits(asked)
    world.queries[0] = asked
    assert world.build().key == first.key  # nothing is left to make, and yet it is the last build
    assert find(world).hits(asked)[0].title == "Rendang"


def test_each_retriever_chunker_and_k_has_its_own_last_build(world):
    others = [{"k": 2}, {"retriever": default_spec("bm25", k1=0.9)}]
    for other in others:
        world.build(**other)
    world.build()
    world.queries.pop()
    wanted = [world.build(**other).key for other in others]
    last = world.build()
    assert len(list_caches(world.root)) == 6
    assert [find(world, **other).key for other in others] == wanted
    assert find(world).key == last.key


def test_several_that_fit_and_no_note_are_refused_with_advice_that_works(world):
    first = world.build()
    whole, world.queries[:] = list(world.queries), world.queries[1:]
    world.build()
    for content in (None, "{}"):
        note(world).unlink()
        if content:
            note(world).write_text(content)
        with pytest.raises(CacheMismatch, match=r"2 caches .* fit equally.*Build it again, the last build is used"):
            find(world)
        build_cache(world.spec(), whole, world.root)
        assert find(world).key == first.key


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "b"}', '{"a": {}}', "[" * 100_000, "\udc80"])
def test_a_note_that_cannot_be_read(world, content):
    world.build()
    world.queries.pop()
    note(world).write_text(content, errors="surrogateescape")
    assert find(world)  # one alone needs no note
    note(world).unlink()
    last = world.build()
    note(world).write_text(content, errors="surrogateescape")
    with pytest.raises(CacheCorrupt, match=r"current\.json.*Build the cache again"):
        find(world)
    entries = list_caches(world.root)
    assert len(entries) == 2 and not any(verify(entry.folder) for entry in entries)
    world.build()
    assert find(world).key == last.key


def test_a_note_that_cannot_be_written_does_not_stop_a_finished_cache(world, monkeypatch):
    built = world.build()
    note(world).unlink()

    def refused(*args):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", refused)
    lines = []
    assert build_cache(world.spec(), world.queries, world.root, lines.append).key == built.key
    assert any("not noted as the last build" in line and "Read-only" in line for line in lines)


def test_a_picture_that_changed_under_its_name_is_noticed(world, draw):
    world.build("pixel")
    query = world.queries[3]
    cache = find(world, name="pixel")
    assert cache.hits(query) and verify(cache.folder) == []
    draw(query.image_path, 17)
    with pytest.raises(CacheMismatch, match=r"the picture .*3\.png of query 'q3' has changed since") as caught:
        find_cache(world.root, world.wanted("pixel"), fix="Build it.").hits(query)
    assert str(caught.value).endswith("Build it.")
    world.build("pixel")
    assert find(world, name="pixel").hits(query)


def test_pictures_are_compared_only_where_both_sides_have_one(world, draw):
    world.queries[5] = replace(world.queries[5], image_id=None, image_path=None)
    world.build("pixel")
    world.build("bm25")
    query = world.queries[3]
    draw(query.image_path, 17)
    assert find(world, name="bm25").hits(query)  # it never looked at the picture
    cache = find(world, name="pixel")
    assert cache.hits(world.queries[5])
    assert cache.hits(replace(query, image_path=None))
    assert cache.hits(replace(query, image_path=query.image_path.with_name("gone.png")))


def test_each_picture_is_read_once_by_all_threads(world, monkeypatch):
    world.build("pixel")
    cache, read = find(world, name="pixel"), []
    real = cache_module.picture_sha256
    monkeypatch.setattr(cache_module, "picture_sha256", lambda path: read.append(path) or real(path))
    alone = [cache.hits(query) for query in world.queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(cache.hits, world.queries * 10)) == alone * 10
    assert sorted(read) == sorted(query.image_path for query in world.queries)


def test_a_picture_that_cannot_be_read_is_named(world, monkeypatch):
    world.build("pixel")
    cache = find(world, name="pixel")
    real = Path.open

    def closed(path, *args, **kwargs):
        if path.suffix == ".png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(CorpusError, match=r"0\.png cannot be read"):
        cache.hits(world.queries[0])


def test_a_reader_that_leaves_the_retriever_open_gets_the_last_build_of_any(world):
    ours = world.build()
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == ours.key
    other = world.build(retriever=default_spec("pixel"))
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == other.key
    assert find(world).key == ours.key
    world.build()
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == ours.key
    strange = default_spec("bm25", k1=0.9)
    made = world.build(retriever=strange)
    with pytest.raises(CacheMismatch, match="made for something else"):
        find_cache(world.root, replace(world.wanted(), retriever=None, key=made.key))
