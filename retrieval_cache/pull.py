"""Pulling caches from a remote.

Files are staged in `<root>/.incoming`, compared with the manifest to the last
byte and only then put in place, the manifest last: nothing that is damaged or
half there can be seen, and what was fetched before a break is not fetched again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval_cache.audit import known_index_keys, verify
from retrieval_cache.files import Progress, artefact_lock, describe_file, read_json, remove_files, write_json, writing
from retrieval_cache.records import FORMAT_VERSION, CacheCorrupt, CacheError, RemoteError, content_key, short_key
from retrieval_cache.store.cache import HITS_FILE, Cache
from retrieval_cache.store.caches import MANIFEST_FILE, hits_folder, index_folder, open_cache, passages_file
from retrieval_cache.store.current import CURRENT_FILE, last_builds, note_build, selections
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.remote import Remote
from retrieval_cache.store.stages import META_FILE, damage, read_meta

_MANIFEST = re.compile(r"hits/([a-z0-9][a-z0-9_]{0,63})/([a-z0-9][a-z0-9_]{0,63})/[0-9a-f]{16}/manifest\.json")

Chosen = Callable[[str, str], bool]
"""Whether caches of this data set and setting are wanted."""


@dataclass(frozen=True)
class _Pull:
    """One pull: from where, through which folder, to which cache root."""

    remote: Remote
    staging: Path
    root: Path
    progress: Progress
    sound: set[str] = field(default_factory=set)  # keys of passages and indexes that are here to the last byte

    def manifest(self, name: str) -> Manifest:
        """The manifest of that name, which must be about what the name says."""
        manifest = Manifest.from_json(read_json(self.staging / name), f"{self.remote.address}, {name}")
        folder = hits_folder(Path(), manifest.dataset, manifest.setting, manifest.key)
        if (folder / MANIFEST_FILE).as_posix() != name:
            raise CacheCorrupt(f"{self.remote.address}: {name} belongs to another folder.", "Push it again.")
        return manifest

    def cache(self, manifest: Manifest) -> Cache:
        """Fetch what of a cache is not here, check it, and put it in place."""
        folder = hits_folder(self.root, manifest.dataset, manifest.setting, manifest.key)
        with artefact_lock(self.root, folder, self.progress):
            self._passages(manifest, folder)
            found = _whole(folder, self.root)
            if found is None:
                self._file(folder / HITS_FILE, manifest.files[HITS_FILE])
                remove_files(folder, MANIFEST_FILE)
                self._install(folder / HITS_FILE)
                write_json(folder / MANIFEST_FILE, manifest.to_json())
                found = open_cache(folder, self.root)
                self.progress(f"pulled: {folder}")
            else:
                self.progress(f"here already: {folder}")
        return found

    def prefetch(self, manifests: Sequence[Manifest]) -> None:
        """Fetch at once what the manifests promise and is not here: hubs send several files at a time."""
        paths = []
        for manifest in manifests:
            folder = hits_folder(self.root, manifest.dataset, manifest.setting, manifest.key)
            paths += [folder / HITS_FILE, passages_file(self.root, folder, manifest)]
        missing = [self._name(path) for path in dict.fromkeys(paths) if not path.exists()]
        self.remote.fetch([name for name in missing if not (self.staging / name).is_file()], self.staging)

    def index(self, key: str) -> None:
        """Fetch an index as its meta.json describes it, unless it is here whole."""
        folder = index_folder(self.root, key)
        with artefact_lock(self.root, folder, self.progress):
            if self._sound(folder, key):
                return
            meta_file = self._fetched(folder / META_FILE)
            meta = read_meta(meta_file.parent, key)
            if meta is None:
                meta_file.unlink()
                raise CacheCorrupt(f"{self.remote.address}: {META_FILE} of the index {short_key(key)} cannot be used.")
            for name, entry in meta["files"].items():
                self._file(folder / name, entry)
            remove_files(folder, META_FILE)
            for name in meta["files"]:
                self._install(folder / name)
            write_json(folder / META_FILE, meta)

    def _passages(self, manifest: Manifest, folder: Path) -> None:
        path, entry = passages_file(self.root, folder, manifest), manifest.files[PASSAGES_FILE]
        if manifest.export is not None:
            if _whole(folder, self.root) is None:
                self._file(path, entry)
                remove_files(folder, MANIFEST_FILE)
                self._install(path)
            return
        key = manifest.passages_key
        with artefact_lock(self.root, path.parent, self.progress):
            if self._sound(path.parent, key):
                return
            self._file(path, entry)
            remove_files(path.parent, META_FILE)
            self._install(path)
            # What a build would write: all of it stands in the manifest.
            facts = {name: value for name, value in manifest.corpus.items() if name != "source"}
            meta = {"format_version": FORMAT_VERSION, "key": key, "facts": facts, "files": {PASSAGES_FILE: entry}}
            write_json(path.parent / META_FILE, meta)

    def _sound(self, folder: Path, key: str) -> bool:
        """Whether an artefact is here to the last byte; looked at once, since passages may have gigabytes."""
        if key not in self.sound and damage(folder, key) == []:
            self.sound.add(key)
        return key in self.sound

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _file(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Stage the file that is to lie at `path`; CacheCorrupt if it is not as described."""
        staged = self._fetched(path)
        if describe_file(staged) != entry:
            with writing(staged):
                staged.unlink()
            raise CacheCorrupt(
                f"{self.remote.address}: {self._name(path)} is not the file that its manifest describes.",
                "Pull again; if that does not help, push it again.",
            )

    def _fetched(self, path: Path) -> Path:
        staged = self.staging / self._name(path)
        if not staged.is_file():  # files appear there whole or not at all
            self.remote.fetch([self._name(path)], self.staging)
        return staged

    def _install(self, path: Path) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            (self.staging / path.relative_to(self.root)).replace(path)


def pull_caches(
    remote: Remote,
    root: Path,
    chosen: Chosen = lambda dataset, setting: True,
    with_index: bool = False,
    progress: Progress = lambda line: None,
) -> list[Cache]:
    """Fetch the chosen caches of a remote that are not under `root` yet; returns all of them, opened.

    Each becomes the last build wherever it is that on the remote, or the only one
    fetched of its setting. What was fetched before a break is not fetched again.
    Raises CacheCorrupt for files that are not what their manifest says, of which
    nothing appears under `root`, RemoteError if the remote fails or holds none.
    """
    root = Path(root)
    names = remote.names()
    wanted = sorted(name for name in names if (found := _MANIFEST.fullmatch(name)) and chosen(found[1], found[2]))
    if not wanted:
        raise RemoteError(f"{remote.address} holds no cache of what is asked for.", "Check the address and the tasks.")
    staging = root / ".incoming" / short_key(content_key("remote", {"address": remote.address}))
    with artefact_lock(root, staging, progress):
        pull = _Pull(remote, staging, root, progress)
        notes = sorted({_note_name(name) for name in wanted} & names)
        for name in (*wanted, *notes):  # these may have changed since a pull that broke off
            (staging / name).unlink(missing_ok=True)
        remote.fetch([*wanted, *notes], staging)
        manifests = [pull.manifest(name) for name in wanted]
        pull.prefetch(manifests)
        caches = [pull.cache(manifest) for manifest in manifests]
        for key in dict.fromkeys(key for manifest in manifests for key in known_index_keys(manifest) if with_index):
            pull.index(key)
        _note(staging, caches, root, progress)
        with writing(staging):
            shutil.rmtree(staging)
    return caches


def _note_name(manifest: str) -> str:
    return f"{manifest.rsplit('/', 2)[0]}/{CURRENT_FILE}"


def _note(staging: Path, caches: Sequence[Cache], root: Path, progress: Progress) -> None:
    """Note what was fetched as last builds, as the remote has noted it."""
    for base in dict.fromkeys(cache.folder.parent for cache in caches):
        fetched = [cache for cache in caches if cache.folder.parent == base]
        noted = last_builds(staging / base.relative_to(root))
        for cache in fetched:
            manifest = cache.manifest
            own = selections(manifest.retriever, manifest.chunker, manifest.k)
            last = [asked for asked in own if noted.get(asked) == cache.key]
            if last or len(fetched) == 1:
                note_build(root, base, last or own, cache.key, progress)


def _whole(folder: Path, root: Path) -> Cache | None:
    """The cache if it is here and sound, else None; the passages of a whole corpus are not read."""
    try:
        cache = open_cache(folder, root)
        return cache if cache.manifest.export is None or not verify(folder, root) else None
    except CacheError:
        return None
