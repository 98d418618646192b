"""The cache on disk: where things lie, how they are opened, found and verified.

    <root>/passages/<key>/passages.arrow, meta.json
    <root>/indexes/<key>/…, meta.json                      (to build with; not needed to read)
    <root>/hits/<dataset>/<setting>/<key>/hits.arrow, manifest.json
    <root>/hits/<dataset>/<setting>/<key>/passages.arrow   (of an export: those the hits use, and no others)
    <root>/hits/<dataset>/<setting>/current.json           (which was built last)
    <root>/.locks/…, .known/sha256.json, .vectors/…        (of builds; nothing is lost with them)

`<key>` is the first 16 digits of a content key. meta.json and manifest.json
are written last: a folder without one is a build that did not finish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval_cache.files import file_sha256, read_json, reading
from retrieval_cache.records import (
    CacheCorrupt,
    CacheError,
    CacheIncomplete,
    CacheMismatch,
    CacheMissing,
    RetrieverSpec,
    Wanted,
    check_name,
    short_key,
)
from retrieval_cache.specs import as_made_here, retriever_names
from retrieval_cache.store.cache import HITS_FILE, Cache
from retrieval_cache.store.current import CURRENT_FILE, last_builds, selection
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import FILE as PASSAGES_FILE

MANIFEST_FILE = "manifest.json"

VECTORS = ".vectors"
"""Folder of a cache root where vectors of queries are kept, see `encoders.kept`."""

_KEY_FOLDER = re.compile(r"[0-9a-f]{16}")
_REFETCH = "Delete it and build or fetch the cache again."


def passages_folder(root: Path, key: str) -> Path:
    """Where the passages with this (full) key lie."""
    return root / "passages" / short_key(key)


def passages_file(root: Path, hits: Path, manifest: Manifest) -> Path:
    """The passages that the hits in the folder `hits` point into: of the whole corpus, or an export's own."""
    folder = passages_folder(root, manifest.passages_key) if manifest.export is None else hits
    return folder / PASSAGES_FILE


def index_folder(root: Path, key: str) -> Path:
    """Where the index with this (full) key lies."""
    return root / "indexes" / short_key(key)


def hits_folder(root: Path, dataset: str, setting: str, key: str) -> Path:
    """Where the hits with this (full) key lie."""
    return _base(root, dataset, setting) / short_key(key)


def _base(root: Path, dataset: str, setting: str) -> Path:
    """Where all hits of a dataset and setting lie."""
    check_name("dataset", dataset)
    check_name("setting", setting)
    return Path(root) / "hits" / dataset / setting


def find_cache(root: Path, wanted: Wanted, fix: str = "") -> Cache:
    """Open the cache under `root` that is what `wanted` asks for.

    Where several fit, the one that was built last is taken: they differ in what
    `wanted` leaves open, such as the questions, and `Cache.hits` refuses
    questions it was not made for. If none of them is known to be the last,
    nothing is chosen.

    `fix` says what to do about any failure, such as the command that builds
    the cache; it ends every message, also those of the returned cache.
    Raises CacheMissing, CacheIncomplete, CacheMismatch or CacheCorrupt.
    """
    root = Path(root)
    try:
        return open_cache(_choose(root, wanted), root, fix)
    except CacheError as error:
        raise type(error)(error.message, fix or error.fix) from error


def open_cache(folder: Path, root: Path | None = None, fix: str = "") -> Cache:
    """Open a hits folder whose passages lie under the same root.

    Checks sizes of both files, the sha256 of the hits and that rows and counts
    fit; the sha256 of the passages (which may be gigabytes) is left to `verify`.
    """
    folder = Path(folder)
    root = Path(root) if root is not None else folder.parents[3]
    manifest = read_manifest(folder)
    hits = folder / HITS_FILE
    passages = passages_file(root, folder, manifest)
    for path in (hits, passages):
        _check_size(path, manifest.files[path.name]["size"])
    if sha256_of(hits) != manifest.files[HITS_FILE]["sha256"]:
        raise CacheCorrupt(f"{hits} was changed: its sha256 is not the manifest's.", _REFETCH)
    return Cache(manifest, hits, passages, fix)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a hits folder; CacheIncomplete if it was never written."""
    path = folder / MANIFEST_FILE
    try:
        value = read_json(path)
    except FileNotFoundError as error:
        raise CacheIncomplete(
            f"{folder} holds an unfinished build (no {MANIFEST_FILE}).",
            "Run the same build again: it goes on from where it stopped.",
        ) from error
    manifest = Manifest.from_json(value, str(path))
    if short_key(manifest.key) != folder.name:
        raise CacheCorrupt(f"{path} belongs to another folder (key {manifest.key}).", _REFETCH)
    return manifest


@dataclass(frozen=True)
class CacheEntry:
    """One hits folder; `manifest` is None where `problem` says why it cannot be used."""

    folder: Path
    dataset: str
    setting: str
    manifest: Manifest | None
    problem: str = ""


def list_caches(root: Path) -> list[CacheEntry]:
    """All caches under `root`, the unusable ones too, sorted by dataset, setting and key."""
    entries = []
    for base in sorted(Path(root).glob("hits/*/*")):
        entries.extend(_entries(base))
    return entries


def has_caches(root: Path, dataset: str, setting: str) -> bool:
    """Whether anything was built for a dataset and setting, finished or not, of whatever kind. Opens nothing."""
    return any(_KEY_FOLDER.fullmatch(path.name) for path in _base(root, dataset, setting).glob("*"))


def last_change(root: Path, dataset: str, setting: str) -> tuple[int, int] | None:
    """Differs from what it was before if another cache was built last since; None if no build was noted."""
    try:
        found = (_base(root, dataset, setting) / CURRENT_FILE).stat()
    except OSError:
        return None
    # The note is replaced, never changed: two within one tick of the clock are two files all the same.
    return found.st_mtime_ns, found.st_ino


def _entries(base: Path) -> Iterator[CacheEntry]:
    folders = base.iterdir() if base.is_dir() else ()
    for folder in sorted(folders):
        if not _KEY_FOLDER.fullmatch(folder.name):
            continue
        names = (folder, base.parent.name, base.name)
        try:
            manifest = read_manifest(folder)
            if (manifest.dataset, manifest.setting) != names[1:]:
                raise CacheCorrupt(f"{folder} lies under another dataset or setting.", _REFETCH)
            yield CacheEntry(*names, manifest)
        except CacheError as error:
            yield CacheEntry(*names, None, problem=error.message)


def _choose(root: Path, wanted: Wanted) -> Path:
    what = f"{wanted.dataset}/{wanted.setting}"
    base = _base(root, wanted.dataset, wanted.setting)
    entries = list(_entries(base))
    if not entries:
        raise CacheMissing(f"there is no retrieval cache for {what} under {root}.")
    compared = [(_differences(entry.manifest, wanted), entry) for entry in entries if entry.manifest is not None]
    matching = [entry for differences, entry in compared if not differences]
    if len(matching) == 1:
        return matching[0].folder
    if matching:
        return _last_built(base, matching, wanted)
    if not compared:
        # All are unusable; opening one says why, a finished one first.
        broken = [e for e in entries if (e.folder / MANIFEST_FILE).exists()] or entries
        return broken[0].folder
    differences, nearest = min(compared, key=lambda pair: len(pair[0]))
    raise CacheMismatch(
        f"the retrieval cache for {what} under {root} was made for something else"
        f" ({len(compared)} there, nearest {nearest.folder.name}): {'; '.join(differences)}."
    )


def _last_built(base: Path, fitting: list[CacheEntry], wanted: Wanted) -> Path:
    noted = last_builds(base)
    key = noted.get(selection(wanted.retriever, wanted.chunker, wanted.k))
    for entry in fitting:
        if entry.manifest is not None and entry.manifest.key == key:
            return entry.folder
    keys = ", ".join(entry.folder.name for entry in fitting)
    raise CacheMismatch(
        f"{len(fitting)} caches in {base} fit equally: {keys}. They differ in what was not asked for "
        "(questions, library versions or, if left open, corpus, retriever and chunker), and none of them is noted as "
        "the last build. Build it again, the last build is used; or delete the others."
    )


def _differences(manifest: Manifest, wanted: Wanted) -> list[str]:
    """What a cache has and the task wants otherwise, in words."""
    pairs = [*_of_retriever(manifest.retriever, wanted.retriever), ("k", manifest.k, wanted.k)]
    for name, value in (wanted.chunker.to_json() if wanted.chunker else {}).items():
        pairs.append((f"chunker {name}", manifest.chunker.to_json()[name], value))
    if wanted.corpus_sha256 is not None:
        pairs.append(("corpus", manifest.corpus["sha256"], wanted.corpus_sha256))
    source = manifest.queries["source"]
    if wanted.queries_from is not None and source is not None:
        pairs.append(("queries made from", source, wanted.queries_from))
    if wanted.key is not None and not manifest.key.startswith(wanted.key):
        pairs.append(("key", manifest.key, wanted.key))
    return [f"{name}: cache {a!r}, task {b!r}" for name, a, b in pairs if a != b]


def _of_retriever(has: RetrieverSpec, wants: RetrieverSpec | None) -> list[tuple[str, Any, Any]]:
    """Names and both values of what makes up a retriever."""
    if wants is None:
        try:
            wants = as_made_here(has)
        except ValueError:
            return [("retriever", has.name, " or ".join(retriever_names()))]
    pairs: list[tuple[str, Any, Any]] = [
        ("retriever", has.name, wants.name),
        ("retriever revision", has.revision, wants.revision),
        ("retriever instruction", has.instruction, wants.instruction),
    ]
    if has.name == wants.name:
        for name in sorted({*has.params, *wants.params}):
            pairs.append((f"retriever {name}", has.params.get(name), wants.params.get(name)))
    return pairs


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file that is there; what cannot be read raises CacheCorrupt."""
    with reading(path):
        return file_sha256(path)


def _check_size(path: Path, size: int) -> None:
    try:
        with reading(path):
            found = path.stat().st_size
    except FileNotFoundError as error:
        raise CacheIncomplete(f"{path} is gone, though its cache was finished.") from error
    if found != size:
        raise CacheCorrupt(f"{path} has {found:,} bytes where the manifest says {size:,}.", _REFETCH)
