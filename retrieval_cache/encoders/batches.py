"""Which items go through a model together: alike in kind, near in length.

A batch costs its longest item times its size, so items are sorted by length
first. What is in a batch depends on the call alone, never on what was encoded
before it or how long that took: the same call gives the same vectors.
"""

from __future__ import annotations

from collections.abc import Sequence


def make_batches(tokens: Sequence[int], pictured: Sequence[bool], limit: int, most: int) -> list[list[int]]:
    """Split items 0 … n-1 into batches of one kind, at most `most` items and `limit` tokens with their padding.

    tokens: length of each item; pictured: whether it has a picture. An item longer than `limit` is a batch alone.
    """
    batches: list[list[int]] = []
    for kind in (False, True):
        batch: list[int] = []
        # Longest last: within a batch, the newest item is the longest.
        for item in sorted((i for i, has in enumerate(pictured) if has == kind), key=lambda i: (tokens[i], i)):
            if batch and (len(batch) == most or (len(batch) + 1) * tokens[item] > limit):
                batches.append(batch)
                batch = []
            batch.append(item)
        if batch:
            batches.append(batch)
    return batches


def padded_share(tokens: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """The share of all positions of these batches that are padding, 0 … 1."""
    positions = sum(len(batch) * max(tokens[item] for item in batch) for batch in batches)
    used = sum(tokens[item] for batch in batches for item in batch)
    return 1 - used / positions if positions else 0.0
