"""Pictures read ahead by worker processes, so that a model does not wait for them.

Decoding a photo takes about as long as a small model takes for it. Workers send what
they decoded through a pipe, not through shared memory, of which containers have little.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval_cache.images import read_rgb
from retrieval_cache.parallel import cores
from retrieval_cache.records import CorpusError

if TYPE_CHECKING:
    from PIL import Image

WORTH_WORKERS = 32
"""Pictures of a call from which on workers are started: that takes as long as reading some ten of them."""

ReadPictures = Callable[[Sequence[Path]], Iterator["Image.Image | CorpusError"]]

_MOST_WORKERS = 8
_AHEAD = 4  # pictures that a worker has ready at most


def read_pictures(paths: Sequence[Path]) -> Iterator[Image.Image | CorpusError]:
    """The pictures in the order of their paths, RGB; a CorpusError in the place of one that cannot be read.

    One after the other in this process where there are few, or nothing to share them with.
    """
    from torch.utils.data import DataLoader

    workers = min(cores() - 1, _MOST_WORKERS)
    # A forked worker needs nothing sent to it, and does not run the caller's program again.
    if len(paths) < WORTH_WORKERS or workers < 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from read_here(paths)
        return
    yield from DataLoader(
        _Pictures(paths),
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        multiprocessing_context="fork",
    )


def read_here(paths: Sequence[Path]) -> Iterator[Image.Image | CorpusError]:
    """`read_pictures` without workers."""
    yield from map(_read, paths)


def lost_worker(error: RuntimeError) -> bool:
    """Whether an error is torch's for a worker that died; it comes by a signal, so wherever the program is."""
    return str(error).startswith("DataLoader worker")


class _Pictures:
    """What a DataLoader reads from."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Image.Image | CorpusError:
        return _read(self._paths[number])


def _read(path: Path) -> Image.Image | CorpusError:
    try:
        return read_rgb(path)
    except CorpusError as error:
        return error


def _as_it_is(value: Image.Image | CorpusError) -> Image.Image | CorpusError:
    return value
