"""`m4rag cache …`: the verbs that fill, list and check the retrieval cache."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from retrieval_cache import CacheEntry

MAX_K = 1000


def add_cache_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cache` and its actions to the command's verbs."""
    from retrieval_cache import retriever_names

    group = verbs.add_parser("cache", help="the retrieval cache: build, info, verify")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("build", help="corpus → passages → index → top-k; goes on where it was stopped")
    action.add_argument("tasks", nargs="*", metavar="TASK", help="task or group names, instead of --dataset")
    action.add_argument("--dataset")
    action.add_argument("--setting")
    action.add_argument("--corpus", type=Path, help="articles as JSONL, plain or .gz (default: the data set's own)")
    action.add_argument(
        "--retriever",
        choices=retriever_names(),
        help="another retriever than the setting's own; the last build of a setting is what tasks read",
    )
    action.add_argument("--k", type=_passages, default=suite.TOP_K, help="passages per question (default: %(default)s)")
    action.set_defaults(verb=cache_build)

    action = actions.add_parser("info", help="what is in the cache folder")
    action.set_defaults(verb=cache_info)

    action = actions.add_parser("verify", help="check all passages and hits against their checksums")
    action.set_defaults(verb=cache_verify)


def cache_build(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import build_cache

    specs, refused = [], []
    for dataset, setting in _datasets_and_settings(options):
        try:
            spec = retrieval.build_spec(
                dataset, setting, corpus=options.corpus, retriever=options.retriever, k=options.k
            )
            specs.append((dataset, setting, spec))
        except DataError as error:
            refused.append(error)
    # What cannot be built must show at once, also where hours of building come first.
    for error in refused:
        print(f"m4rag: {error}", file=sys.stderr)
    for dataset, setting, spec in specs:
        queries = retrieval.queries(dataset, setting)
        cache = build_cache(spec, queries, retrieval.cache_root(), progress=lambda line: print(line, file=sys.stderr))
        print(f"{dataset.key} {setting.name}: {len(cache.query_ids())} queries, key {cache.key[:16]}")
    return 1 if refused else 0


def cache_info(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches

    root = retrieval.cache_root()
    entries = list_caches(root)
    read = {(entry.dataset, entry.setting): retrieval.chosen_cache(entry.dataset, entry.setting) for entry in entries}
    for entry in entries:
        mark = "*" if entry.folder == read[entry.dataset, entry.setting] else " "
        print(f"{mark} {entry.dataset} {entry.setting}  {entry.folder.name}  {_described(entry)}")
    if any(read.values()):
        print("* is what tasks read: the last build of a setting")
    print(f"{sum(entry.manifest is not None for entry in entries)} complete caches in {root}")
    return 0


def _described(entry: CacheEntry) -> str:
    manifest = entry.manifest
    if manifest is None:
        return entry.problem
    return (
        f"retriever {manifest.retriever.name} ({manifest.retriever.revision}), k {manifest.k},"
        f" {manifest.queries['count']} queries ({manifest.queries['unmatched']} match nothing),"
        f" {manifest.corpus['passages']} passages"
        f" of {manifest.corpus['articles']} articles (corpus {manifest.corpus['sha256'][:12]})"
    )


def cache_verify(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches, verify

    root = retrieval.cache_root()
    entries = list_caches(root)
    bad = 0
    for entry in entries:
        problems = [entry.problem] if entry.manifest is None else verify(entry.folder, root)
        bad += bool(problems)
        print(f"{entry.dataset} {entry.setting} {entry.folder.name}: {'; '.join(problems) or 'ok'}")
    print(f"{len(entries) - bad} of {len(entries)} caches in {root} are sound.")
    return 0 if entries and not bad else 1


def resolve_all(names: Sequence[str]) -> list[suite.Task]:
    """The leaves that task and group names stand for, each once. Raises `UnknownNameError`."""
    chosen = {task.name: task for name in ",".join(names).split(",") if name for task in suite.resolve(name)}
    if not chosen:
        raise UnknownNameError("No task is named. List them with: m4rag tasks")
    return list(chosen.values())


def _datasets_and_settings(options: argparse.Namespace) -> list[tuple[suite.Dataset, suite.Setting]]:
    """The (data set, setting) pairs that a build is asked for: by axes or by task names."""
    if options.tasks and (options.dataset or options.setting):
        raise UnknownNameError("Name tasks, or --dataset and --setting, not both.")
    if options.tasks:
        chosen = resolve_all(options.tasks)
    elif options.dataset:
        chosen = suite.select(options.dataset, options.setting)
    else:
        raise UnknownNameError("Say what to build: task or group names, or --dataset with or without --setting.")
    pairs = dict.fromkeys((task.dataset, task.setting) for task in chosen)
    searching = [pair for pair in pairs if pair[1].retriever]
    if not searching:
        raise UnknownNameError("Nothing to build: the chosen settings search no corpus.")
    return searching


def _passages(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_K:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_K}")
    return int(text)
