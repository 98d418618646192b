"""Which tasks, data sets and settings the arguments of a verb name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.errors import DataError, UnknownNameError
from retrieval_cache.device import rank

if TYPE_CHECKING:
    from retrieval_cache import Cache


def say(line: str) -> None:
    """A line to the person at the terminal, beside the output."""
    which = f" (process {rank()})" if rank() else ""
    print(f"m4rag{which}: {line}", file=sys.stderr)


def progress(line: str) -> None:
    """What long work tells of itself; of several processes that share it, the first one speaks."""
    if not rank():
        print(line, file=sys.stderr)


def resolve_all(names: Sequence[str]) -> list[suite.Task]:
    """The leaves that names of tasks and groups, or patterns over both, stand for, each once.

    Names may be joined by commas, patterns are read as `suite.matching` does. Raises `UnknownNameError`.
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
    if not (found := suite.matching(pattern, known)):
        raise UnknownNameError(f"No task or group fits {pattern!r}. List them with: m4rag tasks")
    return found


def datasets_and_settings(options: argparse.Namespace) -> list[tuple[suite.Dataset, suite.Setting]]:
    """The (data set, setting) pairs that a build is asked for: by axes or by task names."""
    if options.tasks and (options.dataset or options.setting):
        raise UnknownNameError("Name tasks, or --dataset and --setting, not both.")
    if options.tasks:
        chosen = resolve_all(options.tasks)
    elif options.dataset:
        chosen = suite.select(options.dataset, options.setting)
    else:
        raise UnknownNameError("Say what is meant: task or group names, or --dataset with or without --setting.")
    if not chosen:
        dataset = suite.DATASETS[options.dataset]
        searching = [name for name in dataset.settings[""] if suite.SETTINGS[name].retriever]
        raise UnknownNameError(
            f"{dataset.title} has no setting {options.setting!r}. Those that search: {', '.join(searching)}."
        )
    # A judge reads the cache of the setting that it judges.
    pairs = dict.fromkeys((task.dataset, suite.WORK[task.setting.cached_as]) for task in chosen)
    searching = [pair for pair in pairs if pair[1].retriever]
    if not searching:
        raise UnknownNameError("Nothing to build or read: the chosen settings search no corpus.")
    return searching


def named_pairs(options: argparse.Namespace) -> list[tuple[suite.Dataset, suite.Setting]]:
    """The (data set, setting) pairs that are named; none if nothing is, which means all."""
    if options.tasks or options.dataset or options.setting:
        return datasets_and_settings(options)
    return []


def read_caches(options: argparse.Namespace) -> list[tuple[suite.Dataset, suite.Setting, Cache]]:
    """The caches that the named tasks read; without names those of all settings that have one.

    Of several that are named, those that are not built are said and left out. Raises `DataError` if there
    is none at all, `CacheError` if none of the named ones is built, or one cannot be used.
    """
    from m4rag_tasks import retrieval
    from retrieval_cache import CacheIncomplete, CacheMissing, list_caches

    pairs = named_pairs(options) or [
        (suite.DATASETS[dataset], suite.SETTINGS[setting])
        for dataset, setting in dict.fromkeys(
            (entry.dataset, entry.setting) for entry in list_caches(retrieval.cache_root()) if entry.manifest
        )
        if dataset in suite.DATASETS and setting in suite.SETTINGS
    ]
    if not pairs:
        raise DataError(f"There is no finished cache in {retrieval.cache_root()}. Build one: m4rag cache build")
    found, missing = [], []
    for dataset, setting in pairs:
        try:
            found.append((dataset, setting, retrieval.open_cache(dataset.key, setting.name)))
        except (CacheMissing, CacheIncomplete) as error:
            missing.append(error)
    if not found:
        raise missing[0]
    for error in missing:
        say(f"left out: {error}")
    return found
