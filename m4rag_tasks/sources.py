"""Where the data sets are: bundled, on the hub at a pinned revision, or in a local copy.

The mini benchmark is bundled. Every other data set is read from the hub, or from
the folder that `M4RAG_DATA` names. There each part of a data set may lie, first found first, as

    cvqa/test.parquet                     worldcuisines/test_small_task1.parquet, or .jsonl
    cvqa/test/                            worldcuisines/test_small_task1/ saved by `save_to_disk`
                                          worldcuisines/task1/            the same, or test_small-*.parquet
    davidanugraha/cvqa/                   worldcuisines/vqa-v1.1/         a clone of the hub's repository

A place that several splits share serves only the one that its files say they are.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from m4rag_tasks.errors import DataError
from m4rag_tasks.revisions import revision
from m4rag_tasks.suite import DATASETS, Dataset
from retrieval_cache.corpus.hub import hub_address

if TYPE_CHECKING:
    import datasets

DATA_VARIABLE = "M4RAG_DATA"
CACHE_VARIABLE = "M4RAG_CACHE"
MINI_FOLDER = Path(__file__).parent / "mini" / "data"
KNOWLEDGE_BASE_ID = "worldcuisines/food-kb-v1.1"
CORPUS_ID = "davidanugraha/M4-RAG"
HUB_IDS = frozenset(
    {KNOWLEDGE_BASE_ID, CORPUS_ID, *(dataset.hub_id for dataset in DATASETS.values() if dataset.hub_id)}
)
"""What is read from the hub: all that `M4RAG_REVISIONS` may name."""
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


def named_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, made absolute; None where it is unset.

    Whether it is there is not looked at. Raises `DataError` for what can be no path.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    try:
        folder = Path(named).expanduser().resolve()
        folder.exists()
    except (OSError, RuntimeError) as error:  # too long a name; a home folder of nobody
        raise DataError(f"{variable} is {named[:200]!r}, which can be no folder ({error}). Correct it.") from error
    return folder


def data_folder(dataset: Dataset) -> Path | None:
    """The folder that paths of local copies start from; None where the hub is read.

    Raises `DataError` if `M4RAG_DATA` names a folder that is not there.
    """
    if dataset.hub_id is None:
        return MINI_FOLDER
    folder = named_folder(DATA_VARIABLE)
    if folder is None:
        return None
    if not folder.is_dir():
        raise DataError(
            f"{DATA_VARIABLE} names {folder}, which is not a folder. Correct it, or unset it to read from the hub."
        )
    return folder


def home(dataset: Dataset) -> Path | None:
    """The data set's own folder in the local copy, with its contexts, images and corpus; None on the hub."""
    folder = data_folder(dataset)
    return (folder / dataset.local[0]).parent if folder else None


def hub_corpus(dataset: Dataset) -> str:
    """Address of a data set's corpus on the hub, at the pinned revision: the configuration is named like its folder."""
    place = Path(dataset.local[0]).parent.name
    return hub_address(CORPUS_ID, revision(CORPUS_ID, HUB_IDS), place)


def source(dataset: Dataset, part: int = 0) -> Source:
    """Where one part of a data set is loaded from.

    Raises `DataError` if there is no local copy of it, with what was found in its places and why that cannot serve.
    """
    folder = data_folder(dataset)
    if folder is None:
        hub_id = str(dataset.hub_id)
        return Source(hub_id, dataset.parts[part], {"revision": revision(hub_id, HUB_IDS)})
    tried, unfit = list(_places(folder, dataset, part)), []
    for place in tried:
        found = _local_source(place, dataset, part)
        if isinstance(found, Source):
            return found
        if found:
            unfit.append(f" {place} cannot serve: {found}.")
    raise DataError(
        f"{dataset.title}: there is no local copy, none of {', '.join(map(str, tried))}.{''.join(unfit)} "
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


def _local_source(place: Path, dataset: Dataset, part: int) -> Source | str | None:
    """How to load what lies at `place`, or why it cannot serve; None where nothing lies there."""
    if place.is_file():
        return Source(_BUILDERS[place.suffix], None, {"data_files": {dataset.split: str(place)}})
    own = place.name == Path(dataset.local[part]).name
    if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
        return _saved_source(place, dataset, own)
    if not place.is_dir() or not any(place.rglob("*.parquet")):
        return None
    config = dataset.parts[part]
    if config and (own or place.name == config):
        # No clone, whose head would tell files of different splits apart: their names must.
        return _files(place, "parquet", dataset, "*.parquet", rf"(?<![a-z0-9]){dataset.split}(?![a-z0-9])")
    return Source(str(place), config)


def _saved_source(place: Path, dataset: Dataset, own: bool) -> Source | str:
    """How to load what `save_to_disk` wrote; `own` says that the folder's name names the split."""
    if (place / "dataset_dict.json").is_file():
        splits = _noted(place / "dataset_dict.json", "splits")
        fits = isinstance(splits, list) and dataset.split in splits
        return Source(str(place), None, {"load_from_disk": True}) if fits else f"its splits are {splits}"
    split = _noted(place / "state.json", "_split")
    if not (own and split is None) and str(split).partition("[")[0] != dataset.split:  # "test[:50%]"
        return f"the split that it says it holds is {split!r}, not {dataset.split!r}"
    # The harness wants a mapping of splits, so the files of one saved alone are named one by one.
    return _files(place, "arrow", dataset, "data-*.arrow", "")


def _noted(path: Path, key: str) -> Any:
    """What `save_to_disk` noted under a key; a text about it where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(key)
    except (OSError, ValueError, AttributeError) as error:
        return f"unknown, {path.name} cannot be read ({error})"


def _files(place: Path, builder: str, dataset: Dataset, pattern: str, name: str) -> Source | str:
    files = sorted(str(path) for path in place.glob(pattern) if re.search(name, path.stem, re.IGNORECASE))
    if not files:
        return f"none of its files is a {pattern}" + (f" with {dataset.split!r} in its name" if name else "")
    return Source(builder, None, {"data_files": {dataset.split: files}})


def load(dataset: Dataset, part: int) -> datasets.Dataset:
    """One part of a data set, memory-mapped. Raises `DataError` saying what could not be loaded."""
    place = source(dataset, part)
    return _loaded(dataset, part, repr(place))


@functools.lru_cache(maxsize=8)
def _loaded(dataset: Dataset, part: int, where: str) -> datasets.Dataset:
    # `where` is part of the key: the environment may name another copy later.
    import datasets

    place = source(dataset, part)
    files = place.kwargs.get("data_files", {}).get(dataset.split, place.path)
    name = place.name or (None if isinstance(files, str) else f"{len(files)} files, from {files[0]}")
    what = f"{dataset.title}: {files if isinstance(files, str) else place.path}{f' ({name})' if name else ''}"
    with _loading(what, local=data_folder(dataset) is not None):
        if place.kwargs.get("load_from_disk"):
            return datasets.load_from_disk(place.path)[dataset.split]
        return datasets.load_dataset(place.path, place.name, split=dataset.split, **place.kwargs)


@contextmanager
def _loading(what: str, *, local: bool) -> Iterator[None]:
    """Turn whatever `datasets` raises for data that is not there or broken into a `DataError` about `what`."""
    import datasets
    import pyarrow as pa

    failures = (OSError, ValueError, KeyError, TypeError, StopIteration)
    try:
        yield
    except (*failures, pa.ArrowException, datasets.exceptions.DatasetsError) as error:
        reason = error.__cause__ or error  # datasets says why one level below
        advice = "Replace it." if local else f"Without the hub, name a folder with a copy by {DATA_VARIABLE}."
        # An empty file ends in a StopIteration without words.
        raise DataError(f"{what} cannot be loaded ({str(reason) or 'it is empty'}). {advice}") from error


def load_knowledge_base(dataset: Dataset) -> datasets.Dataset:
    """The food knowledge base that a data set's `food_id` points into. Raises `DataError`."""
    import datasets

    folder = home(dataset)
    if folder is None:
        commit = revision(KNOWLEDGE_BASE_ID, HUB_IDS)
        with _loading(f"The food knowledge base {KNOWLEDGE_BASE_ID}", local=False):
            table = datasets.load_dataset(KNOWLEDGE_BASE_ID, split="train", revision=commit)
    else:
        files = [folder / f"food_kb{suffix}" for suffix in _BUILDERS]
        path = next((path for path in files if path.is_file()), None)
        if path is None:
            raise DataError(
                f"The food knowledge base {files[0]} is missing; the oracle contexts come from it. Put it there."
            )
        with _loading(f"The food knowledge base {path}", local=True):
            table = datasets.load_dataset(_BUILDERS[path.suffix], data_files=str(path), split="train")
    if "food_id" not in table.column_names:
        raise DataError(f"The food knowledge base has no column food_id; it has {', '.join(table.column_names)}.")
    return table
