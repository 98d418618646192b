"""`m4rag cache info` and `m4rag cache verify`: what is there, and is it sound?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks.cli_cache.choose import say
from m4rag_tasks.errors import DataError

if TYPE_CHECKING:
    from retrieval_cache import CacheEntry


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
    return (
        f"retriever {manifest.retriever.name} ({manifest.retriever.revision}), k {manifest.k},"
        f" {manifest.queries['count']} queries ({manifest.queries['unmatched']} match nothing),"
        f" {manifest.corpus['passages']} passages of {manifest.chunker.max_tokens} tokens"
        f" of {manifest.corpus['articles']} articles (corpus {manifest.corpus['sha256'][:12]},"
        f" {manifest.corpus['broken']} broken lines left out)"
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
