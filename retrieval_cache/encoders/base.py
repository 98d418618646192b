"""What an encoder is: queries and passages → vectors whose inner product ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from retrieval_cache.records import Passage, Query


class Encoder(Protocol):
    """A text or multimodal embedder.

    `uses_images` tells the build to hash the pictures of queries and to need their
    paths, `passage_images` those of passages too; `batch` is how many items a call
    should get; `memory` about how many bytes a process takes that encodes with it, and
    `gpu_memory` how many its weights take on a GPU, 0 where that is next to nothing.
    Rows come out in input order, float32, finite, and independent of what else is in
    the call.
    """

    name: str
    dim: int
    uses_images: bool
    passage_images: bool
    batch: int
    memory: int
    gpu_memory: int

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        """float32 [n, dim]; CorpusError names the query whose image is unreadable."""
        ...

    def encode_passages(self, passages: Sequence[Passage], image_root: Path | None) -> np.ndarray:
        """float32 [n, dim]; image paths start at `image_root`, None leaves images out."""
        ...

    def libraries(self) -> dict[str, str]:
        """Versions that shape the vectors."""
        ...
