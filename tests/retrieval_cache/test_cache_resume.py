"""Builds that are stopped, wait for each other or find damage end as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

import retrieval_cache
from retrieval_cache import (
    CacheError,
    CacheMissing,
    CacheWriteError,
    build_cache,
    files,
    find_cache,
    retrievers,
    searches,
    verify,
)
from retrieval_cache.dense import shards
from retrieval_cache.encoders.pixel import PixelEncoder
from retrieval_cache.files import artefact_lock

PACKAGE = Path(retrieval_cache.__file__).parent

BUILDER = """
import json, sys
from pathlib import Path
from retrieval_cache import BuildSpec, Query, build_cache, default_spec, retrievers
from retrieval_cache.dense import shards
job = json.loads(sys.argv[1])
retrievers.Bm25Retriever.query_block = retrievers.DenseRetriever.query_block = shards.SHARD_ROWS = 2
queries = [Query(i, t, m, Path(p)) for i, t, m, p in job["queries"]]
spec = BuildSpec("mini", "test", Path(job["corpus"]), default_spec(job["retriever"]),
                 Path(job["image_root"]), k=3)
print("start", flush=True)
build_cache(spec, queries, Path(job["root"]), progress=lambda line: print(line, flush=True))
print("done", flush=True)
"""


def small_query_blocks(monkeypatch, queries: int) -> None:
    for retriever in (retrievers.Bm25Retriever, retrievers.DenseRetriever):
        monkeypatch.setattr(retriever, "query_block", queries)


def start(world, retriever: str, root: Path) -> subprocess.Popen:
    job = {
        "corpus": str(world.corpus), "image_root": str(world.image_root), "root": str(root),
        "retriever": retriever,
        "queries": [[q.id, q.text, q.image_id, str(q.image_path)] for q in world.queries],
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, json.dumps(job)], text=True, cwd=PACKAGE.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


class Killed(BaseException):
    """Stands for a process that dies at a chosen moment."""


@pytest.mark.parametrize("name", ["bm25", "pixel", "hybrid"])
def test_death_before_any_rename_loses_nothing_and_shows_nothing(world, tree, monkeypatch, name):
    """Die at the 1st, then at the 2nd, … file put in place, each time on top of what is left."""
    small_query_blocks(monkeypatch, 3)
    monkeypatch.setattr(shards, "SHARD_ROWS", 3)
    build_cache(world.spec(name), world.queries, world.root.parent / "whole")
    replace_file, allowed = os.replace, 0
    while True:
        left = iter(range(allowed))

        def dying(source, target, left=left):
            if next(left, None) is None:
                # A real kill would leave the temp file, which the exception lets atomic_file remove.
                Path(target).with_name(f"{Path(target).name}.half.tmp").write_bytes(b"half of i")
                raise Killed
            replace_file(source, target)

        monkeypatch.setattr(os, "replace", dying)
        try:
            world.build(name)
        except Killed:
            assert list(world.root.rglob("*.tmp"))
            if list(world.root.rglob("manifest.json")):  # all there but the note of the last build
                assert verify(find_cache(world.root, world.wanted(name)).folder) == []
            else:
                with pytest.raises(CacheError):
                    find_cache(world.root, world.wanted(name))
            allowed += 1
            continue
        break
    assert tree(world.root) == tree(world.root.parent / "whole")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_disk_full_or_read_only(world, tree, monkeypatch, code):
    build_cache(world.spec("pixel"), world.queries, world.root.parent / "whole")
    replace_file, done = os.replace, []

    def refusing(source, target):
        if len(done) == 3:
            raise OSError(code, os.strerror(code), str(target))
        done.append(target)
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(CacheWriteError, match=os.strerror(code)) as caught:
        world.build("pixel")
    assert str(world.root) in str(caught.value) and caught.value.fix
    assert not list(world.root.rglob("*.tmp"))
    with pytest.raises(CacheMissing):
        find_cache(world.root, world.wanted("pixel"))
    monkeypatch.setattr(os, "replace", replace_file)
    world.build("pixel")
    assert tree(world.root) == tree(world.root.parent / "whole")


def test_disk_that_fills_up_while_arrow_writes(world, monkeypatch):
    """/dev/full refuses every byte; pyarrow must not hide the reason."""
    real = os.fdopen

    def full(handle, mode):
        os.close(handle)
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(files.os, "fdopen", full)
    with pytest.raises(CacheWriteError, match="No space left on device"):
        world.build()
    monkeypatch.setattr(files.os, "fdopen", real)
    assert world.build()


def test_root_that_cannot_be_made(world, monkeypatch):
    world.root.write_text("a file is in the way")
    with pytest.raises(CacheWriteError, match="cannot write"):
        world.build()


def test_a_finished_cache_on_a_read_only_disk_is_just_opened(world, monkeypatch):
    world.build()

    def refused(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("replace", "unlink", "mkdir", "chmod"):
        monkeypatch.setattr(os, name, refused)
    assert world.build().hits(world.queries[0])


def test_two_builders_at_once(world, tree, tmp_path):
    root = tmp_path / "both"
    builders = [start(world, "pixel", root) for _ in range(2)]
    outputs = [builder.communicate() for builder in builders]
    assert all("done" in out for out, _ in outputs), outputs
    one = start(world, "pixel", tmp_path / "one")
    one.communicate()
    assert tree(root) == tree(tmp_path / "one")


def test_a_waiting_builder_says_so(world):
    folder, lines = world.root / "hits" / "x", []

    def second():
        with artefact_lock(world.root, folder, lines.append):
            lines.append("in")

    with artefact_lock(world.root, folder, lines.append):
        thread = Thread(target=second)
        thread.start()
        for _ in range(100):
            if lines:
                break
            time.sleep(0.02)
        assert len(lines) == 1 and "another build is making" in lines[0]
    thread.join(10)
    assert lines[1:] == ["in"]


@pytest.mark.parametrize("kind", ["passages", "indexes", "hits"])
def test_a_flipped_bit_is_found_and_made_again(world, tree, kind):
    world.build("pixel")
    good = tree(world.root)
    for path in sorted((world.root / kind).rglob("*")):
        if path.suffix in (".arrow", ".npy"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 4
            path.write_bytes(content)
    if kind == "indexes":  # only looked at when hits are to be made
        for path in (world.root / "hits").rglob("manifest.json"):
            path.unlink()
    world.build("pixel")
    assert tree(world.root) == good


def test_a_flipped_bit_in_a_shard_of_an_unfinished_index_costs_that_shard_alone(world, tree, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 3)
    world.build("pixel")
    good = tree(world.root)
    for path in [*world.root.rglob("meta.json"), *world.root.rglob("manifest.json")]:
        path.unlink()
    path = min(world.root.rglob("embeddings-*.npy"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    embedded, encode = [], PixelEncoder.encode_passages
    monkeypatch.setattr(PixelEncoder, "encode_passages", lambda *of: embedded.append(len(of[1])) or encode(*of))
    with pytest.warns(UserWarning, match=f"embedding its passages again, because {path} was changed"):
        world.build("pixel")
    assert sum(embedded) == 3
    assert tree(world.root) == good


@pytest.mark.parametrize("shared_first", [True, False])
def test_a_part_is_never_taken_for_other_searches(world, tree, monkeypatch, shared_first):
    """q0 to q3 bring one picture: in one file before the kill and in four after it, or the other way round."""
    picture = world.queries[0].image_path
    copies = [picture.with_name(f"copy{i}.png") for i in range(4)]
    for copy in copies:
        copy.write_bytes(picture.read_bytes())
    same = [replace(query, text="one and the same") for query in world.queries[:4]]
    alone = [replace(q, image_path=picture) for q in same] + world.queries[4:]
    apart = [replace(q, image_path=copy) for q, copy in zip(same, copies, strict=True)] + world.queries[4:]
    before, after = (alone, apart) if shared_first else (apart, alone)
    small_query_blocks(monkeypatch, 3)
    write_part = searches.write_part

    def dying(*arguments):
        write_part(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(searches, "write_part", dying)
        with pytest.raises(Killed):
            build_cache(world.spec("pixel"), before, world.root)
    assert len(list(world.root.rglob("part-*.hits"))) == 1
    build_cache(world.spec("pixel"), after, world.root)
    build_cache(world.spec("pixel"), after, world.root.parent / "clean")
    assert tree(world.root) == tree(world.root.parent / "clean")
