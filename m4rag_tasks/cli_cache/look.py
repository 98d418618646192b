"""`m4rag cache info` and `m4rag cache verify`: what is there, and is it sound?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.cli_cache.choose import named_pairs, say
from m4rag_tasks.errors import DataError, M4ragError, UnknownNameError

if TYPE_CHECKING:
    from retrieval_cache import CacheEntry, Query


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
        say(f"no cache of {dataset} is marked as what tasks read: {problem}")
    return found - {None}


def _described(entry: CacheEntry) -> str:
    from retrieval_cache import searched

    manifest = entry.manifest
    if manifest is None:
        done, of = searched(entry.folder)
        return f"{done:,} of {of:,} searches are done; not finished" if of else entry.problem
    if manifest.export is None:
        passages = f"{manifest.corpus['passages']} passages"
    else:
        passages = f"export: {manifest.passages_here} of {manifest.corpus['passages']} passages"
    source = f", from {manifest.corpus['source']}" if manifest.corpus["source"] else ""
    asked = f", made from {manifest.queries['source']}" if manifest.queries["source"] else ""
    sizes = [f"{manifest.files[name]['size']:,} bytes of {name.split('.')[0]}" for name in sorted(manifest.files)]
    return (
        f"retriever {manifest.retriever.name} ({manifest.retriever.revision}), k {manifest.k},"
        f" {manifest.queries['count']} queries ({manifest.queries['unmatched']} match nothing{asked}),"
        f" {passages} of {manifest.chunker.max_tokens} tokens"
        f" of {manifest.corpus['articles']} articles (corpus {manifest.corpus['sha256'][:12]},"
        f" {manifest.corpus['broken']} broken lines left out{source}), {', '.join(sizes)}"
        + "".join(f", {name} {value:g}" for name, value in sorted(manifest.measured.items()))
    )


def cache_verify(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches

    root = retrieval.cache_root()
    named = {(dataset.key, setting.name) for dataset, setting in named_pairs(options)}
    entries = [entry for entry in list_caches(root) if not named or (entry.dataset, entry.setting) in named]
    bad = 0
    for entry in entries:
        problems, note = _verified(entry, root, options.sample)
        bad += bool(problems)
        print(f"{entry.dataset} {entry.setting} {entry.folder.name}: {'; '.join(problems) or f'ok{note}'}")
    print(f"{len(entries) - bad} of {len(entries)} caches in {root} are sound.")
    return 0 if entries and not bad else 1


def _verified(entry: CacheEntry, root: Path, sample: int) -> tuple[list[str], str]:
    """The problems of a cache, and in a few words what was searched again."""
    from retrieval_cache import open_cache, search_again, verify

    problems = [entry.problem] if entry.manifest is None else verify(entry.folder, root)
    if problems or not sample:
        return problems, ""
    try:
        again = search_again(open_cache(entry.folder, root), lambda: _queries(entry), root, sample)
    except M4ragError as error:
        return [], f", not searched again: {error}"
    if again.why_not:
        return [], f", not searched again: {again.why_not}"
    return list(again.problems), f", {again.searched} queries searched again"


def _queries(entry: CacheEntry) -> list[Query]:
    """The queries of a cache as the data set asks them now."""
    from m4rag_tasks import retrieval

    if entry.dataset not in suite.DATASETS or entry.setting not in suite.SETTINGS:
        raise UnknownNameError(f"{entry.dataset} {entry.setting} is not one of our settings")
    return list(retrieval.queries(suite.DATASETS[entry.dataset], suite.SETTINGS[entry.setting]))
