"""What making and searching an index will take, said before it starts; what cannot fit is refused.

Rates are measured on this machine with a small sample just before: seconds per
passage by encoding or analysing some, seconds per search by multiplying a
block. They say the order of magnitude, not the minute.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval_cache.device import free_memory
from retrieval_cache.records import CacheError, Passage
from retrieval_cache.store.passages import PassageTable

SAMPLE = 16
"""Passages, and queries, that rates are measured on."""

WORTH_SAYING = 1000
"""Fewer passages than this take no time worth an estimate."""

_CGROUP = Path("/sys/fs/cgroup")


class DoesNotFit(CacheError):
    """The disk or the memory lacks the room for what is to be made."""


@dataclass(frozen=True)
class Needs:
    """Bytes on disk, highest bytes of memory, and seconds; `instead` says what would need less.

    `gpu` is the bytes of a model's weights on a GPU; batches are made as small as what is left there.
    Seconds are measured when they are asked for: that may load a model, which has to be known to fit before.
    """

    disk: int
    memory: int
    seconds: Callable[[], float]
    instead: tuple[str, ...] = ()
    gpu: int = 0

    def __str__(self) -> str:
        return f"{gigabytes(self.disk)} of disk, {gigabytes(self.memory)} of memory, about {duration(self.seconds())}"


def refuse_what_cannot_fit(what: str, needs: Needs, folder: Path) -> None:
    """Raise DoesNotFit if disk, memory or GPU memory lack the room; files in `folder` are there already."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    for kind, wanted, has, where in (
        ("disk", needs.disk - _size(folder), shutil.disk_usage(there).free, f" at {there}"),
        ("memory", needs.memory, available_memory(), ""),
        ("GPU memory", needs.gpu, free_memory() if needs.gpu else None, ""),
    ):
        if has is not None and wanted > has:
            smaller = f", or take what needs less: {'; '.join(needs.instead)}" if needs.instead else ""
            raise DoesNotFit(
                f"{what} needs {gigabytes(wanted)} of {kind} more, and {gigabytes(has)} are free{where}.",
                f"Free {gigabytes(wanted - has)}{smaller}.",
            )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def available_memory() -> int | None:
    """Bytes of memory that this process may still take: the machine's and its container's; None if unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration):
        pass  # not Linux
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            found.append(int((_CGROUP / limit).read_text()) - int((_CGROUP / used).read_text()))
        except (OSError, ValueError):
            continue  # no such container, or it says "max"
    return max(0, min(found)) if found else None


def sample(passages: PassageTable | Sequence[Passage], most: int = SAMPLE) -> list[Passage]:
    """Up to so many passages from all over the corpus."""
    rows = np.linspace(0, len(passages) - 1, min(most, len(passages))).astype(int)
    return [passages[int(row)] for row in rows]


def seconds_of(action: Callable[[], object]) -> float:
    """How long a second call takes: the first may load a model."""
    action()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def seconds_per_product(dim: int, multiply: Callable[[np.ndarray, np.ndarray], object]) -> float:
    """Seconds for the inner product of one pair of vectors, from a block of them."""
    vectors, block = np.ones((256, dim), np.float32), np.ones((4096, dim), np.float32)
    return seconds_of(lambda: multiply(vectors, block)) / (len(vectors) * len(block))


def gigabytes(size: float) -> str:
    """A size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """A time for people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
