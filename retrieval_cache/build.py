"""Corpus → passages → index → hits, each stage resumable and shared where it can be.

Every artefact lies under a key of what made it, so a stage whose artefact is
complete is skipped, and a build that was killed, ran out of disk or lost its
machine goes on when it is started again. Two builds of one artefact wait for
each other. The bytes written are the same however often a build was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from retrieval_cache.arrow import fixed_lists, from_fixed_lists, read_table, write_table
from retrieval_cache.cache import HITS_FILE, Cache, write_hits
from retrieval_cache.chunk import Chunker, chunker_libraries
from retrieval_cache.corpus import ArticleReader, read_articles
from retrieval_cache.files import (
    Progress,
    artefact_lock,
    describe_file,
    file_sha256,
    remove_files,
    write_json,
)
from retrieval_cache.images import images_sha256, is_remote, query_image, resolve_image
from retrieval_cache.manifest import Manifest, passages_key
from retrieval_cache.parallel import ordered_map
from retrieval_cache.passages import FILE as PASSAGES_FILE
from retrieval_cache.passages import PassageTable, write_passages
from retrieval_cache.ranking import NO_ROW
from retrieval_cache.records import (
    BuildSpec,
    CacheCorrupt,
    CacheIncomplete,
    CorpusError,
    Passage,
    Query,
    content_key,
)
from retrieval_cache.retrievers import Retriever, make_retriever
from retrieval_cache.stages import complete
from retrieval_cache.store import (
    MANIFEST_FILE,
    hits_folder,
    index_folder,
    open_cache,
    passages_folder,
)

QUERY_BLOCK = 256
"""Searches per partial file: what a killed build may lose."""

_PARTS = "part-*.arrow"
_Part = tuple[np.ndarray, np.ndarray]


def build_cache(spec: BuildSpec, queries: Iterable[Query], root: Path, progress: Progress = lambda line: None) -> Cache:
    """Make (or finish, or just open) the cache of `spec` and `queries` under `root`.

    `progress` gets a line per stage. Raises CorpusError for articles, images or
    queries that cannot be used and for queries without any hit, CacheWriteError
    when the disk refuses.
    """
    return _Build(spec, queries, Path(root), progress).run()


build = build_cache
"""Short name for those who import it from this module; the package cannot export
it, because there `build` is this module."""


class _Build:
    def __init__(self, spec: BuildSpec, queries: Iterable[Query], root: Path, progress: Progress) -> None:
        self.spec, self.root, self.progress = spec, root, progress
        self.retriever: Retriever = make_retriever(spec.retriever)
        self.queries = _checked(queries, self.retriever.uses_images)
        if spec.image_root is not None and not self.retriever.uses_images:
            progress(f"{spec.retriever.name} does not look at images; the image folder is not read")
        # Text retrievers do not see images, so the root must not change their keys.
        self.image_root = spec.image_root if self.retriever.uses_images else None

    def run(self) -> Cache:
        manifest = self._manifest(*self._passages())
        folder = hits_folder(self.root, manifest.dataset, manifest.setting, manifest.key)
        cache = self._finished(folder)
        if cache is None or any(folder.glob(_PARTS)):
            with artefact_lock(self.root, folder, self.progress):
                cache = self._finished(folder)  # another build may have made it meanwhile
                if cache is None:
                    self._hits(folder, manifest)
                    cache = open_cache(folder, self.root)
                remove_files(folder, _PARTS)
        self.progress(f"ready: {folder}, {len(self.queries):,} queries, k = {self.spec.k}")
        return cache

    def _passages(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Cut the corpus if need be; returns its meta.json and the versions that shaped it."""
        corpus, chunker = self.spec.corpus, self.spec.chunker
        try:
            sha = file_sha256(corpus)
        except OSError as error:
            raise CorpusError(
                f"the corpus file {corpus} cannot be read ({error.strerror}).",
                "Check the path, or fetch the corpus.",
            ) from error
        libraries = chunker_libraries(chunker)
        key = passages_key(sha, chunker, libraries)
        folder = passages_folder(self.root, key)

        def make() -> tuple[list[str], dict[str, Any]]:
            self.progress(f"passages: cutting {corpus}")
            reader = read_articles(corpus)
            count = write_passages(folder / PASSAGES_FILE, self._cut(reader))
            facts = {"sha256": sha, "articles": reader.read, "skipped": reader.skipped}
            return [PASSAGES_FILE], facts | {"passages": count}

        meta = complete(self.root, folder, key, make, self.progress)
        facts = meta["facts"]
        self.progress(
            f"passages: {facts['passages']:,} from {facts['articles']:,} articles "
            f"({facts['skipped']:,} pages without content left out)"
        )
        if not facts["passages"]:
            raise CorpusError(f"{corpus} gives no passage.", "Check that it is the right file.")
        return meta, libraries

    def _cut(self, reader: ArticleReader) -> Iterator[Passage]:
        chunker = Chunker(self.spec.chunker)
        articles = tqdm(reader, "cutting articles", delay=2, disable=None)
        for passages in ordered_map(lambda article: list(chunker.passages(article)), articles):
            yield from passages

    def _manifest(self, passages: dict[str, Any], libraries: dict[str, str]) -> Manifest:
        """The manifest, complete but for its entry of the hits file."""
        spec = self.spec
        asked = content_key("queries", {"all": [[q.id, q.digest()] for q in self.queries]})
        manifest = Manifest(
            key="",
            dataset=spec.dataset,
            setting=spec.setting,
            k=spec.k,
            retriever=spec.retriever,
            chunker=spec.chunker,
            corpus=passages["facts"],
            queries={"sha256": asked, "count": len(self.queries)},
            images={"passages": None, "queries": None},
            libraries={
                "passages": libraries,
                "index": self.retriever.index_libraries,
                "search": self.retriever.search_libraries,
            },
            files={PASSAGES_FILE: passages["files"][PASSAGES_FILE]},
        )
        if self.retriever.uses_images:
            table = self._open_passages(manifest)
            manifest = replace(manifest, images=self._images(table))
        return replace(manifest, key=manifest.derived_key())

    def _open_passages(self, manifest: Manifest) -> PassageTable:
        return PassageTable(passages_folder(self.root, manifest.passages_key) / PASSAGES_FILE)

    def _images(self, passages: PassageTable) -> dict[str, str | None]:
        """Digests of the pictures that will be read, so that new pictures give a new key."""
        queries = images_sha256((query.id, query_image(query)) for query in self.queries)
        if self.image_root is None:
            return {"passages": None, "queries": queries}
        if not self.image_root.is_dir():
            raise CorpusError(f"there is no image folder {self.image_root}.", "Check the path.")
        files = [
            (address, resolve_image(self.image_root, address, f"passage {owner!r}"))
            for address, owner in sorted(passages.images().items())
            if not is_remote(address)
        ]
        return {"passages": images_sha256(files), "queries": queries}

    def _index(self, manifest: Manifest) -> Path:
        """The folder of the index, made if need be."""
        passages = self._open_passages(manifest)
        folder = index_folder(self.root, manifest.index_key)

        def make() -> tuple[list[str], dict[str, Any]]:
            self.progress(f"index: {self.spec.retriever.name}, {self.retriever.plan(len(passages))}")
            return self.retriever.build(passages, folder, self.image_root), {}

        complete(self.root, folder, manifest.index_key, make, self.progress)
        return folder

    def _finished(self, folder: Path) -> Cache | None:
        """The cache if it is complete and whole, None if it is to be made (again)."""
        try:
            return open_cache(folder, self.root)
        except CacheIncomplete:
            return None
        except CacheCorrupt as error:
            self.progress(f"making hits again, because {error.message}")
            return None

    def _hits(self, folder: Path, manifest: Manifest) -> None:
        """Search all queries, write the hits and then the manifest."""
        remove_files(folder, MANIFEST_FILE)
        index = self._index(manifest)
        searches, place = self._searches()
        self.progress(f"hits: {len(searches):,} searches for {len(self.queries):,} queries")
        parts = list(self._parts(index, folder, searches))
        rows = np.concatenate([part[0] for part in parts])[place]
        scores = np.concatenate([part[1] for part in parts])[place]
        self._refuse_empty(rows)
        self._count_strangers(scores)
        write_hits(folder / HITS_FILE, self.queries, rows, scores)
        files = {**manifest.files, HITS_FILE: describe_file(folder / HITS_FILE)}
        write_json(folder / MANIFEST_FILE, replace(manifest, files=files).to_json())

    def _parts(self, index: Path, folder: Path, searches: list[Query]) -> Iterator[_Part]:
        """Rows and scores block by block, from earlier tries where they finished one."""
        searcher = None
        starts = range(0, len(searches), QUERY_BLOCK)
        for number, start in enumerate(tqdm(starts, "searching", delay=2, disable=None)):
            block = searches[start : start + QUERY_BLOCK]
            path = folder / f"part-{number:05d}.arrow"
            part = self._read_part(path, len(block))
            if part is None:
                searcher = searcher or self.retriever.open(index)
                part = searcher.search(block, self.spec.k)
                write_table(path, {"rows": fixed_lists(part[0]), "scores": fixed_lists(part[1])})
            yield part

    def _searches(self) -> tuple[list[Query], np.ndarray]:
        """One query per distinct search, and for each query the number of its search."""
        numbers: dict[Any, int] = {}
        searches, place = [], []
        for query in self.queries:
            key = self.retriever.search_key(query)
            if key not in numbers:
                numbers[key] = len(searches)
                searches.append(query)
            place.append(numbers[key])
        return searches, np.asarray(place)

    def _read_part(self, path: Path, count: int) -> _Part | None:
        """A block that an earlier build finished, or None."""
        try:
            table = read_table(path)
            rows, scores = (from_fixed_lists(table[n], self.spec.k) for n in ("rows", "scores"))
        except (FileNotFoundError, CacheCorrupt, KeyError):
            return None
        return (rows, scores) if len(rows) == count else None

    def _refuse_empty(self, rows: np.ndarray) -> None:
        """A query without hits must never reach a model as a prompt without context."""
        empty = np.flatnonzero(rows[:, 0] == NO_ROW)
        if len(empty):
            ids = ", ".join(repr(self.queries[i].id) for i in empty[:5])
            raise CorpusError(
                f"{self.spec.retriever.name} finds no passage at all for {len(empty):,} of "
                f"{len(self.queries):,} queries: {ids}{', …' if len(empty) > 5 else ''}.",
                "Add articles in their language to the corpus, or use a dense retriever.",
            )

    def _count_strangers(self, scores: np.ndarray) -> None:
        """Say how many queries BM25 could only give arbitrary passages: all score 0."""
        strangers = np.flatnonzero(scores[:, 0] == 0)
        if len(strangers):
            self.progress(
                f"note: {len(strangers):,} of {len(self.queries):,} queries share no term with any passage, "
                f"e.g. {self.queries[strangers[0]].id!r}; their passages have score 0. "
                "Are there articles in their language?"
            )


def _checked(queries: Iterable[Query], with_images: bool) -> list[Query]:
    """The queries sorted by id; duplicates and those with nothing to search by are refused."""
    by_id: dict[str, Query] = {}
    for query in queries:
        if query.id in by_id:
            raise CorpusError(f"two queries have the id {query.id!r}.", "Give each its own id.")
        has_image = query.image_id is not None or query.image_path is not None
        if not query.text.strip() and not (with_images and has_image):
            what = "no text and no image" if with_images else "no text, and no image is looked at"
            raise CorpusError(
                f"query {query.id!r} is empty: {what}.",
                "Leave it out, or find out where its text was lost.",
            )
        by_id[query.id] = query
    if not by_id:
        raise CorpusError("there are no queries to search for.", "Check the dataset.")
    return [by_id[query_id] for query_id in sorted(by_id)]
