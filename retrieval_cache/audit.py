"""Checking caches that are there: every byte, what stands in them, and whether searching again finds the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval_cache.records import CacheError, CacheMismatch, Query
from retrieval_cache.retriever import IndexFolder, Retriever, index_keys, key_of_index
from retrieval_cache.retrievers import make_retriever
from retrieval_cache.store.cache import Cache
from retrieval_cache.store.caches import index_folder, open_cache, sha256_of
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.stages import damage

CLOSE = 1e-4
"""How far scores found again may be off, relative and absolute: encoders on other hardware round otherwise."""


def verify(folder: Path, root: Path | None = None) -> list[str]:
    """Check hits, passages and, where it is here, the index to the last byte; returns the problems found."""
    folder = Path(folder)
    root = Path(root) if root is not None else folder.parents[3]
    try:
        cache = open_cache(folder, root)
        problems = list(cache.problems())
        path = cache.passages.path
        if sha256_of(path) != cache.manifest.files[PASSAGES_FILE]["sha256"]:
            problems.append(f"{path} was changed: its sha256 is not the manifest's.")
    except CacheError as error:
        return [error.message]
    key = cache.manifest.index_key
    return problems + (damage(index_folder(root, key), key) or [])


@dataclass(frozen=True)
class SearchedAgain:
    """`searched` queries were searched for again; `problems` says what came out otherwise, `why_not` why none were."""

    searched: int = 0
    problems: tuple[str, ...] = ()
    why_not: str = ""


def search_again(
    cache: Cache, queries: Callable[[], Sequence[Query]], root: Path, sample: int = 20, seed: int = 0
) -> SearchedAgain:
    """Search a sample of a cache's queries again in the index it was made with; nothing is indexed.

    `queries` gives the queries of the build and is called only if the index is
    here. Rows must be the same and scores close. The sample is drawn by `seed`.
    """
    manifest = cache.manifest
    if manifest.export is not None:
        return SearchedAgain(why_not="an export has no index")
    try:
        retriever = make_retriever(manifest.retriever)
    except ValueError as error:
        return SearchedAgain(why_not=str(error))
    if changed := _other_versions(retriever, manifest):
        return SearchedAgain(why_not=f"it was made with other versions: {changed}")
    index = _place(retriever, manifest, root)
    state = _state(retriever, manifest, root)
    if state is None:
        return SearchedAgain(why_not=f"the index {index.path} is not here")
    if state:
        return SearchedAgain(problems=tuple(state))
    asked = sorted(queries(), key=lambda query: query.id)
    chosen = random.Random(seed).sample(asked, min(sample, len(asked)))
    return SearchedAgain(len(chosen), tuple(_differences(cache, retriever, index, chosen)))


def known_index_keys(manifest: Manifest) -> list[str]:
    """Keys of the index that a cache was made with and of its components.

    Raises CacheMismatch for a retriever that this version does not know.
    """
    try:
        retriever = make_retriever(manifest.retriever)
    except ValueError as error:
        raise CacheMismatch(f"its index cannot be told: {error}.", "Leave the index out.") from error
    return index_keys(retriever, manifest)


def _differences(cache: Cache, retriever: Retriever, index: IndexFolder, chosen: Sequence[Query]) -> list[str]:
    """What is found otherwise now, in sentences."""
    problems = []
    rows, scores = retriever.open(index).search(chosen, cache.manifest.k)
    for query, now_rows, now_scores in zip(chosen, rows, scores, strict=True):
        try:
            cache.hits(query)  # is it the question the cache was made for?
        except CacheError as error:
            problems.append(error.message)
            continue
        place = cache.place(query.id)
        close = np.allclose(now_scores, cache.scores()[place], CLOSE, CLOSE, equal_nan=True)
        if not close or not np.array_equal(now_rows, cache.rows()[place]):
            problems.append(f"{cache.folder}: searching for query {query.id!r} again finds something else.")
    return problems


def _other_versions(retriever: Retriever, manifest: Manifest) -> str:
    """The versions that shaped the cache and are others here, in words."""
    here = {"index": retriever.index_libraries, "search": retriever.search_libraries}
    return ", ".join(
        f"{name} {manifest.libraries[stage].get(name)} (here {versions.get(name)})"
        for stage, versions in here.items()
        for name in sorted({*versions, *manifest.libraries[stage]})
        if versions.get(name) != manifest.libraries[stage].get(name)
    )


def _place(retriever: Retriever, manifest: Manifest, root: Path) -> IndexFolder:
    parts = tuple(_place(part, manifest, root) for part in retriever.components)
    return IndexFolder(index_folder(root, key_of_index(retriever, manifest)), parts)


def _state(retriever: Retriever, manifest: Manifest, root: Path) -> list[str] | None:
    """Damage of the index and those of its components; None if one is not here."""
    problems: list[str] = []
    for key in index_keys(retriever, manifest):
        found = damage(index_folder(root, key), key)
        if found is None:
            return None
        problems += found
    return problems
