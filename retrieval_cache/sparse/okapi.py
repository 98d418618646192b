"""The formula of rank_bm25's BM25Okapi, operation by operation.

score(passage) = Σ over the terms of the query, in order and as often as they stand there,
of idf(term) · count · (k1 + 1) / (count + norm(passage)), norm = k1 · (1 − b + b · length / average length)

Source: Trotman, Puurula, Burgess, "Improvements to BM25 and Language Models
Examined" (2014), in the form of the package rank_bm25 0.2.2. All in float64
and in its order of operations, so scores are equal to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Okapi:
    """The figures of a corpus that scores need: tokens is the sum of all lengths in terms."""

    passages: int
    tokens: int
    k1: float
    b: float
    epsilon: float
    average_idf: float

    def norm(self, length: np.ndarray) -> np.ndarray:
        """The part of the denominator that depends on the passage only: float64, the shape of `length`."""
        return self.k1 * (1 - self.b + self.b * length.astype(np.int64) / self.average_length)

    @property
    def average_length(self) -> float:
        """Terms per passage; 1 where no passage has any, which leaves nothing to divide."""
        return self.tokens / max(1, self.passages) or 1.0

    def part(self, count: np.ndarray, norm: np.ndarray) -> np.ndarray:
        """What a term adds before its idf is multiplied; at most k1 + 1."""
        return count * (self.k1 + 1) / (count + norm)

    def idf(self, frequency: int) -> float:
        """idf of a term that stands in so many passages; below zero the floor of rank_bm25 takes its place."""
        idf = self.raw_idf(self.passages, frequency)
        return idf if idf >= 0 else self.epsilon * self.average_idf

    @staticmethod
    def raw_idf(passages: int, frequency: int) -> float:
        return math.log(passages - frequency + 0.5) - math.log(frequency + 0.5)
