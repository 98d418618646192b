"""Corpus → passages → index → hits, each stage resumable and shared where it can be.

Every artefact lies under a key of what made it, so a stage whose artefact is
complete is skipped, and a build that was killed, ran out of disk or lost its
machine goes on when it is started again. Several processes that build one
artefact share its embeddings and searches (`units`) and wait for each other in
all else. The bytes written are the same however often a build was stopped and
however many processes made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval_cache.checks import checked_queries, count_unmatched, refuse_empty
from retrieval_cache.chunking.chunker import Chunker, batches, chunker_libraries
from retrieval_cache.chunking.tokenizers import load_tokenizer
from retrieval_cache.corpus.articles import ArticleReader, check_broken, read_articles
from retrieval_cache.corpus.files import open_corpus
from retrieval_cache.corpus.known import known_corpus_sha256
from retrieval_cache.dense.donors import FILE as DONORS_FILE
from retrieval_cache.dense.donors import begun_with, facts_of_donor
from retrieval_cache.dense.embed import EMBEDDING
from retrieval_cache.estimate import WORTH_SAYING, duration, refuse_what_cannot_fit
from retrieval_cache.files import (
    Progress,
    artefact_lock,
    describe_file,
    remove_empty,
    remove_files,
    write_json,
)
from retrieval_cache.images import images_sha256, is_remote, pictures_sha256, query_image, resolve_image
from retrieval_cache.parallel import ordered_map
from retrieval_cache.records import (
    BuildSpec,
    CacheCorrupt,
    CacheIncomplete,
    CacheMismatch,
    CacheWriteError,
    CorpusError,
    Passage,
    Query,
    content_key,
)
from retrieval_cache.retriever import IndexFolder, Retriever, all_retrievers, key_of_index
from retrieval_cache.retrievers import Resources, make_retriever
from retrieval_cache.searches import SEARCHING, Searches, distinct
from retrieval_cache.store.cache import HITS_FILE, Cache, write_hits
from retrieval_cache.store.caches import (
    MANIFEST_FILE,
    VECTORS,
    hits_folder,
    index_folder,
    open_cache,
    passages_folder,
)
from retrieval_cache.store.current import note_build, selections
from retrieval_cache.store.manifest import Manifest, passages_key
from retrieval_cache.store.parts import PARTS, SHARDS, Block, part_paths
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.passages import PassageTable, write_passages
from retrieval_cache.store.stages import META_FILE, complete, read_meta
from retrieval_cache.units import share_units


def build_cache(
    spec: BuildSpec,
    queries: Iterable[Query],
    root: Path,
    progress: Progress = lambda line: None,
    resources: Resources = Resources(),  # noqa: B008  it is frozen
) -> Cache:
    """Make (or finish, or just open) the cache of `spec` and `queries` under `root`.

    `progress` gets a line per stage. Raises CorpusError for articles, images or
    queries that cannot be used and for queries without any hit, CacheWriteError
    when the disk refuses. The cache becomes the one that `find_cache` takes
    where several fit, also if there was nothing left to make.
    """
    return Build(spec, queries, Path(root), progress, resources=resources).run()


def estimate_build(
    spec: BuildSpec,
    queries: Iterable[Query],
    root: Path,
    progress: Progress,
    resources: Resources = Resources(),  # noqa: B008  it is frozen
) -> None:
    """Say through `progress` what `build_cache` has left to do; nothing but the passages is made.

    Raises DoesNotFit where disk or memory lack the room, and what `build_cache` raises.
    """
    Build(spec, queries, Path(root), progress, resources=resources).estimate()


class Build:
    """One build in its stages; `sources` are other cache roots that passages and indexes are copied from."""

    def __init__(
        self,
        spec: BuildSpec,
        queries: Iterable[Query],
        root: Path,
        progress: Progress,
        sources: Sequence[Path] = (),
        resources: Resources = Resources(),  # noqa: B008  it is frozen
    ) -> None:
        self.spec, self.root, self.progress, self.sources = spec, root, progress, sources
        self.corpus = open_corpus(spec.corpus)
        self.resources = replace(resources, kept=resources.kept or root / VECTORS)
        self.retriever: Retriever = make_retriever(spec.retriever, self.resources)
        self.queries = checked_queries(queries, self.retriever.uses_images)
        if spec.image_root is not None and not self.retriever.passage_images:
            progress(f"{spec.retriever.name} does not look at pictures of passages; the image folder is not read")
        # What a retriever does not see must not change its key.
        self.image_root = spec.image_root if self.retriever.passage_images else None
        self.pictures: dict[str, str | None] | None = None  # query id → sha256, once they were read

    def run(self) -> Cache:
        manifest = self.manifest()
        folder = self.folder(manifest)
        cache, made = self.finished(folder), False
        if cache is None or any(part_paths(folder)):
            index = None if cache else self._search_together(folder, manifest)
            with artefact_lock(self.root, folder, self.progress):
                cache = self.finished(folder)  # another build may have made it meanwhile
                if cache is None:
                    self._hits(folder, manifest, index or self.index(self.retriever, manifest))
                    cache, made = open_cache(folder, self.root), True
                self._remove_parts(folder)
        self._note(cache, made)
        self.progress(f"ready: {folder}, {len(self.queries):,} queries, k = {self.spec.k}")
        return cache

    def manifest(self) -> Manifest:
        """What the hits will be made from, complete but for their file; makes the passages if need be."""
        return self._manifest(*self._passages())

    def folder(self, manifest: Manifest) -> Path:
        """The hits folder."""
        return hits_folder(self.root, manifest.dataset, manifest.setting, manifest.key)

    def searches(self, manifest: Manifest) -> tuple[Searches, list[Block]]:
        """The distinct searches, and the blocks they are made in."""
        found = distinct(self.queries, self.pictures or {})
        return found, found.blocks(manifest, self.retriever.query_block)

    def _remove_parts(self, folder: Path) -> None:
        """Remove all parts, those of a query shard as soon as nobody is filling it."""
        remove_files(folder, PARTS)
        for shard in sorted(folder.glob(f"{SHARDS}/*")):
            with artefact_lock(self.root, shard, self.progress):
                remove_files(shard, PARTS)
                remove_empty(shard, shard.parent)

    def _note(self, cache: Cache, made: bool) -> None:
        """Note this build as the last with its retriever and chunker, and the last with any of either."""
        chosen = selections(self.spec.retriever, self.spec.chunker, self.spec.k)
        try:
            note_build(self.root, cache.folder.parent, chosen, cache.key, self.progress)
        except CacheWriteError as error:
            if made:
                raise
            # It was there whole, perhaps on a read-only disk: worth opening all the same.
            self.progress(f"note: this cache is not noted as the last build, because {error.message}")

    def _passages(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Cut the corpus if need be; returns its meta.json and the versions that shaped it."""
        corpus, chunker = self.corpus, self.spec.chunker
        sha = known_corpus_sha256(corpus, self.root)
        libraries = chunker_libraries(chunker)
        key = passages_key(sha, chunker, libraries)
        folder = passages_folder(self.root, key)

        def make() -> tuple[list[str], dict[str, Any]]:
            self.progress(f"passages: cutting {corpus.address}")
            reader = read_articles(corpus, self.spec.max_broken, self.progress)
            count = write_passages(folder / PASSAGES_FILE, self._cut(reader, sha))
            counts = {"articles": reader.read, "skipped": reader.skipped, "broken": reader.broken.total()}
            return [PASSAGES_FILE], {"sha256": sha, **counts, "passages": count}

        meta = complete(self.root, folder, key, make, self.progress, self.sources)
        facts = meta["facts"]
        # The passages may have been cut by a build that allowed more.
        check_broken(facts["broken"], facts["articles"] + facts["skipped"], self.spec.max_broken, corpus.address)
        self.progress(
            f"passages: {facts['passages']:,} from {facts['articles']:,} articles "
            f"({facts['skipped']:,} pages without content and {facts['broken']:,} broken lines left out)"
        )
        if not facts["passages"]:
            raise CorpusError(f"{corpus.address} gives no passage.", "Check that it is the right file.")
        return meta, libraries

    def _cut(self, reader: ArticleReader, sha: str) -> Iterator[Passage]:
        """The passages of a corpus, whose bytes must be those that the sha256 was computed from."""
        chunker = Chunker(self.spec.chunker, load_tokenizer(self.spec.chunker.tokenizer, self.resources.model))
        articles = reader.with_bar("cutting articles")
        for passages in ordered_map(chunker.cut, batches(articles)):
            yield from passages
        if reader.sha256 != sha:
            raise CorpusError(f"the corpus {reader.corpus.address} changed while it was being read.", "Build again.")

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
            corpus={**passages["facts"], "source": self.corpus.source},
            queries={"sha256": asked, "count": len(self.queries), "source": spec.queries_from},
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
        self.pictures = pictures_sha256((query.id, query_image(query)) for query in self.queries)
        queries = images_sha256(self.pictures)
        if self.image_root is None:
            return {"passages": None, "queries": queries}
        if not self.image_root.is_dir():
            raise CorpusError(f"there is no image folder {self.image_root}.", "Check the path.")
        files = [
            (address, resolve_image(self.image_root, address, f"passage {owner!r}"))
            for address, owner in sorted(passages.images().items())
            if not is_remote(address)
        ]
        return {"passages": images_sha256(pictures_sha256(files)), "queries": queries}

    def index(self, retriever: Retriever, manifest: Manifest) -> IndexFolder:
        """The index of a retriever and those of its components, made if need be."""
        parts = tuple(self.index(part, manifest) for part in retriever.components)
        key = key_of_index(retriever, manifest)
        index = IndexFolder(index_folder(self.root, key), parts)
        image_root = self.image_root if retriever.passage_images else None

        shared = read_meta(index.path, key) is None and not self.sources
        units = retriever.units(self._open_passages(manifest), index, image_root) if shared else ()

        def make() -> tuple[list[str], dict[str, Any]]:
            passages = self._open_passages(manifest)
            if not units:
                self.announce(retriever, passages, index)
            names = retriever.build(passages, index, image_root)
            if not retriever.embedder:
                return names, {}
            return [*names, DONORS_FILE], facts_of_donor(index.path, retriever.embedder, manifest.passages_key)

        if not all(unit.is_done() for unit in units):
            self.announce(retriever, self._open_passages(manifest), index)
            if retriever.embedder and (donors := begun_with(index.path)):
                self.progress(f"index: what {len(donors):,} other indexes of {retriever.spec.name} hold is taken over")
            share_units(units, self.root, EMBEDDING, "passages", self.progress)
        complete(self.root, index.path, key, make, self.progress, self.sources)
        return index

    def announce(self, retriever: Retriever, passages: PassageTable, index: IndexFolder) -> None:
        """Say what index is to be made and what that takes; DoesNotFit if it cannot be."""
        self.progress(f"index: {retriever.spec.name}, {retriever.plan(len(passages))}")
        self._estimate_index(retriever, passages, index)

    def estimate(self) -> None:
        """Cut the corpus if need be and say what is still to be made and searched; DoesNotFit if it cannot be."""
        manifest = self.manifest()
        if self.finished(self.folder(manifest)) is not None:
            self.progress("everything is there already")
            return
        passages = self._open_passages(manifest)
        for retriever in all_retrievers(self.retriever):
            index = IndexFolder(index_folder(self.root, key_of_index(retriever, manifest)))
            if not (index.path / META_FILE).exists():
                self._estimate_index(retriever, passages, index)
        self._estimate_search(self.searches(manifest)[0].queries, len(passages))

    def _estimate_index(self, retriever: Retriever, passages: PassageTable, index: IndexFolder) -> None:
        if len(passages) < WORTH_SAYING:
            return
        needs = retriever.needs(passages, index, self.image_root if retriever.passage_images else None)
        if needs.disk:
            refuse_what_cannot_fit(f"the index of {retriever.spec.name}", needs, index.path)
            self.progress(f"index: {retriever.spec.name} takes {needs}")

    def _estimate_search(self, queries: Sequence[Query], passages: int) -> None:
        if passages >= WORTH_SAYING and (seconds := self.retriever.search_seconds(queries, passages)):
            self.progress(f"hits: searching takes about {duration(seconds)}")

    def finished(self, folder: Path) -> Cache | None:
        """The cache if it is complete and whole, None if it is to be made (again)."""
        try:
            return open_cache(folder, self.root)
        except CacheIncomplete:
            return None
        except (CacheCorrupt, CacheMismatch) as error:  # the latter for another format
            self.progress(f"making hits again, because {error.message}")
            return None

    def _search_together(self, folder: Path, manifest: Manifest) -> IndexFolder:
        """Make the index and the parts of the hits with all other processes that build this cache."""
        index = self.index(self.retriever, manifest)
        asked, blocks = self.searches(manifest)
        self.progress(f"hits: {len(asked.queries):,} searches for {len(self.queries):,} queries")
        units = asked.units(blocks, folder, folder, lambda: self.retriever.open(index), self.progress)
        if not all(unit.is_done() for unit in units):
            self._estimate_search(asked.queries, manifest.corpus["passages"])
        share_units(units, self.root, SEARCHING, "queries", self.progress)
        return index

    def _hits(self, folder: Path, manifest: Manifest, index: IndexFolder) -> None:
        """Write the hits and then the manifest; what no part is there for is searched."""
        remove_files(folder, MANIFEST_FILE)
        asked, blocks = self.searches(manifest)
        parts = asked.run(blocks, folder, folder, lambda: self.retriever.open(index), self.progress)
        rows, scores = asked.spread(parts)
        refuse_empty(rows, self.queries, self.spec.retriever.name)
        queries = {**manifest.queries, "unmatched": count_unmatched(scores, self.queries, self.progress)}
        write_hits(folder / HITS_FILE, self.queries, rows, scores, self.pictures)
        files = {**manifest.files, HITS_FILE: describe_file(folder / HITS_FILE)}
        measured = self.retriever.measure(index, asked.queries, self.spec.k)
        manifest = replace(manifest, queries=queries, files=files, measured=measured)
        write_json(folder / MANIFEST_FILE, manifest.to_json())
