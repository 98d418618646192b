"""Which revision of a hub data set is read: one that is named, never whatever is newest today.

`revisions.toml` pins the hub's repositories by commit; `M4RAG_REVISIONS` overrides it,
`<id>=<revision>` with commas between. Where neither names one, the newest commit is
asked for once and used by that name, so that results always carry a commit.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from m4rag_tasks.errors import DataError
from m4rag_tasks.toml_file import read_toml
from retrieval_cache.files import atomic_file

logger = logging.getLogger(__name__)

REVISIONS_VARIABLE = "M4RAG_REVISIONS"
REVISIONS_FILE = Path(__file__).parent / "revisions.toml"
TIMEOUT = 10.0  # seconds


def revision(hub_id: str, known: Collection[str] = ()) -> str | None:
    """The revision to read a hub data set at; None if the hub cannot say and none is in its local cache.

    Raises `DataError` for a `M4RAG_REVISIONS` that cannot be read, or that names none of `known`
    (if any are given).
    """
    return _overrides(known).get(hub_id) or pinned().get(hub_id) or _newest(hub_id)


@functools.cache
def pinned() -> dict[str, str]:
    """The pinned revisions by hub id."""
    return read_toml(REVISIONS_FILE)["revisions"]


def _overrides(known: Collection[str]) -> dict[str, str]:
    named = os.environ.get(REVISIONS_VARIABLE, "")
    pairs = [pair.strip().partition("=") for pair in named.split(",") if pair.strip()]
    for hub_id, _, value in pairs:
        if known and hub_id and hub_id not in known:
            raise DataError(
                f"{REVISIONS_VARIABLE} names {hub_id!r}, which no data set is read from. "
                f"It may name {', '.join(sorted(known))}."
            )
        if not hub_id or not value:
            raise DataError(
                f"{REVISIONS_VARIABLE} is {named!r}; it holds <hub id>=<revision>, with commas between, "
                "e.g. davidanugraha/cvqa=refs/pr/1"
            )
    return {hub_id: value for hub_id, _, value in pairs}


@functools.cache
def _newest(hub_id: str) -> str | None:
    """The commit that `main` is at: of the hub, else of what was downloaded from it before."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    try:
        return HfApi().dataset_info(hub_id, timeout=TIMEOUT).sha
    except Exception as error:  # Whatever its HTTP library raises: that changes with its version.
        logger.info("the hub does not say which commit %s is at: %s", hub_id, error)
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="dataset")
    noted = folder / "refs" / "main"
    return noted.read_text(encoding="utf-8").strip() if noted.is_file() else None


def pin(hub_ids: Iterable[str], path: Path = REVISIONS_FILE) -> dict[str, str]:
    """Write the commits that the hub's repositories are at now into `revisions.toml`; returns them.

    Raises `DataError` if the hub cannot be asked; then nothing is written.
    """
    from huggingface_hub import HfApi

    found = {}
    for hub_id in sorted(hub_ids):
        try:
            found[hub_id] = str(HfApi().dataset_info(hub_id, timeout=TIMEOUT).sha)
        except Exception as error:
            raise DataError(
                f"The hub does not say which commit {hub_id} is at ({error}). Nothing was written."
            ) from error
    head = path.read_text(encoding="utf-8").partition("[revisions]")[0]
    lines = "".join(f'"{hub_id}" = "{commit}"\n' for hub_id, commit in found.items())
    with atomic_file(path) as file:
        file.write(f"{head}[revisions]\n{lines}".encode())
    pinned.cache_clear()
    return found
