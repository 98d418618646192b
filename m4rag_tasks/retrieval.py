"""What a setting asks of the retrieval cache: its queries, its specification, its hits.

The command line fills the cache through `build_spec` and `queries`; the tasks
read it through `open_cache`. Both use the same `query`, so a cache whose
questions have changed since it was built is noticed question by question.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m4rag_tasks import contexts, datasets, images, sources
from m4rag_tasks.errors import ContextError, DataError, MissingImageError
from m4rag_tasks.rows import Row
from m4rag_tasks.sources import cache_root
from m4rag_tasks.suite import DATASETS, SETTINGS, TOP_K, Dataset, Setting
from retrieval_cache import (
    BuildSpec,
    Cache,
    CacheError,
    ChunkerSpec,
    CorpusError,
    Query,
    Wanted,
    default_chunker,
    default_spec,
    find_cache,
    has_caches,
    known_corpus_sha256,
    last_change,
    retriever_names,
)
from retrieval_cache.corpus.files import SUFFIXES, open_corpus


def query(dataset: Dataset, setting: Setting, row: Row) -> Query:
    """What is searched with for one question.

    The gold answer is never part of it, except where the setting searches with
    the oracle context. Raises `ContextError` if the setting needs a missing text.
    """
    question = " ".join(row.question.split())
    if setting.query == "image":
        path = images.searchable_image(dataset, row.image_id)
        return Query(row.question_id, question, row.image_id, path)
    if setting.query == "oracle":
        text = contexts.context(dataset, "oracle", row)
    elif setting.query == "caption":
        text = f"{contexts.context(dataset, 'caption', row)} {question}"
    else:
        text = question
    return Query(row.question_id, text, None, None)


def queries_from(dataset: Dataset, setting: Setting) -> str | None:
    """The context set that queries are made of; None where they are the question's own, or the set is missing."""
    if setting.query not in ("oracle", "caption"):
        return None
    try:
        return contexts.source_of(dataset, setting.query)
    except (ContextError, DataError):
        # Caches are looked at and moved without it too. Whoever asks a question will hear what is missing.
        return None


def queries(dataset: Dataset, setting: Setting) -> Iterator[Query]:
    """The queries of a setting for every question of a data set, in file order.

    Images that the rows hold are written to files first. Raises `MissingImageError` for
    the first image that is searched with and not there.
    """
    if setting.query == "image":
        images.export_images(dataset)
    for row in datasets.all_rows(dataset):
        asked = query(dataset, setting, row)
        if setting.query == "image" and asked.image_path is None:
            raise MissingImageError(
                f"{dataset.title}, question {row.question_id}: the image {row.image_id!r} is searched with, and it is"
                f" no file in {' or '.join(map(str, images.image_folders(dataset))) or 'a local copy'}. Name the folder"
                f" of the images by {images.IMAGES_VARIABLE}."
            )
        yield asked


def corpus_path(dataset: Dataset) -> Path | None:
    """The corpus that lies with a data set, a file or the folder `corpus`; None where there is none."""
    home = sources.home(dataset)
    if home is None:
        return None
    found = [home / f"corpus{suffix}" for suffix in SUFFIXES if (home / f"corpus{suffix}").is_file()]
    return found[0] if found else home / "corpus" if (home / "corpus").is_dir() else None


def build_spec(
    dataset: Dataset,
    setting: Setting,
    *,
    corpus: Path | str | None = None,
    retriever: str | None = None,
    k: int = TOP_K,
    chunker: ChunkerSpec | None = None,
    max_broken: int | float = 0,
) -> BuildSpec:
    """What to build for a setting, by default from the corpus that lies with the data set, else from the hub's.

    Raises `DataError` if the corpus is missing or the retriever cannot be run.
    """
    own = corpus_path(dataset)
    named = _existing(corpus) if corpus else own or _hub_corpus(dataset, setting)
    name = retriever or str(dataset.retriever(setting))
    if name not in retriever_names():
        raise DataError(
            f"{setting.name} on {dataset.title} is meant for the retriever {name}, which this version cannot run. "
            f"Name another, {' or '.join(retriever_names())}, by --retriever: every record says which it was."
        )
    return BuildSpec(
        dataset=dataset.key,
        setting=setting.name,
        corpus=named,
        image_root=_image_root(named, own) if setting.query == "image" else None,
        retriever=default_spec(name),
        chunker=chunker or default_chunker(name),
        k=k,
        max_broken=max_broken,
        queries_from=queries_from(dataset, setting),
    )


def _existing(corpus: Path | str) -> Path | str:
    if isinstance(corpus, str) and "://" in corpus:
        return corpus
    if not Path(corpus).exists():
        raise DataError(f"The corpus {corpus} is not there. Correct the path.")
    return Path(corpus)


def _hub_corpus(dataset: Dataset, setting: Setting) -> str:
    """Address of the hub's corpus, at a commit. Raises `DataError` where the hub cannot be asked."""
    try:
        return str(open_corpus(sources.hub_corpus(dataset)).source)
    except CorpusError as error:
        raise DataError(
            f"No corpus lies with {dataset.title}, and {error.message} Name one: "
            f"m4rag cache build --dataset {dataset.key} --setting {setting.name} --corpus FILE.jsonl.gz"
        ) from error


def _image_root(corpus: Path | str, own: Path | None) -> Path | None:
    """Relative image paths start at the data set's own folder, or at the one that the user's corpus is in or is."""
    if not isinstance(corpus, Path):
        return None  # the hub's articles name images by their urls
    return corpus if corpus.is_dir() and corpus != own else corpus.parent


def open_cache(dataset_key: str, setting_name: str) -> Cache:
    """The cache a setting reads as things are now. Raises a `CacheError` that names the command to run.

    It is opened again only if another one was built last since, or is looked for elsewhere.
    """
    place = _place(dataset_key, setting_name)
    change = last_change(cache_root(), dataset_key, setting_name)
    if place not in _opened or _opened[place][0] != change:
        _opened[place] = change, _find_cache(DATASETS[dataset_key], SETTINGS[setting_name])
    return _opened[place][1]


def cache_in_use(dataset_key: str, setting_name: str) -> Cache:
    """The cache that `open_cache` gave last; opened here if it never did.

    One run must show and record the passages of one cache, also if another is built meanwhile.
    """
    opened = _opened.get(_place(dataset_key, setting_name))
    return opened[1] if opened else open_cache(dataset_key, setting_name)


_Place = tuple[str, str, Path, Path | None, str | None]
# By data set, setting, cache root, data folder and context set: what was known of the last build, and the cache.
_opened: dict[_Place, tuple[tuple[int, int] | None, Cache]] = {}


def _place(dataset_key: str, setting_name: str) -> _Place:
    dataset = DATASETS[dataset_key]
    asked = queries_from(dataset, SETTINGS[setting_name])
    return dataset_key, setting_name, cache_root(), sources.home(dataset), asked


def _find_cache(dataset: Dataset, setting: Setting) -> Cache:
    root, corpus = cache_root(), corpus_path(dataset)
    # Where nothing was ever built, a corpus of gigabytes need not be read to say so.
    compared = corpus is not None and has_caches(root, dataset.key, setting.name)
    wanted = Wanted(
        dataset=dataset.key,
        setting=setting.name,
        # Whichever was built last: another one than the default is a choice that was made when building.
        retriever=None,
        chunker=None,
        k=TOP_K,
        corpus_sha256=known_corpus_sha256(corpus, root) if compared else None,
        queries_from=queries_from(dataset, setting),
    )
    return find_cache(root, wanted, fix=f"Build it: {build_command(dataset, setting)}")


def chosen_cache(dataset_key: str, setting_name: str) -> Path | None:
    """Folder of the cache that a setting reads; None where there is none, or no such setting here.

    Raises `DataError` if the data set cannot be looked at: its corpus decides which cache fits.
    """
    if dataset_key not in DATASETS or setting_name not in SETTINGS:
        return None
    try:
        return open_cache(dataset_key, setting_name).folder
    except CacheError:
        return None


def build_command(dataset: Dataset, setting: Setting) -> str:
    """The command that builds the cache of a setting; what has to be chosen stands in capitals."""
    # The setting's own retriever may be one that this version cannot run.
    chosen = "" if dataset.retriever(setting) in retriever_names() else " --retriever NAME"
    return f"m4rag cache build --dataset {dataset.key} --setting {setting.name}{chosen}"
