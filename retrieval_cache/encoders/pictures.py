"""Pictures read ahead by worker processes, so that a model does not wait for them.

Decoding a photo takes about as long as a small model takes for it. Each worker sends what
it read through a pipe of its own (containers have little shared memory): one that is killed, be it
in the middle of a picture, ends its own pipe alone, which is seen at once and in any thread. With the one queue that
the workers of torch's DataLoader share, whoever reads from it may wait for the rest for ever.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from retrieval_cache.images import read_rgb
from retrieval_cache.parallel import cores, ordered_map
from retrieval_cache.records import CorpusError

WORTH_WORKERS = 32
"""Pictures of a call from which on workers are started: that takes as long as reading some ten of them."""

_MOST_WORKERS = 8

Result = TypeVar("Result")


def read_pictures(paths: Sequence[Path], read: Callable[[Path], Result] = read_rgb) -> Iterator[Result | CorpusError]:
    """What `read` gives for each path, in their order; a CorpusError in the place of one that cannot be read.

    One after the other in this process where there are few, or nothing to share
    them with; so are those that a worker which was killed had left.
    """
    workers = min(cores() - 1, _MOST_WORKERS)
    # A forked worker needs nothing sent to it, and does not run the caller's program again.
    if len(paths) < WORTH_WORKERS or workers < 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from (_result(read, path) for path in paths)
        return
    with _started(read, [paths[first::workers] for first in range(workers)]) as pipes:
        killed = set()
        for number, path in enumerate(paths):
            worker = number % workers
            if worker not in killed:
                try:
                    result = pipes[worker].recv()
                except (EOFError, OSError):  # the latter in the middle of a picture
                    killed.add(worker)
                    warnings.warn(
                        "a process that reads pictures was killed, perhaps because memory ran out; "
                        "what it had left is read without it.",
                        stacklevel=2,
                    )
            yield _result(read, path) if worker in killed else result


@contextmanager
def _started(read: Callable[[Path], Result], shares: Sequence[Sequence[Path]]) -> Iterator[list[Connection]]:
    """A worker for each share of the paths; gives the pipes that their results come from."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in shares]
    workers = []
    try:
        for share, (_, own) in zip(shares, pipes, strict=True):
            # An end that another process holds would keep a pipe open after its worker's death.
            others = [end for pipe in pipes for end in pipe if end is not own]
            workers.append(context.Process(target=_work, args=(read, share, own, others), daemon=True))
            workers[-1].start()
        for _, own in pipes:
            own.close()
        yield [results for results, _ in pipes]
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
        for pipe in pipes:
            for end in pipe:
                end.close()


def _work(read: Callable[[Path], Result], paths: Sequence[Path], own: Connection, others: Sequence[Connection]) -> None:
    """A worker: a few results ahead of what was taken from it, until nobody takes them."""
    # What the caller's program does on a signal is not for its workers to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in others:
        end.close()
    with contextlib.suppress(BrokenPipeError):
        for result in ordered_map(functools.partial(_result, read), paths, threads=1):
            own.send(result)


def _result(read: Callable[[Path], Result], path: Path) -> Result | CorpusError:
    try:
        return read(path)
    except CorpusError as error:
        return error
