"""What all benchmarks share: a call in a process of its own, and results on disk.

A benchmark is a module run by `python -m benchmarks.<name>`. It prints its
table and calls `save`, which writes `benchmarks/results/<name>.json`;
`python -m benchmarks.table` puts all results into the README.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from retrieval_cache.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("M4RAG_SHARED", ROOT.parent / "shared")) / "data"


@dataclass(frozen=True)
class Row:
    """One line of a result table, all cells as they are printed.

    `what` is measured; `ours` and `other` are both measured in this run; `other_name`
    says what is compared with; `ratio` is ours against it, `wanted` the aim.
    """

    what: str
    ours: str
    other_name: str = ""
    other: str = ""
    ratio: str = ""
    wanted: str = ""
    met: bool | None = None


def apart(function: str, *arguments: Any, threads: int | None = None) -> Any:
    """Call "module:name" in a fresh process; returns its JSON result.

    A dict gets "peak_bytes", the highest resident memory of that process, added.
    Raises RuntimeError with what the process wrote if it fails.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        job = json.dumps([function, arguments, str(answer)])
        command = [sys.executable, "-m", "benchmarks.common", job]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{function} failed with exit code {done.returncode}:\n{done.stderr[-4000:]}")
        return json.loads(answer.read_text())


@contextmanager
def memory_together() -> Iterator[list[int]]:
    """While open: the resident memory of this process and all its children, added up, is noted ten times a second.

    Pages of files that several of them have mapped count once for each.
    """
    import psutil

    own, noted, over = psutil.Process(), [], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            together = own.memory_info().rss
            for child in own.children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # it ended meanwhile
                    together += child.memory_info().rss
            noted.append(together)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield noted
    finally:
        over.set()
        watcher.join()


def save(name: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Write the result of one benchmark and print it."""
    write_json(
        RESULTS / f"{name}.json",
        {"title": title, "machine": machine(), "rows": [asdict(row) for row in rows], "notes": list(notes)},
    )
    print(f"\n{title}")
    for row in rows:
        beside = f" | {row.other_name}: {row.other} | {row.ratio}" if row.other_name else ""
        mark = {None: "", True: " | met", False: " | MISSED"}[row.met]
        print(f"  {row.what}: {row.ours}{beside}{f' | wanted {row.wanted}' if row.wanted else ''}{mark}")
    for note in notes:
        print(f"  note: {note}")


def machine() -> str:
    """The machine in a few words: cores, memory, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def _run(job: str) -> None:
    import resource

    function, arguments, answer = json.loads(job)
    module, name = function.split(":")
    result = getattr(import_module(module), name)(*arguments)
    if isinstance(result, dict):
        # ru_maxrss would also count the parent's memory at the moment of the fork.
        status = Path("/proc/self/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            result["peak_bytes"] = int(line.split()[1]) * 1024
        else:
            result["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    _run(sys.argv[1])
