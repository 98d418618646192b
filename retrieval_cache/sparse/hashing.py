"""Terms → 128-bit hashes, by which the index knows them.

Grams are the most, and four code points fit into 128 bits: their hash is a
one-to-one mixing of these, made for whole arrays. Words have BLAKE2b of their
UTF-8 bytes, pairs a mixing of the hashes of their two words. Two of 50 million
differing terms share a hash with a probability of about 4e-24.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from retrieval_cache.sparse.compiled import compiled

_POINT_BITS = 21
_ODD = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def word_hashes(words: Sequence[str]) -> np.ndarray:
    """uint64 [n, 2]"""
    digests = b"".join([blake2b(word.encode(), digest_size=16).digest() for word in words])
    return np.frombuffer(digests, "<u8").astype(np.uint64, copy=False).reshape(-1, 2)


def gram_hashes(points: np.ndarray) -> np.ndarray:
    """Code points uint32 [n, 4] → uint64 [n, 2], one to one."""
    wide = points.astype(np.uint64)
    head = wide[:, 0] << np.uint64(_POINT_BITS) | wide[:, 1]
    tail = wide[:, 2] << np.uint64(_POINT_BITS) | wide[:, 3]
    # Each step can be undone: first tail, from the mixed tail, then head.
    tail = _mixed(tail + _mixed(head + _ODD[0]))
    return np.stack([_mixed(head ^ tail), tail], axis=1)


def pair_hashes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hashes of the first and the second words → hashes of the pairs, all uint64 [n, 2]."""
    return _mixed(first * _ODD[0] + _mixed(second + _ODD[1]))


@compiled
def find_hashes(hash, wanted):
    """Where the rows of wanted [n, 2] stand in the sorted hash [terms, 2]: int64 [n], -1 for those that do not."""
    found = np.full(len(wanted), -1, np.int64)
    for i in range(len(wanted)):
        head, tail = wanted[i, 0], wanted[i, 1]
        low, high = 0, len(hash)
        while low < high:
            middle = (low + high) // 2
            if hash[middle, 0] < head or (hash[middle, 0] == head and hash[middle, 1] < tail):
                low = middle + 1
            else:
                high = middle
        if low < len(hash) and hash[low, 0] == head and hash[low, 1] == tail:
            found[i] = low
    return found


def code_points(text: str) -> np.ndarray:
    """uint32 [characters]"""
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint32, copy=False)


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a one-to-one mapping of 64-bit numbers."""
    values = (values ^ (values >> np.uint64(30))) * _ODD[1]
    values = (values ^ (values >> np.uint64(27))) * _ODD[2]
    return values ^ (values >> np.uint64(31))
