"""What the tests of Ray do to each of its workers before it works."""

from __future__ import annotations

import os
import signal
import time

import ray

from retrieval_cache import ray_worker, retrievers, searches
from retrieval_cache.dense import embed, shards


def prepare() -> None:
    """Units of as many passages or queries as a file `unit` beside the cache root says.

    The first worker to see a file `die-<kind>` there kills itself, each that sees a folder `die-<kind>` does, and
    where there is a folder `fail-<kind>` each raises an error that is not ours. Where there is a folder
    `both-<kind>`, none makes a unit before workers of two nodes are there.
    """
    for work in (ray_worker.EmbeddingWork, ray_worker.SearchWork):
        work.units = _small(work.units)
    ray_worker.TRIES = 2
    for kind, unit in (("shard", embed.EmbeddingShard), ("part", searches.PartOfHits)):
        unit.make = _dying(kind, unit.make)


def _small(units):
    def made(work):
        shards.SHARD_ROWS = retrievers.DenseRetriever.query_block = int((work.root.parent / "unit").read_text())
        return units(work)

    return made


def _dying(kind, make):
    def made(unit, advance):
        # <root>/indexes/<key>/… and <root>/hits/mini/test/<key>/…
        for folder in unit.path.parents[2:6]:
            try:
                _meet(folder / f"both-{kind}")
                if (folder / f"fail-{kind}").is_dir():
                    raise RuntimeError("out of order")
                if not (folder / f"die-{kind}").is_dir():
                    (folder / f"die-{kind}").unlink()
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        make(unit, advance)

    return made


def _meet(folder):
    if folder.is_dir():
        (folder / ray.get_runtime_context().get_node_id()).touch()
        until = time.monotonic() + 120
        while len(list(folder.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
