"""How a corpus is cut for each retriever, where nothing else is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval_cache.chunking.tokenizers import check_tokenizer_name, tokenizer_of
from retrieval_cache.records import ChunkerSpec

# Retrievers with a tokenizer of their own. All others get XLM-R's, which is that of
# the E5 models, knows 100 languages and needs no download. mmE5 reads the vector at
# the last of 256 tokens and cuts on the right, so its passages must leave some room.
_BY_RETRIEVER = {
    "mme5": ChunkerSpec(250, 50, "hf:intfloat/mmE5-mllama-11b-instruct@cbb328b9bf9ff5362c852c3166931903226d46f1"),
    "b3": ChunkerSpec(256, 50, "hf:raghavlite/B3_Qwen2_7B@main"),
    "b3_2b": ChunkerSpec(256, 50, "hf:raghavlite/B3_Qwen2_2B@main"),
}


def default_chunker(retriever: str, model: Path | None = None, **chosen: Any) -> ChunkerSpec:
    """The spec by which passages for a retriever are cut; `chosen` overrides single values.

    A retriever with a tokenizer of its own takes that in the folder `model`, where its weights are from one.
    Raises ValueError for values that cannot be.
    """
    spec = _BY_RETRIEVER.get(retriever, ChunkerSpec())
    if model is not None and retriever in _BY_RETRIEVER and (own := tokenizer_of(model)):
        spec = replace(spec, tokenizer=own)
    spec = replace(spec, **chosen)
    check_tokenizer_name(spec.tokenizer)
    return spec
