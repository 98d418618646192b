"""Pushing caches to a remote: hits, the passages they point into, manifests, and indexes if asked for.

Names are those below a cache root. A push never replaces other bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from retrieval_cache.audit import known_index_keys, verify
from retrieval_cache.files import Progress, describe_file, read_json, write_json
from retrieval_cache.records import CacheCorrupt, CacheMismatch
from retrieval_cache.store.cache import HITS_FILE, Cache
from retrieval_cache.store.caches import MANIFEST_FILE, index_folder
from retrieval_cache.store.current import CURRENT_FILE, last_builds
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.remote import Remote
from retrieval_cache.store.stages import META_FILE, read_meta


def push_caches(
    remote: Remote,
    caches: Sequence[Cache],
    root: Path,
    with_index: bool = False,
    progress: Progress = lambda line: None,
) -> int:
    """Send caches under `root` to a remote, in one go; returns how many were not there yet.

    Each is verified first: CacheCorrupt if one is damaged. CacheMismatch if the
    remote has other bytes under a name that is to be sent. RemoteError if the
    remote cannot be reached or refuses.
    """
    there = remote.names(to_send=True)
    files: dict[str, Path] = {}
    sent = 0
    for cache in caches:
        if problems := verify(cache.folder, root):
            raise CacheCorrupt(f"not pushed: {problems[0]}", "Build it again first.")
        wanted = _files_of(cache, root, with_index)
        for name in filter(there.__contains__, wanted):
            if not _same(remote, name, wanted[name]):
                raise CacheMismatch(
                    f"{remote.address} holds other bytes under {name} than {wanted[name]}.",
                    _other_bytes(name, cache),
                )
        sent += not wanted.keys() <= there
        files |= {name: path for name, path in wanted.items() if name not in there}
    with tempfile.TemporaryDirectory() as folder:
        files |= _notes(remote, there, caches, Path(folder))
        if files:
            progress(f"sending {len(files):,} files to {remote.address}")
            remote.send(files, f"Retrieval caches: {', '.join(map(_title, caches))}")
    return sent


def _other_bytes(name: str, cache: Cache) -> str:
    """What to do where a remote has other bytes under a name."""
    if name.startswith("passages/") or not {"vectors", "dense"} & cache.manifest.retriever.params.keys():
        return "They were made from the same things and should be equal: find out which to trust, and remove the other."
    return (
        "Both may be sound: vectors differ in their last bits on another kind of machine, and where they were taken "
        "over from other indexes (meta.json names these donors); scores differ with them. Either keep what is there, "
        "and pull it with its index to build on it, or remove it there and push again."
    )


def _same(remote: Remote, name: str, path: Path) -> bool:
    """Whether the remote's file has the bytes of `path`; a manifest may tell another story of how they came about."""
    if path.name != MANIFEST_FILE:
        return remote.sha256(name) == describe_file(path)["sha256"]
    with tempfile.TemporaryDirectory() as folder:
        remote.fetch([name], Path(folder))
        theirs, ours = (Manifest.from_json(read_json(file), str(file)) for file in (Path(folder) / name, path))
    return (theirs.key, theirs.files) == (ours.key, ours.files)


def _files_of(cache: Cache, root: Path, with_index: bool) -> dict[str, Path]:
    """What makes up a cache, by name; the manifest last, so that what can be seen is whole."""
    paths = [cache.passages.path, cache.folder / HITS_FILE]
    for key in known_index_keys(cache.manifest) if with_index else ():
        folder = index_folder(root, key)
        meta = read_meta(folder, key)
        if meta is None:
            raise CacheMismatch(f"the index {folder} is not here.", "Push without it, or build it again.")
        paths += [*(folder / name for name in meta["files"]), folder / META_FILE]
    paths.append(cache.folder / MANIFEST_FILE)
    return {path.relative_to(root).as_posix(): path for path in paths}


def _notes(remote: Remote, there: set[str], caches: Iterable[Cache], folder: Path) -> dict[str, Path]:
    """The remote's notes of last builds with those of the caches among them, written to `folder`; only changed ones."""
    changed = {}
    for base in dict.fromkeys(cache.folder.parent for cache in caches):
        name = f"hits/{base.parent.name}/{base.name}/{CURRENT_FILE}"
        if name in there:
            remote.fetch([name], folder)
        before = last_builds((folder / name).parent)
        keys = {cache.key for cache in caches if cache.folder.parent == base}
        noted = before | {asked: key for asked, key in last_builds(base).items() if key in keys}
        if noted != before:
            write_json(folder / name, noted)
            changed[name] = folder / name
    return changed


def _title(cache: Cache) -> str:
    return f"{cache.manifest.dataset} {cache.manifest.setting} {cache.folder.name}"
