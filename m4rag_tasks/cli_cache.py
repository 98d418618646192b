"""`m4rag cache …`: the verbs that fill, list and check the retrieval cache."""

from __future__ import annotations

import argparse
import fnmatch
import functools
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.errors import DataError, M4ragError, UnknownNameError

if TYPE_CHECKING:
    from retrieval_cache import BuildSpec, Cache, CacheEntry

MAX_K = 1000


def add_cache_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cache` and its actions to the command's verbs."""
    from retrieval_cache import retriever_names

    group = verbs.add_parser("cache", help="the retrieval cache: build, info, verify")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("build", help="corpus → passages → index → top-k; goes on where it was stopped")
    action.add_argument(
        "tasks", nargs="*", metavar="TASK", help="task or group names, or patterns, instead of --dataset"
    )
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
    from retrieval_cache import CacheError

    if options.k != suite.TOP_K:
        _say(f"note: tasks read k = {suite.TOP_K} only; a cache with k = {options.k} is for measuring retrieval.")
    specs: list[tuple[suite.Dataset, suite.Setting, BuildSpec]] = []
    refused: dict[str, list[str]] = {}
    for dataset, setting in _datasets_and_settings(options):
        try:
            specs.append((dataset, setting, _spec(dataset, setting, options)))
        except (M4ragError, CacheError) as error:
            refused.setdefault(str(error), []).append(f"{dataset.key} {setting.name}")
    # What cannot be built must show at once, also where hours of building come first.
    for problem, names in refused.items():
        _say(f"{', '.join(names)}: {problem}")
    failed = bool(refused)
    for dataset, setting, spec in specs:
        try:
            cache = _built(dataset, setting, spec)
        except M4ragError as error:  # a fault of this data set: the others can be built. A full disk is none.
            _say(f"{dataset.key} {setting.name}: {error}")
            failed = True
        else:
            print(f"{dataset.key} {setting.name}: {len(cache.query_ids())} queries, key {cache.key[:16]}")
    return 1 if failed else 0


def _spec(dataset: suite.Dataset, setting: suite.Setting, options: argparse.Namespace) -> BuildSpec:
    """What to build, after a look at all that is needed. Raises `M4ragError` or `CacheError`."""
    from m4rag_tasks import contexts, datasets, retrieval

    spec = retrieval.build_spec(dataset, setting, corpus=options.corpus, retriever=options.retriever, k=options.k)
    _refuse_another_corpus(dataset, spec.corpus)
    if setting.query in ("oracle", "caption"):
        contexts.check(dataset, setting.query)
    # Asking the first question finds what else is missing: rows, or the knowledge base.
    for row in itertools.islice(datasets.all_rows(dataset), 1):
        retrieval.query(dataset, setting, row)
    return spec


def _refuse_another_corpus(dataset: suite.Dataset, corpus: Path) -> None:
    """Raise `DataError` for a corpus whose cache no task would read."""
    from m4rag_tasks import retrieval
    from retrieval_cache import known_corpus_sha256

    own, root = retrieval.corpus_path(dataset), retrieval.cache_root()
    if own is None or own.samefile(corpus) or known_corpus_sha256(own, root) == known_corpus_sha256(corpus, root):
        return
    raise DataError(
        f"Tasks of {dataset.title} read caches of the corpus that lies with it, {own}, and would not read one of"
        f" {corpus}. Leave --corpus out, or move the corpus that lies there away."
    )


def _built(dataset: suite.Dataset, setting: suite.Setting, spec: BuildSpec) -> Cache:
    from m4rag_tasks import retrieval
    from retrieval_cache import build_cache

    progress = functools.partial(print, file=sys.stderr)
    return build_cache(spec, retrieval.queries(dataset, setting), retrieval.cache_root(), progress=progress)


def cache_info(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches

    root = retrieval.cache_root()
    entries = list_caches(root)
    read = _read_by_tasks(entries)
    for entry in entries:
        mark = "*" if entry.folder in read else " "
        print(f"{mark} {entry.dataset} {entry.setting}  {entry.folder.name}  {_described(entry)}")
    if read:
        print("* is what tasks read: the last build of a setting")
    print(f"{sum(entry.manifest is not None for entry in entries)} complete caches in {root}")
    return 0


def _read_by_tasks(entries: Sequence[CacheEntry]) -> set[Path]:
    """The folders that tasks read; says, once for each reason, where that cannot be known."""
    from m4rag_tasks import retrieval

    found, unknown = set(), {}
    for dataset, setting in dict.fromkeys((entry.dataset, entry.setting) for entry in entries):
        try:
            found.add(retrieval.chosen_cache(dataset, setting))
        except DataError as error:
            unknown.setdefault(str(error), dataset)
    for problem, dataset in unknown.items():
        _say(f"no cache of {dataset} is marked as what tasks read: {problem}")
    return found - {None}


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
    """The leaves that names of tasks and groups, or patterns over both, stand for, each once.

    Names may be joined by commas, patterns are those of lmms-eval (`fnmatch`). Raises `UnknownNameError`.
    """
    whole = [name for name in (part.strip() for part in ",".join(names).split(",")) if name]
    chosen = {task.name: task for name in whole for match in _matching(name) for task in suite.resolve(match)}
    if not chosen:
        raise UnknownNameError("No task is named. List them with: m4rag tasks")
    return list(chosen.values())


def _matching(pattern: str) -> list[str]:
    """The names of tasks and groups that a pattern fits; a plain name is its own."""
    if not set(pattern) & set("*?["):
        return [pattern]
    known = [*suite.groups(), *map(suite.tag, suite.groups()), *suite.all_tasks()]
    if not (found := fnmatch.filter(known, pattern)):
        raise UnknownNameError(f"No task or group fits {pattern!r}. List them with: m4rag tasks")
    return found


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
    if not chosen:
        dataset = suite.DATASETS[options.dataset]
        searching = [name for name in dataset.settings[""] if suite.SETTINGS[name].retriever]
        raise UnknownNameError(
            f"{dataset.title} has no setting {options.setting!r}. Those that search: {', '.join(searching)}."
        )
    pairs = dict.fromkeys((task.dataset, task.setting) for task in chosen)
    searching = [pair for pair in pairs if pair[1].retriever]
    if not searching:
        raise UnknownNameError("Nothing to build: the chosen settings search no corpus.")
    return searching


def _say(line: str) -> None:
    print(f"m4rag: {line}", file=sys.stderr)


def _passages(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_K:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_K}")
    return int(text)
