"""Runs made by several processes, for large corpora.

Each process reads its share of the blocks from the passages file and writes
their runs. They only go ahead of the build: what one of them could not do, the
build does itself, and meets the error itself. Plain subprocesses, because
`multiprocessing` would run the caller's main module again in each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retrieval_cache.estimate import available_memory
from retrieval_cache.parallel import cores
from retrieval_cache.records import CacheError
from retrieval_cache.sparse.layout import BLOCK
from retrieval_cache.sparse.runs import kept_run
from retrieval_cache.specs import passage_input
from retrieval_cache.store.passages import PassageTable

MEMORY, MEMORY_EACH = 600_000_000, 900_000_000
"""Bytes that a build was seen to take by itself, and in each of its processes."""


def processes(passages: int) -> int:
    """How many processes analyse so many passages: one per core and block, as far as memory reaches, and at least 1.

    The work of one is left to the build itself.
    """
    free = available_memory()
    fitting = cores() if free is None else (free - MEMORY) // MEMORY_EACH
    return max(1, min(cores(), fitting, -(-passages // BLOCK)))


def make_runs_in_processes(passages: PassageTable, folder: Path, params: Mapping[str, Any]) -> None:
    """Make the runs of all blocks with as many processes as `processes` says; nothing to do for one."""
    count = processes(len(passages))
    if count < 2:
        return
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "retrieval_cache.sparse.workers"]
    workers = []
    for number in range(count):
        job = json.dumps([str(passages.path.resolve()), str(folder.resolve()), dict(params), BLOCK, number, count])
        workers.append(
            subprocess.Popen([*command, job], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
    try:
        with tqdm(desc="analysing", unit=" passages", total=len(passages), delay=2, disable=None) as bar:
            watchers = [threading.Thread(target=_watch, args=(worker, bar)) for worker in workers]
            for watcher in watchers:
                watcher.start()
            for watcher in watchers:
                watcher.join()
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _watch(worker: subprocess.Popen, bar: tqdm) -> None:
    """A worker says a number of passages for each block that is done."""
    for line in worker.stdout or ():
        bar.update(int(line))


def main(job: str) -> None:
    """Make every `count`-th run, from `number` on."""
    # A worker whose parent was killed would write into a folder that another build has by now.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path, folder, params, size, number, count = json.loads(job)
    passages = PassageTable(Path(path))
    for block in range(number, -(-len(passages) // size), count):
        rows = passages.slice(block * size, (block + 1) * size)
        kept_run(Path(folder), block, [passage_input(params, row.title, row.text) for row in rows])
        passages.forget()
        print(len(rows), flush=True)


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written there: it returns when the other end is gone
    os._exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except CacheError:  # the build will do this block itself, meet the same error and tell it
        sys.exit(1)
