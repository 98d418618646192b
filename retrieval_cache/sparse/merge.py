"""Runs → index files: one pass over all runs, in ranges of the hash.

Hashes are spread evenly, so a range of hashes is the same small share of every
run; terms of one range are sorted in memory and appended to the files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from retrieval_cache.sparse.compiled import compiled
from retrieval_cache.sparse.layout import HEADER, ArrayWriter, position_type, write_header
from retrieval_cache.sparse.okapi import Okapi
from retrieval_cache.sparse.runs import Run

_POSTINGS_AT_ONCE = 1 << 25
"""Postings per range of hashes, on average: some hundred MB of memory while merging."""


def merge(runs: Sequence[Run], folder: Path, k1: float, b: float) -> None:
    """Write the index files of `runs`, the blocks of a corpus in order; `index.json` comes last."""
    length = np.concatenate([run.length for run in runs])
    postings, segments = (sum(len(getattr(run, name)) for run in runs) for name in ("offset", "hash"))
    tokens = int(length.sum(dtype=np.int64))
    okapi = Okapi(len(length), tokens, k1, b, 0.0, 0.0)
    with ExitStack() as stack:
        files = _Writers(stack, folder, segments, postings)
        files.write("length", length)
        firsts = []
        for parts in tqdm(list(_ranges(runs, postings)), "merging postings", delay=2, disable=None):
            firsts.append(_merge_range(runs, parts, files, okapi))
            for run in runs:
                run.forget()
        files.finish()
        idf_sum = _idf_sum(firsts, len(length))
    header = {"passages": len(length), "terms": files.terms, "segments": segments, "postings": postings}
    write_header(folder / HEADER, header | {"tokens": tokens, "idf_sum": idf_sum})


class _Writers:
    """The files being written, and how much of them there is."""

    def __init__(self, stack: ExitStack, folder: Path, segments: int, postings: int) -> None:
        kinds: dict[str, Any] = {
            "first_segment": position_type(segments),
            "segment_block": np.uint16,
            "segment_start": position_type(postings),
            "segment_bound": np.uint8,
            "offset": np.uint16,
            "count": np.uint8,
            "overflow_at": np.int64,
            "overflow_count": np.int64,
            "length": np.uint32,
        }
        self._files = {name: ArrayWriter(stack, folder / f"{name}.npy", kind) for name, kind in kinds.items()}
        self._files["hash"] = ArrayWriter(stack, folder / "hash.npy", np.uint64, 2)
        self.terms = self.segments = self.postings = 0

    def write(self, name: str, values: np.ndarray) -> None:
        self._files[name].append(values)

    def finish(self) -> None:
        """Positions end with one past the last."""
        self.write("first_segment", np.array([self.segments]))
        self.write("segment_start", np.array([self.postings]))


def _ranges(runs: Sequence[Run], postings: int):
    """Per range of hashes the slice of terms of every run: lists of (first, stop)."""
    count = max(1, math.ceil(postings / _POSTINGS_AT_ONCE))
    limits = [(i << 64) // count for i in range(1, count)]
    cuts = [
        np.concatenate(([0], np.searchsorted(run.hash[:, 0], np.array(limits, np.uint64)), [len(run.hash)]))
        for run in runs
    ]
    for i in range(count):
        yield [(int(cut[i]), int(cut[i + 1])) for cut in cuts]


def _merge_range(runs: Sequence[Run], parts: list[tuple[int, int]], files: _Writers, okapi: Okapi) -> np.ndarray:
    """Append one range; returns per term (block << 32 | order, frequency) of its first occurrence: int64 [n, 2]."""
    hash = np.concatenate([run.hash[slice(*part)] for run, part in zip(runs, parts, strict=True)])
    block = np.repeat(np.arange(len(runs), dtype=np.int64), [stop - first for first, stop in parts])
    size = np.concatenate(
        [np.diff(run.start[first : stop + 1]) for run, (first, stop) in zip(runs, parts, strict=True)]
    )
    order = _by_hash(hash)
    fresh = np.ones(len(order), bool)
    fresh[1:] = (hash[order[1:]] != hash[order[:-1]]).any(axis=1)
    begins = np.concatenate(([0], np.cumsum(size[order])))
    place = np.empty(len(order), np.int64)
    place[order] = begins[:-1]
    bound = _append_postings(runs, parts, place, int(begins[-1]), files, okapi)
    first = np.flatnonzero(fresh)
    files.write("hash", hash[order[first]])
    files.write("first_segment", first + files.segments)
    files.write("segment_block", block[order])
    files.write("segment_start", begins[:-1] + files.postings)
    files.write("segment_bound", bound[order])
    files.terms += len(first)
    files.segments += len(order)
    files.postings += int(begins[-1])
    seen = np.concatenate([run.order[slice(*part)] for run, part in zip(runs, parts, strict=True)])
    frequency = np.add.reduceat(size[order], first) if len(first) else np.zeros(0, np.int64)
    return np.stack([(block << 32 | seen)[order[first]], frequency], axis=1)


def _by_hash(hash: np.ndarray) -> np.ndarray:
    """The order by hash, equal ones in the order given (that of the runs)."""
    order = np.argsort(hash[:, 0], kind="stable")
    head = hash[order, 0]
    equal = np.flatnonzero(head[1:] == head[:-1])
    if (hash[order[equal], 1] != hash[order[equal + 1], 1]).any():  # half a hash in common, seldom
        order = np.lexsort((hash[:, 1], hash[:, 0]))
    return order


def _append_postings(
    runs: Sequence[Run], parts: list[tuple[int, int]], place: np.ndarray, total: int, files: _Writers, okapi: Okapi
) -> np.ndarray:
    """Write the postings of one range, each segment at its place; returns the bounds uint8 [segments]."""
    offset, count = np.empty(total, np.uint16), np.empty(total, np.uint8)
    bound = np.empty(len(place), np.uint8)
    overflow: list[np.ndarray] = []
    done = 0
    for run, (first, stop) in zip(runs, parts, strict=True):
        mine = slice(done, done + stop - first)
        done += stop - first
        start = run.start[first : stop + 1]
        norm = okapi.norm(run.length)
        low, high = np.searchsorted(run.overflow_at, (start[0], start[-1]))
        many = np.stack([run.overflow_at[low:high], run.overflow_count[low:high]], axis=1)
        segment = np.searchsorted(start, many[:, 0], "right") - 1
        overflow.append(np.stack([many[:, 0] - start[segment] + place[mine][segment], many[:, 1]], axis=1))
        postings = slice(int(start[0]), int(start[-1]))
        arrays = [np.ascontiguousarray(values) for values in (run.offset[postings], run.count[postings])]
        _place_segments(start - start[0], *arrays, place[mine], norm, okapi.k1, offset, count, bound[mine])
    files.write("offset", offset)
    files.write("count", count)
    moved = np.concatenate(overflow)
    moved = moved[np.argsort(moved[:, 0])]
    files.write("overflow_at", moved[:, 0] + files.postings)
    files.write("overflow_count", moved[:, 1])
    return bound


@compiled
def _place_segments(start, offset, count, place, norm, k1, to_offset, to_count, bound):
    """Copy segments to their places; bound: the best term part of each, as `layout` says."""
    for segment in range(len(place)):
        to = place[segment]
        best = 0.0
        for i in range(start[segment], start[segment + 1]):
            to_offset[to], to_count[to] = offset[i], count[i]
            to += 1
            part = count[i] * (k1 + 1) / (count[i] + norm[offset[i]])
            best = max(best, part if count[i] < 255 else k1 + 1)  # what no count exceeds
        # Rounding may take a hair from the quotient, so a hair is added.
        bound[segment] = min(255, math.ceil(best / (k1 + 1) * 255 * (1 + 1e-9)))


def _idf_sum(firsts: list[np.ndarray], passages: int) -> float:
    """The sum of idf over all terms in order of first occurrence, one by one as rank_bm25 adds."""
    order = np.concatenate([first[:, 0] for first in firsts])
    frequency = np.concatenate([first[:, 1] for first in firsts])
    frequency = frequency[np.argsort(order)]
    distinct, which = np.unique(frequency, return_inverse=True)
    idf = np.array([Okapi.raw_idf(passages, int(value)) for value in distinct])
    # cumsum adds from left to right, where sum would add in pairs.
    return float(np.cumsum(idf[which])[-1]) if len(which) else 0.0
