"""Places outside the cache folder that caches are pushed to and pulled from: a folder, or a hub data set.

A remote holds files under the names they have below a cache root. The names
are always ours, made from keys: what a remote lists is only looked through.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from retrieval_cache.files import copy_file, file_sha256, reading, writing
from retrieval_cache.records import CacheCorrupt, RemoteError

_HUB = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?/?")


class Remote(Protocol):
    """Files by name; `/` separates folders. Whatever goes wrong with the place is a RemoteError."""

    address: str

    def names(self, to_send: bool = False) -> set[str]:
        """The names of all files there; `to_send`: a place that is yet to be made has none."""
        ...

    def sha256(self, name: str) -> str:
        """Hex sha256 of a file that is there."""
        ...

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        """Copy files to the same names below `folder`, each whole or not at all."""
        ...

    def send(self, files: Mapping[str, Path], message: str) -> None:
        """Copy local files to these names, in this order; `message` says what they are."""
        ...


def open_remote(address: str) -> Remote:
    """The remote with this address: `/path`, `file:///path` or `hf://datasets/OWNER/NAME[@REVISION]`."""
    if hub := _HUB.fullmatch(address):
        return HubRemote(hub[1], hub[2])
    if address.startswith("hf:") or ("://" in address and not address.startswith("file://")):
        raise RemoteError(
            f"{address!r} is not an address of caches.",
            "Give a folder, or hf://datasets/OWNER/NAME with @REVISION behind it if need be.",
        )
    path = unquote(urlsplit(address).path) if address.startswith("file://") else address
    return FolderRemote(Path(path).expanduser())


class FolderRemote:
    """A folder, such as one on a network drive. It can be read as a cache root itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = str(path)

    def names(self, to_send: bool = False) -> set[str]:
        if not self.path.is_dir() and (self.path.exists() or not to_send):
            raise RemoteError(f"{self.path} is not a folder.", "Check the path.")
        found = (path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix() for path in found}

    def sha256(self, name: str) -> str:
        with self._present(name) as path, reading(path):
            return file_sha256(path)

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        for name in names:
            with self._present(name) as path:
                copy_file(path, folder / name)

    def send(self, files: Mapping[str, Path], message: str) -> None:
        for name, path in files.items():
            copy_file(path, self._inside(name))

    @contextmanager
    def _present(self, name: str) -> Iterator[Path]:
        try:
            yield self._inside(name)
        except FileNotFoundError as error:
            raise RemoteError(f"{self.path} has no file {name}.", "It may be incomplete: push it again.") from error

    def _inside(self, name: str) -> Path:
        """Where a file lies; a link that leads out of the remote is refused."""
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise CacheCorrupt(f"{path} leads out of {self.path}.", "Remove the link.")
        return path


class HubRemote:
    """A data set repository on a Hugging Face hub; one push is one commit.

    `api` is a huggingface_hub.HfApi. What is read is read at the commit that
    the revision stood for when the first file was asked for.
    """

    def __init__(self, repository: str, revision: str | None = None, api: Any = None) -> None:
        self.repository, self.revision = repository, revision
        self.address = f"hf://datasets/{repository}" + (f"@{revision}" if revision else "")
        self._api = api if api is not None else _hub_api()
        self._commit: str | None = None

    def names(self, to_send: bool = False) -> set[str]:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        with self._asking():
            try:
                return set(self._api.list_repo_files(self.repository, **self._at()))
            except RepositoryNotFoundError as error:
                if to_send and not isinstance(error, GatedRepoError):
                    return set()
                raise

    def sha256(self, name: str) -> str:
        with self._asking():
            (found,) = self._api.get_paths_info(self.repository, [name], **self._at())
        if found.lfs is not None:
            return found.lfs.sha256
        with tempfile.TemporaryDirectory() as folder:
            self.fetch([name], Path(folder))
            return file_sha256(Path(folder) / name)

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        if not names:
            return  # no pattern would mean every file
        with writing(folder), self._asking():
            self._api.snapshot_download(self.repository, allow_patterns=list(names), local_dir=folder, **self._at())
        for name in names:
            if not (folder / name).is_file():
                raise RemoteError(f"{self.address} has no file {name}.", "It may be incomplete: push it again.")

    def send(self, files: Mapping[str, Path], message: str) -> None:
        from huggingface_hub import CommitOperationAdd

        additions = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        with self._asking():
            self._api.create_repo(self.repository, repo_type="dataset", private=True, exist_ok=True)
            self._api.create_commit(
                self.repository, additions, commit_message=message, repo_type="dataset", revision=self.revision
            )
        self._commit = None

    def _at(self) -> dict[str, Any]:
        if self._commit is None:
            self._commit = self._api.dataset_info(self.repository, revision=self.revision).sha
        return {"repo_type": "dataset", "revision": self._commit}

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what the hub answers, or that it does not, into one sentence."""
        from huggingface_hub import errors

        try:
            yield
        except errors.OfflineModeIsEnabled as error:
            raise RemoteError(f"{self.address} was not asked: HF_HUB_OFFLINE is set.", "Unset it to go on.") from error
        except errors.GatedRepoError as error:
            raise RemoteError(f"{self.address} is open only to those who were let in.", _LOGIN) from error
        except errors.RepositoryNotFoundError as error:
            raise RemoteError(f"{self.address} is not there, or not for you to see.", _LOGIN) from error
        except errors.RevisionNotFoundError as error:
            raise RemoteError(f"{self.address}: there is no revision {self.revision!r}.", "Check its name.") from error
        except errors.HfHubHTTPError as error:
            status = getattr(error.response, "status_code", None)
            if status in (401, 403):
                raise RemoteError(
                    f"{self.address} refuses ({status}): no token, or one without the right.", _LOGIN
                ) from error
            raise RemoteError(f"{self.address} answers with an error ({status}).", "Try again later.") from error
        except (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError) as error:
            raise _unreachable(self.address, error) from error
        except Exception as error:
            # The hub's own client (httpx or requests, by version) raises errors of its own when there is no way.
            if type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3")):
                raise _unreachable(self.address, error) from error
            raise


_LOGIN = "Log in with a token that may do it: hf auth login, or set HF_TOKEN."


def _unreachable(address: str, error: Exception) -> RemoteError:
    return RemoteError(
        f"{address} cannot be reached ({type(error).__name__}).", "Check the network, then run it again."
    )


def _hub_api() -> Any:
    from huggingface_hub import HfApi

    return HfApi()
