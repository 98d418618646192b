"""Caches for elsewhere: self-contained ones for evaluation machines, and TREC runs for evaluation programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from retrieval_cache.files import Progress, artefact_lock, atomic_file, describe_file, remove_files, write_json
from retrieval_cache.records import CacheCorrupt, CacheError, CacheMismatch
from retrieval_cache.store.arrow import fixed_lists, read_table, write_batches
from retrieval_cache.store.cache import HITS_FILE, Cache
from retrieval_cache.store.caches import MANIFEST_FILE, hits_folder, open_cache, sha256_of
from retrieval_cache.store.current import note_build, selections
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.passages import copy_passages


def export_cache(cache: Cache, root: Path, progress: Progress = lambda line: None) -> Cache:
    """Write a cache with only the passages its hits use under another cache root, and open it there.

    It has the same key and gives the same hits, and is read like any cache. An
    export that is there whole is kept. Raises CacheCorrupt if the passages are
    not what the manifest says, CacheMismatch if `root` holds the cache itself.
    """
    root, manifest = Path(root), cache.manifest
    folder = hits_folder(root, manifest.dataset, manifest.setting, manifest.key)
    with artefact_lock(root, folder, progress):
        found = _found(folder, root)
        if found is None:
            _write(cache, folder)
            found = open_cache(folder, root)
        elif found.manifest.export is None:
            raise CacheMismatch(f"{root} holds the cache that is to be exported.", "Export to another folder.")
    note_build(root, folder.parent, selections(manifest.retriever, manifest.chunker, manifest.k), found.key, progress)
    progress(f"exported: {folder}, {found.manifest.passages_here:,} of {manifest.corpus['passages']:,} passages")
    return found


def write_trec_run(cache: Cache, path: Path) -> int:
    """Write the rankings as a TREC run (`query Q0 passage rank score tag`), atomically; returns the lines.

    Lines are sorted by query id and rank. Evaluation programs sort by score
    again, as float32, and break ties their own way: so a score that is not below
    the one before it is lowered by the smallest step that a float32 can take.
    """
    tag = f"{cache.manifest.setting}-{cache.folder.name}"
    count = 0
    with atomic_file(Path(path)) as file:
        for query_id in cache.query_ids():
            for passage_id, rank, score in _ordered(cache, query_id):
                file.write(f"{query_id} Q0 {passage_id} {rank} {score:.9g} {tag}\n".encode())
                count += 1
    return count


def _found(folder: Path, root: Path) -> Cache | None:
    try:
        return open_cache(folder, root)
    except CacheError:
        return None  # not there, not finished or damaged: it is written (again)


def _write(cache: Cache, folder: Path) -> None:
    manifest, source = cache.manifest, cache.passages.path
    if sha256_of(source) != manifest.files[PASSAGES_FILE]["sha256"]:
        raise CacheCorrupt(f"{source} was changed: its sha256 is not the manifest's.", "Build or fetch it again.")
    remove_files(folder, MANIFEST_FILE)
    rows = cache.rows()
    used = np.unique(rows[rows >= 0])
    copy_passages(cache.passages, used, folder / PASSAGES_FILE)
    table = read_table(cache.folder / HITS_FILE)
    moved = np.where(rows >= 0, np.searchsorted(used, rows), rows).astype(np.int32)
    place = table.schema.get_field_index("rows")
    batch = pa.record_batch(
        [fixed_lists(moved) if i == place else column.combine_chunks() for i, column in enumerate(table.columns)],
        schema=table.schema,
    )
    write_batches(folder / HITS_FILE, table.schema, [batch])
    files = {name: describe_file(folder / name) for name in (HITS_FILE, PASSAGES_FILE)}
    exported: Manifest = replace(manifest, files=files, export={"passages": len(used)})
    write_json(folder / MANIFEST_FILE, exported.to_json())


def _ordered(cache: Cache, query_id: str) -> Iterator[tuple[str, int, np.float32]]:
    """Passage id, rank and score of one ranking, scores strictly falling."""
    ranking = cache.ranking(query_id)
    for hit, score in zip(ranking, falling(hit.score for hit in ranking), strict=True):
        for name in (query_id, hit.passage_id):
            if name.split() != [name]:
                raise CacheMismatch(f"the id {name!r} has spaces, which a TREC run cannot hold.")
        yield hit.passage_id, hit.rank, score


def falling(scores: Iterable[float]) -> Iterator[np.float32]:
    """The scores, each below the one before it: what ties is lowered by the smallest step of a float32."""
    last = np.float32(np.inf)
    for score in scores:
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        yield last
