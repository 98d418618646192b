"""Builds that are killed (SIGKILL) at random moments and started again end as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import retrieval_cache
from retrieval_cache import merge_cache, retrievers

MOMENTS = 20

# Imports everything, loads tokenizer and compiled code by a build of its own, and then forks a process for each
# line it reads: what is killed is a build, not the start of a Python.
SERVER = """
import json, os, sys, traceback
from pathlib import Path
from tqdm import tqdm
tqdm.monitor_interval = 0  # its thread may hold a lock when a child is forked, which then waits for ever
from retrieval_cache import BuildSpec, Query, Shard, build_cache, build_shard, default_spec, retrievers
from retrieval_cache.dense import index, shards
from retrieval_cache.encoders import pixel
world = json.loads(sys.argv[1])
queries = [Query(i, t, m, Path(p)) for i, t, m, p in world["queries"]]

def build(retriever, root, shard):
    spec = BuildSpec("mini", "test", Path(world["corpus"]), default_spec(retriever), Path(world["image_root"]), k=3)
    if shard:
        build_shard(spec, queries, Path(root), Shard(*shard))
    else:
        build_cache(spec, queries, Path(root))

retrievers.Bm25Retriever.query_block = retrievers.DenseRetriever.query_block = 1
shards.SHARD_ROWS = 2
build("bm25", world["warm"], None)
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            build(**json.loads(line))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def run(world, tmp_path):
    """Run a build to its end, or kill it after some seconds; returns the seconds it took and its exit code."""
    told = {
        "corpus": str(world.corpus), "image_root": str(world.image_root), "warm": str(tmp_path / "warm"),
        "queries": [[q.id, q.text, q.image_id, str(q.image_path)] for q in world.queries],
    }  # fmt: skip
    package = Path(retrieval_cache.__file__).parents[1]
    command = [sys.executable, "-c", SERVER, json.dumps(told)]
    # No thread may hold a lock when a child is forked, which would then wait for ever: neither one of a pool nor
    # that of Arrow's allocator.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=package, env=environment, text=True, **pipes) as server:

        def start(retriever, root, seconds=None, shard=None):
            print(
                json.dumps({"retriever": retriever, "root": str(root), "shard": shard}), file=server.stdin, flush=True
            )
            child, began = int(server.stdout.readline()), time.monotonic()
            if seconds is not None:
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):  # it was done before
                    os.kill(child, signal.SIGKILL)
            code = int(server.stdout.readline())
            return time.monotonic() - began, code

        yield start
        server.stdin.close()


@pytest.mark.parametrize("name", ["bm25", "pixel"])
def test_a_build_killed_at_random_moments_resumes_to_the_same_bytes(run, tree, tmp_path, name):
    seconds, code = run(name, tmp_path / "whole")
    assert code == 0
    whole = tree(tmp_path / "whole")
    chance = random.Random(f"{name} 1")
    killed = 0
    for moment in range(MOMENTS // 2):
        root = tmp_path / f"killed{moment}"
        for _ in range(1 + moment % 2):  # every other one twice
            killed += run(name, root, chance.uniform(0, 0.9 * seconds))[1] == -signal.SIGKILL
        assert run(name, root)[1] == 0
        assert tree(root) == whole, f"killed at moment {moment}"
    assert killed >= MOMENTS // 4  # else they were done before


def test_shards_killed_at_random_moments_merge_to_the_same_bytes(world, run, tree, tmp_path, monkeypatch):
    monkeypatch.setattr(retrievers.Bm25Retriever, "query_block", 1)
    run("bm25", tmp_path / "whole")
    seconds, _ = run("bm25", tmp_path / "timed", shard=[1, 2])
    chance = random.Random(2)
    for moment in range(4):
        root = tmp_path / f"killed{moment}"
        run("bm25", root, chance.uniform(0, 0.9 * seconds), [1, 2])
        assert run("bm25", root, shard=[1, 2])[1] == run("bm25", root, shard=[2, 2])[1] == 0
        merge_cache(world.spec("bm25"), world.queries, root)
        assert tree(root) == tree(tmp_path / "whole")
