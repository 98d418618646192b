"""Where the data sets are: bundled, on the hub at a pinned revision, or in a local copy.

The mini benchmark is bundled. Every other data set is read from the hub, or from
the folder that `M4RAG_DATA` names. There each part of a data set may lie, first found first, as

    cvqa/test.parquet                     worldcuisines/test_small_task1.parquet, or .jsonl
    cvqa/test/                            worldcuisines/task1/            saved by `save_to_disk`
    davidanugraha/cvqa/                   worldcuisines/vqa-v1.1/         a clone of the hub's repository
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from m4rag_tasks.errors import DataError
from m4rag_tasks.revisions import revision
from m4rag_tasks.suite import Dataset

if TYPE_CHECKING:
    import datasets

DATA_VARIABLE = "M4RAG_DATA"
CACHE_VARIABLE = "M4RAG_CACHE"
MINI_FOLDER = Path(__file__).parent / "mini" / "data"
KNOWLEDGE_BASE_ID = "worldcuisines/food-kb-v1.1"
_BUILDERS = {".parquet": "parquet", ".jsonl": "json"}


@dataclass(frozen=True)
class Source:
    """What `datasets.load_dataset` is called with for one part of a data set.

    With `load_from_disk` among the `kwargs` the harness calls `datasets.load_from_disk(path)` instead.
    """

    path: str
    name: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def cache_root() -> Path:
    """Folder of the retrieval caches: `M4RAG_CACHE`, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("m4rag") / "retrieval"


def data_folder(dataset: Dataset) -> Path | None:
    """The folder that paths of local copies start from; None where the hub is read.

    Raises `DataError` if `M4RAG_DATA` names a folder that is not there.
    """
    if dataset.hub_id is None:
        return MINI_FOLDER
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(
            f"{DATA_VARIABLE} names {folder}, which is not a folder. Correct it, or unset it to read from the hub."
        )
    return folder


def home(dataset: Dataset) -> Path | None:
    """The data set's own folder in the local copy, with its contexts, images and corpus; None on the hub."""
    folder = data_folder(dataset)
    return (folder / dataset.local[0]).parent if folder else None


def source(dataset: Dataset, part: int = 0) -> Source:
    """Where one part of a data set is loaded from. Raises `DataError` if there is no local copy of it."""
    folder = data_folder(dataset)
    if folder is None:
        hub_id = str(dataset.hub_id)
        return Source(hub_id, dataset.parts[part], {"revision": revision(hub_id)})
    tried = list(_places(folder, dataset, part))
    for place in tried:
        if found := _local_source(place, dataset, part):
            return found
    raise DataError(
        f"{dataset.title}: there is no local copy, none of {', '.join(map(str, tried))}. "
        f"Put one there, or unset {DATA_VARIABLE} to read from the hub."
    )


def _places(folder: Path, dataset: Dataset, part: int) -> Iterator[Path]:
    stem = folder / dataset.local[part]
    yield from (stem.with_name(stem.name + suffix) for suffix in _BUILDERS)
    yield stem
    config = dataset.parts[part]
    if config:
        yield stem.with_name(config)
    if dataset.hub_id:
        yield folder / dataset.hub_id


def _local_source(place: Path, dataset: Dataset, part: int) -> Source | None:
    """How to load what lies at `place`; None where nothing does."""
    if place.is_file():
        return Source(_BUILDERS[place.suffix], None, {"data_files": {dataset.split: str(place)}})
    if (place / "dataset_dict.json").is_file():
        return Source(str(place), None, {"load_from_disk": True})
    if (place / "state.json").is_file():
        # One split saved alone: the harness wants a mapping of splits, so its files are named one by one.
        files = sorted(map(str, place.glob("data-*.arrow")))
        return Source("arrow", None, {"data_files": {dataset.split: files}})
    if place.is_dir() and any(place.rglob("*.parquet")):
        return Source(str(place), dataset.parts[part])
    return None


def load(dataset: Dataset, part: int) -> datasets.Dataset:
    """One part of a data set, memory-mapped. Raises `DataError` saying what could not be loaded."""
    place = source(dataset, part)
    return _loaded(dataset, part, repr(place))


@functools.lru_cache(maxsize=8)
def _loaded(dataset: Dataset, part: int, where: str) -> datasets.Dataset:
    # `where` is part of the key: the environment may name another copy later.
    import datasets

    place = source(dataset, part)
    try:
        if place.kwargs.get("load_from_disk"):
            return datasets.load_from_disk(place.path)[dataset.split]
        return datasets.load_dataset(place.path, place.name, split=dataset.split, **place.kwargs)
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{dataset.title}: {place.path}{f' ({place.name})' if place.name else ''} cannot be loaded ({error}). "
            f"Without the hub, name a folder with a copy by {DATA_VARIABLE}."
        ) from error


def load_knowledge_base(dataset: Dataset) -> datasets.Dataset:
    """The food knowledge base that a data set's `food_id` points into. Raises `DataError`."""
    import datasets

    folder = home(dataset)
    try:
        if folder is None:
            return datasets.load_dataset(KNOWLEDGE_BASE_ID, split="train", revision=revision(KNOWLEDGE_BASE_ID))
        files = [folder / f"food_kb{suffix}" for suffix in _BUILDERS]
        found = [path for path in files if path.is_file()]
        if not found:
            raise DataError(f"The food knowledge base {files[0]} is missing; the oracle contexts come from it.")
        return datasets.load_dataset(_BUILDERS[found[0].suffix], data_files=str(found[0]), split="train")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"The food knowledge base cannot be loaded ({error}).") from error
