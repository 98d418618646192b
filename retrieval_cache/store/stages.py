"""One artefact of a build: a folder of files that is complete once meta.json is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval_cache.files import (
    Progress,
    artefact_lock,
    copy_file,
    describe_file,
    read_json,
    remove_files,
    write_json,
)
from retrieval_cache.records import FORMAT_VERSION, CacheCorrupt

META_FILE = "meta.json"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Make = Callable[[], tuple[list[str], dict[str, Any]]]
"""Writes an artefact's files, keeping those an earlier try finished; gives names and facts."""


def complete(
    root: Path, folder: Path, key: str, make: Make, progress: Progress, sources: Sequence[Path] = ()
) -> dict[str, Any]:
    """Make the artefact with `key` in `folder` unless it is there whole; returns its meta.

    Of the other cache roots `sources`, the first that has it whole is copied from.
    Meta: format_version, key, files (name → sha256, size) and facts. Every byte
    is compared with it, because a flipped bit in an index would only show as
    other hits.
    """
    meta = read_meta(folder, key)
    if meta is not None and not _damaged(folder, meta):
        return meta
    with artefact_lock(root, folder, progress):
        meta = read_meta(folder, key)
        damaged = _damaged(folder, meta) if meta else []
        if meta is None or damaged:
            remove_files(folder, META_FILE)
            for name in damaged:
                progress(f"{folder / name} was changed or lost; making it again")
                remove_files(folder, name)
            meta = _copied(root, folder, key, progress, sources) or _made(key, folder, make)
            write_json(folder / META_FILE, meta)
    return meta


def damage(folder: Path, key: str) -> list[str] | None:
    """What is wrong with the files of an artefact, in sentences; None if it is not there, or not finished."""
    meta = read_meta(folder, key)
    return None if meta is None else [f"{folder / name} was changed or lost." for name in _damaged(folder, meta)]


def _made(key: str, folder: Path, make: Make) -> dict[str, Any]:
    names, facts = make()
    files = {name: describe_file(folder / name) for name in names}
    return {"format_version": FORMAT_VERSION, "key": key, "files": files, "facts": facts}


def _copied(root: Path, folder: Path, key: str, progress: Progress, sources: Sequence[Path]) -> dict[str, Any] | None:
    """The meta of the artefact after its files were copied from the first source that has them whole, if one has."""
    for source in sources:
        other = source / folder.relative_to(root)
        meta = read_meta(other, key)
        if meta is not None and not _damaged(other, meta):
            progress(f"copying {other}")
            for name in meta["files"]:
                copy_file(other / name, folder / name)
            if not _damaged(folder, meta):
                return meta
    return None


def read_meta(folder: Path, key: str) -> dict[str, Any] | None:
    """The meta of an artefact, None if it was never finished or is not about this one."""
    try:
        meta = read_json(folder / META_FILE)
        fits = meta["format_version"] == FORMAT_VERSION and meta["key"] == key
        names = list(meta["files"])
    except (FileNotFoundError, CacheCorrupt, KeyError, TypeError):
        return None
    return meta if fits and all(map(_FILE_NAME.fullmatch, names)) else None


def _damaged(folder: Path, meta: dict[str, Any]) -> list[str]:
    """Names of the files that are gone or not as described."""
    names = []
    for name, entry in meta["files"].items():
        try:
            whole = describe_file(folder / name) == entry
        except FileNotFoundError:
            whole = False
        if not whole:
            names.append(name)
    return names
