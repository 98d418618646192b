"""Files of the cache: written whole or not at all, hashed, locked.

A file appears under its own name only when all its bytes are on disk (temp
file in the same folder, fsync, os.replace). Whatever the system refuses while
writing becomes one CacheWriteError that names the path. Code that runs inside
`atomic_file` must turn its own read errors into other classes first.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import filelock

from retrieval_cache.records import CacheCorrupt, CacheWriteError

TEMP_SUFFIX = ".tmp"
_READ_BLOCK = 1 << 20

Progress = Callable[[str], None]
"""Called with one line of text per stage of a build."""

_ADVICE = {
    errno.ENOSPC: "Free some space there or choose another cache root; the build then goes on from where it stopped.",
    errno.EDQUOT: "Your quota is used up: free some space or choose another cache root; the "
    "build then goes on from where it stopped.",
    errno.EROFS: "Choose a cache root that can be written to.",
    errno.EACCES: "Choose a cache root that you may write to, or change its permissions.",
    errno.EPERM: "Choose a cache root that you may write to, or change its permissions.",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any OSError inside into a CacheWriteError that names `path`."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = _ADVICE.get(error.errno or 0, "Check the disk that holds this path.")
        raise CacheWriteError(f"cannot write {path}: {reason}.", advice) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temp file beside `path` that takes its place when the block ends well."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temp = tempfile.mkstemp(prefix=path.name + ".", suffix=TEMP_SUFFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files private; a cache is usually shared.
            Path(temp).chmod(0o666 & ~_umask())
            os.replace(temp, path)  # noqa: PTH105  tests make this very call fail
            _sync_folder(path.parent)
        except BaseException:
            Path(temp).unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON (sorted keys, two spaces, final newline), atomically."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as file:
        file.write((text + "\n").encode("utf-8"))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError inside into CacheCorrupt; absence stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheCorrupt(f"{path} cannot be read: {reason}.", "Check its permissions.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file; unreadable content raises CacheCorrupt, absence FileNotFoundError."""
    try:
        with reading(path):
            return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # the latter for nesting without end
        raise CacheCorrupt(f"{path} is not readable JSON ({error}).", _REBUILD) from error


_REBUILD = "Delete its folder and build or fetch the cache again."


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read 1 MiB at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """The {"sha256", "size"} entry (size in bytes) that manifests keep of a file."""
    return {"sha256": file_sha256(path), "size": path.stat().st_size}


@contextmanager
def artefact_lock(root: Path, folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of one artefact folder; say so when another build has it.

    Locks lie in `<root>/.locks`, outside the artefacts. The system releases
    them when a process dies, so a killed build blocks nobody. Temp files that
    a killed build left in the folder are removed.
    """
    path = lock_path(root, folder)
    lock = filelock.FileLock(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            progress(f"another build is making {folder}; waiting until it is done ({path})")
            lock.acquire()
    try:
        remove_files(folder, f"*{TEMP_SUFFIX}")
        yield
    finally:
        lock.release()


@contextmanager
def brief_lock(root: Path, path: Path) -> Iterator[None]:
    """Hold the lock of one file below `root`, waiting for it without a word: for what takes a moment."""
    place = lock_path(root, path)
    lock = filelock.FileLock(place)
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_path(root: Path, path: Path) -> Path:
    """The lock file of something below `root`."""
    return root / ".locks" / f"{'-'.join(path.relative_to(root).parts)}.lock"


def remove_files(folder: Path, pattern: str) -> None:
    """Remove the files of `folder` that match; a missing folder is fine."""
    with writing(folder):
        for path in sorted(folder.glob(pattern)):
            path.unlink(missing_ok=True)


def remove_empty(*folders: Path) -> None:
    """Remove those of the folders that are empty, in the order given."""
    for folder in folders:
        with contextlib.suppress(OSError):  # not empty, or gone
            folder.rmdir()


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes to `target`, atomically; a source that cannot be read raises CacheCorrupt."""
    with reading(source):
        original = source.open("rb")
    with original, atomic_file(target) as file:
        while block := _read_block(original, source):
            file.write(block)


def _read_block(file: IO[bytes], path: Path) -> bytes:
    with reading(path):
        return file.read(_READ_BLOCK)


def _umask() -> int:
    """This process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some network file systems refuse, which is harmless."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
