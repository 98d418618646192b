"""`m4rag encoder …`: whether a model gives the vectors that it should on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks.errors import DataError

if TYPE_CHECKING:
    from retrieval_cache import RetrieverSpec
    from retrieval_cache.encoders.base import Encoder


def add_encoder_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `encoder` and its actions to the command's verbs."""
    from retrieval_cache import retriever_names

    group = verbs.add_parser("encoder", help="golden vectors of a model: make them, check them")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    for name, verb, text, file in (
        ("fingerprint", fingerprint, "write what the model gives for fixed texts and drawn pictures", "--output"),
        ("check", check, "compare what it gives now with what was written", "--golden"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("retriever", choices=retriever_names())
        action.add_argument("--model", metavar="FOLDER|ID", help="other weights: a folder, or a hub id")
        action.add_argument("--revision", help="branch, tag or commit of --model on the hub")
        action.add_argument("--instruction", metavar="TEXT", help="what is put before questions")
        action.add_argument(file, type=Path, metavar="FILE", required=True)
        action.set_defaults(verb=verb, dense=None, index=None, passage_images=False)


def fingerprint(options: argparse.Namespace) -> int:
    from retrieval_cache.encoders.golden import write_golden

    spec, encoder = _encoder(options)
    write_golden(options.output, spec, encoder)
    print(f"{options.output}: golden vectors of {spec.name} ({spec.revision})")
    return 0


def check(options: argparse.Namespace) -> int:
    from retrieval_cache.encoders.golden import check_golden

    spec, encoder = _encoder(options)
    if not options.golden.is_file():
        raise DataError(f"There is no file {options.golden}. Make it: m4rag encoder fingerprint {spec.name} --output …")
    print(f"{spec.name}: ok, lowest cosine {check_golden(options.golden, spec, encoder):.5f}")
    return 0


def _encoder(options: argparse.Namespace) -> tuple[RetrieverSpec, Encoder]:
    from m4rag_tasks.cli_cache.retriever import chosen_retriever, resources
    from retrieval_cache import default_spec
    from retrieval_cache.retrievers import DenseRetriever, make_retriever

    spec = chosen_retriever(default_spec(options.retriever), options)
    retriever = make_retriever(spec, resources(options))
    if not isinstance(retriever, DenseRetriever):
        raise DataError(f"The retriever {spec.name} has no encoder of its own.")
    return spec, retriever.encoder
