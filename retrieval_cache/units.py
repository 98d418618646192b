"""Files of an artefact that any process may make, in any order: shards of embeddings, parts of hits.

Processes that build the same artefact work through the same list, on one
machine or on several that see the same cache root. Each claims a unit by a
lock and passes over those that others have; at the end it waits for these.
The system releases the locks of a process that dies, so its unit is made by
whoever waits for it: a killed worker costs its unit, not the run. There is
no leader, and nobody counts the workers.

A unit made twice (where locks do not work) is only a waste: same bytes, put in place whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import filelock
from tqdm import tqdm

from retrieval_cache.device import rank
from retrieval_cache.files import Progress, lock_path, writing

REMINDER_SECONDS = 600
"""How often a process that waits for another says so."""

Advance = Callable[[int], object]
"""Called with the number of items that were done since the last call."""


class Unit(Protocol):
    """One file of an artefact; `items` is how many passages or queries it takes."""

    path: Path
    items: int

    def is_done(self) -> bool:
        """Whether it need not be made."""
        ...

    def make(self, advance: Advance) -> None:
        """Write the file, atomically."""
        ...


def make_units(units: Sequence[Unit], title: str, items: str) -> None:
    """Make those that are not done, alone; `title` and `items` are words for the progress bar."""
    left = [unit for unit in units if not unit.is_done()]
    with _bar(units, left, title, items) as bar:
        for unit in left:
            unit.make(bar.update)


def share_units(units: Sequence[Unit], root: Path, title: str, items: str, progress: Progress) -> None:
    """Make those that are not done together with all other processes that do so; returns when all are done."""
    left = [unit for unit in units if not unit.is_done()]
    claimed_by_others = []
    with _bar(units, left, title, items) as bar:
        for unit in left:
            if not _make_claimed(unit, root, bar.update):
                claimed_by_others.append(unit)
        for unit in claimed_by_others:
            _make_claimed(unit, root, bar.update, progress)


def make_unit(unit: Unit, root: Path, progress: Progress) -> None:
    """Make one unit that is not done, or wait until another process has made it."""
    if not unit.is_done():
        _make_claimed(unit, root, lambda count: None, progress)


def progress_bar(total: int, done: int, title: str, items: str) -> tqdm:
    """A bar whose rate and time left count what is done from now on; only the first of several processes shows it."""
    return tqdm(total=total, initial=done, desc=title, unit=f" {items}", delay=2, disable=True if rank() else None)


def _bar(units: Sequence[Unit], left: Sequence[Unit], title: str, items: str) -> tqdm:
    total = sum(unit.items for unit in units)
    return progress_bar(total, total - sum(unit.items for unit in left), title, items)


def _make_claimed(unit: Unit, root: Path, advance: Advance, wait: Progress | None = None) -> bool:
    """Make a unit unless it is done meanwhile; False if another process has claimed it and nobody is to wait."""
    if unit.is_done():
        advance(unit.items)
        return True
    with _claim(root, unit.path, wait) as claimed:
        if claimed and unit.is_done():
            advance(unit.items)
        elif claimed:
            unit.make(advance)
    return claimed


@contextmanager
def _claim(root: Path, path: Path, wait: Progress | None) -> Iterator[bool]:
    """Hold the lock of one unit; gives False if another process has it and `wait` is None."""
    place = lock_path(root, path)
    lock = filelock.FileLock(place)
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        claimed = _acquire(lock, path, wait)
    try:
        yield claimed
        if claimed:
            # Whoever opened it before finds the unit done.
            with contextlib.suppress(OSError):
                place.unlink()
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, path: Path, wait: Progress | None) -> bool:
    timeout: float = 0
    while True:
        try:
            lock.acquire(timeout=timeout)
        except filelock.Timeout:
            if wait is None:
                return False
            wait(f"another process is making {path}; waiting until it is done or gone ({lock.lock_file})")
            timeout = REMINDER_SECONDS
        else:
            return True
