"""Query shards: several processes or machines search for one cache, and one joins what they found.

A shard is a range of the distinct searches, in whole blocks. Shards of one
shared cache root need nothing else: each leaves its parts there, and whoever
builds or merges last finds all of them. Shards of other roots are merged from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval_cache.build import Build
from retrieval_cache.files import Progress, artefact_lock
from retrieval_cache.records import BuildSpec, CacheIncomplete, CacheMissing, Query
from retrieval_cache.retrievers import Resources
from retrieval_cache.searches import SEARCHING, load
from retrieval_cache.store.cache import Cache
from retrieval_cache.store.parts import SHARDS, Block, write_part
from retrieval_cache.units import make_units


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`, counted from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(
                f"there is no shard {self.number} of {self.count}; give 1/{self.count} to {self.count}/{self.count}"
            )

    def of(self, blocks: Sequence[Block]) -> Sequence[Block]:
        """Its blocks: those of all shards together are all blocks, in order."""
        return blocks[(self.number - 1) * len(blocks) // self.count : self.number * len(blocks) // self.count]


def build_shard(
    spec: BuildSpec,
    queries: Iterable[Query],
    root: Path,
    shard: Shard,
    progress: Progress = lambda line: None,
    resources: Resources = Resources(),  # noqa: B008  it is frozen
) -> tuple[int, int]:
    """Search one shard of a build, leaving part files and no manifest; returns its searches and those of the build.

    Takes all `queries` of the build. Shards may run at the same time on one
    root: they share the embeddings of the index, all else is made by the first
    and the others wait.
    Nothing is done if the cache is finished. Errors as for `build_cache`.
    """
    build = Build(spec, queries, Path(root), progress, resources=resources)
    manifest = build.manifest()
    folder = build.folder(manifest)
    asked, blocks = build.searches(manifest)
    mine = shard.of(blocks)
    count = sum(block.stop - block.start for block in mine)
    if build.finished(folder) is not None:
        progress(f"{folder} is finished already; there is nothing to search")
        return count, len(asked.queries)
    index = build.index(build.retriever, manifest)
    own = folder / SHARDS / f"{shard.number}-of-{shard.count}"
    with artefact_lock(build.root, own, progress):
        progress(f"shard {shard.number}/{shard.count}: {count:,} of {len(asked.queries):,} searches")
        units = asked.units(mine, folder, own, lambda: build.retriever.open(index), progress)
        make_units(units, SEARCHING, "queries")
    return count, len(asked.queries)


def merge_cache(
    spec: BuildSpec,
    queries: Iterable[Query],
    root: Path,
    sources: Sequence[Path] = (),
    progress: Progress = lambda line: None,
    resources: Resources = Resources(),  # noqa: B008  it is frozen
) -> Cache:
    """Join the shards of a build into its cache under `root`; nothing is searched.

    Parts are taken from `root` and from the other cache roots `sources`, each
    checked first, and kept under `root`; so are passages and index if they are
    missing here. The files are those of a build without shards. Raises
    CacheIncomplete with the ranges of searches that no part was found for.
    """
    sources = [Path(source) for source in sources]
    for source in sources:
        if not source.is_dir():
            raise CacheMissing(
                f"there is no cache folder {source}.", "Name the cache root that a shard was built under."
            )
    build = Build(spec, queries, Path(root), progress, sources, resources)
    manifest = build.manifest()
    folder = build.folder(manifest)
    if build.finished(folder) is None:
        _, blocks = build.searches(manifest)
        with artefact_lock(build.root, folder, progress):
            missing = [block for block in blocks if not _gathered(block, build, folder)]
        if missing:
            raise CacheIncomplete(
                f"{len(missing):,} of {len(blocks):,} blocks of {folder} were not searched: searches "
                f"{_ranges(missing)} of {blocks[0].of:,}.",
                "Build the shards they belong to, name where they lie by --from, or build without --shard, "
                "which searches what is missing.",
            )
    return build.run()


def _gathered(block: Block, build: Build, folder: Path) -> bool:
    """Whether the hits folder holds a part of the block, if need be after taking it from a source."""
    if load(block, folder, build.progress) is not None:
        return True
    for source in build.sources:
        found = load(block, source / folder.relative_to(build.root), build.progress)
        if found is not None:
            write_part(folder / block.name, block, found)
            return True
    return False


def _ranges(blocks: Sequence[Block]) -> str:
    """Searches of blocks in words, counted from 1, neighbours joined: 1–512, 1,025–1,280."""
    ranges: list[list[int]] = []
    for block in blocks:
        if ranges and ranges[-1][1] == block.start:
            ranges[-1][1] = block.stop
        else:
            ranges.append([block.start, block.stop])
    shown = [f"{start + 1:,}–{stop:,}" for start, stop in ranges[:8]]
    return ", ".join(shown) + (", …" if len(ranges) > len(shown) else "")
