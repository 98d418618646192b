"""The retriever that the arguments of `m4rag cache build` choose."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks.errors import DataError

if TYPE_CHECKING:
    from retrieval_cache import Resources, RetrieverSpec


def chosen_retriever(spec: RetrieverSpec, options: argparse.Namespace) -> RetrieverSpec:
    """`spec` with --dense, --index, --model, --instruction and --passage-images, its weights named by a commit.

    Raises `DataError` for what the retriever does not have, `ModelError` for weights that cannot be had.
    """
    from retrieval_cache import default_spec, pinned, resolve_weights, with_instruction, with_weights

    hybrid = spec.name == "hybrid"
    if options.dense and not hybrid:
        raise DataError(f"--dense names a component of the retriever hybrid; this is {spec.name}.")
    if options.revision and not options.model:
        raise DataError("--revision is that of a --model, and none is named.")
    params = {"dense": options.dense} if options.dense else {}
    if options.index:
        params["dense.index" if hybrid else "index"] = options.index
    if options.passage_images:
        params["dense.passage_images" if hybrid else "passage_images"] = True
    try:
        if params:
            spec = default_spec(spec.name, **params)
        if options.model:
            spec = with_weights(spec, resolve_weights(options.model, options.revision).revision)
        if options.instruction:
            spec = with_instruction(spec, options.instruction)
    except ValueError as error:
        raise DataError(f"{error}. These are --dense, --index, --model, --instruction and --passage-images.") from error
    return pinned(spec)


def resources(options: argparse.Namespace) -> Resources:
    """The folder of weights, where --model names one."""
    from retrieval_cache import Resources

    folder = Path(options.model) if options.model else None
    return Resources(model=folder if folder is not None and folder.is_dir() else None)
