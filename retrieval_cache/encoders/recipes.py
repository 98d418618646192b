"""How models are worded and run, by the name of the recipe in a spec."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from retrieval_cache.encoders.adapter import Adapter
from retrieval_cache.records import RetrieverSpec

# Kept as names: transformers takes seconds to import, and a build needs one of them.
_RECIPES = {
    "mme5": ("mme5", "MmE5"),
    "b3": ("b3", "B3"),
    "sentence-transformers": ("sentence_transformer", "SentenceTransformerAdapter"),
}


def make_adapter(spec: RetrieverSpec, folder: Path | None = None) -> Adapter:
    """The adapter of a spec; `folder` holds the weights where its revision is that of a folder."""
    recipe = spec.params["recipe"]
    if recipe not in _RECIPES:
        raise ValueError(f"unknown recipe {recipe!r}; known: {', '.join(sorted(_RECIPES))}")
    module, name = _RECIPES[recipe]
    return getattr(import_module(f"retrieval_cache.encoders.{module}"), name)(spec, folder)
