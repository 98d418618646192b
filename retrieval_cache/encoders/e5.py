"""Multilingual E5 through sentence-transformers.

Wang et al., "Multilingual E5 Text Embeddings: A Technical Report", 2024: mean
pooling, length 1, at most 512 tokens; "query: " and "passage: " in front, or
for the instruct model "Instruct: {task}\nQuery: " in front of queries alone.

float32 on a CPU, float16 on a GPU, which the cache key tells apart. Which
texts share a batch moves the last bits of a vector: texts are encoded in
groups of `batch`, sorted by length within it, and groups start at fixed places,
so a build gives the same bytes wherever it was stopped, on one machine with one
number of threads.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval_cache.device import best_device
from retrieval_cache.encoders.weights import ModelError, Weights, locate, read_config
from retrieval_cache.records import Passage, Query, RetrieverSpec
from retrieval_cache.specs import passage_input

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MAX_TOKENS = 512


class E5Encoder:
    """Encoder over E5 weights; it ignores images. The model is loaded when first needed."""

    uses_images = False
    passage_images = False
    batch = 256
    gpu_memory = 0  # 1 GB at most

    def __init__(self, spec: RetrieverSpec, folder: Path | None = None) -> None:
        """`folder` holds the weights where the revision is that of a folder."""
        self.name, self._spec, self._folder = spec.name, spec, folder
        self._device = best_device()
        self._query_prefix = f"Instruct: {spec.instruction}\nQuery: " if spec.instruction else "query: "
        self._passage_prefix = "" if spec.instruction else "passage: "

    @functools.cached_property
    def dim(self) -> int:
        return int(read_config(self._weights)["hidden_size"])

    @property
    def memory(self) -> int:
        weights = sum(path.stat().st_size for path in self._weights.folder.glob("*.safetensors"))
        return 1_000_000_000 + weights  # torch, and a batch at 512 tokens

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        return self._encode([self._query_prefix + query.text for query in queries])

    def encode_passages(self, passages: Sequence[Passage], image_root: Path | None) -> np.ndarray:
        texts = [passage_input(self._spec.params, p.title, p.text) for p in passages]
        return self._encode([self._passage_prefix + text for text in texts])

    def libraries(self) -> dict[str, str]:
        names = ("sentence-transformers", "transformers", "torch")
        return {name: version(name) for name in names} | {"precision": self._precision}

    @property
    def _precision(self) -> str:
        return "float32" if self._device == "cpu" else "float16"

    @functools.cached_property
    def _weights(self) -> Weights:
        return locate(self._spec.revision, self._folder)

    @functools.cached_property
    def _model(self) -> SentenceTransformer:
        import torch
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(self._weights.folder),
            device=self._device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": getattr(torch, self._precision)},
        )
        _refuse_another_kind(model, self._weights)
        model.max_seq_length = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
        return model.eval()

    def _encode(self, texts: list[str]) -> np.ndarray:
        vectors = self._model.encode(
            texts,
            batch_size=32 if self._device == "cpu" else self.batch,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return vectors.astype(np.float32)


def _refuse_another_kind(model: SentenceTransformer, weights: Weights) -> None:
    """E5 is a transformer and the mean over its tokens; anything else would be encoded wrongly without a word."""
    kinds = [type(module).__name__ for module in model]
    pooling = getattr(model[1], "pooling_mode", None) if len(kinds) > 1 else None
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) > {"Normalize"} or pooling not in ("mean", ("mean",)):
        raise ModelError(
            f"the model {weights.revision} is no E5: it is made of {', '.join(kinds)}, pooling {pooling}.",
            "E5 is Transformer, Pooling over means and Normalize.",
        )
